"""HTTP/1.1 as a load client speaks it: a request out, a head and chunks in.

Owns the framing; what is in it goes to an `EventReader`. A body without chunks ends with its
connection, as some servers answer. Of a body that is compressed each chunk must be readable for
itself, or what one client has received would not be what others have.
"""

from __future__ import annotations

import zlib

from .events import EventReader
from .findings import Findings, Level, Offence, Position

__all__ = ["Http1Parser", "request"]


def request(path: str, last_event_id: bytes, host: str = "localhost") -> bytes:
    """Return a request for an event stream, with the fields that browsers send."""
    resume = b"Last-Event-ID: %b\r\n" % last_event_id if last_event_id else b""
    return (
        b"GET %b HTTP/1.1\r\nHost: %b\r\nAccept: text/event-stream\r\n"
        b"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (swarm)\r\n"
        b"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\n%b\r\n"
        % (path.encode(), host.encode(), resume)
    )


ZLIB_HEADER = 2  # bytes; RFC 1950, 2.2


class Http1Parser:
    """Reads one answer; with `in_body`, from a point between two of its chunks on."""

    __slots__ = (
        "_chunked",
        "_compressed",
        "_header",
        "_in_body",
        "_reader",
        "_refused",
        "consumed",
        "unread",
    )

    def __init__(
        self,
        reader: EventReader,
        *,
        in_body: bool = False,
        chunked: bool = True,
        compressed: bool = False,
    ) -> None:
        self._reader = reader
        self._compressed = compressed
        self._header = not in_body
        """Whether the header of what is compressed is yet to come."""
        self._in_body = in_body
        self._chunked = chunked
        self._refused = False
        self.unread = b""
        self.consumed = 0

    def positions(self) -> list[Position]:
        return [self._reader.position]

    def skipped(self) -> list[frozenset[int]] | None:
        skipped = self._reader.skipped
        return [skipped] if skipped else None

    def feed(self, data: bytes, levels: int = 0) -> Findings:
        found = Findings()
        self.unread += data
        at = 0
        if not self._in_body:
            end = self.unread.find(b"\r\n\r\n")
            if end < 0:
                return found
            self._read_head(self.unread[:end].lower(), found)
            at = end + 4
        if self._refused:
            return found  # Whatever its body says, it is not an event stream.
        if self._chunked:
            while (end := self._take_chunk(at, found)) > at:
                at = end
                self._note_level(at, found)
                if levels and len(found.levels) >= levels:
                    break
        else:
            self._reader.feed(self.unread[at:], found)
            at = len(self.unread)
            self._note_level(at, found)
        self.unread = self.unread[at:]
        self.consumed += at
        return found

    def _read_head(self, head: bytes, found: Findings) -> None:
        status, *fields = head.split(b"\r\n")
        self._in_body = True
        self._chunked = b"transfer-encoding: chunked" in fields
        found.unchunked = not self._chunked
        if status.split(b" ")[1:2] == [b"200"]:
            found.opened.append(0)
            if (b"content-encoding: deflate" in fields) is not self._compressed:
                found.offences.append(Offence("broken"))
        else:
            self._refused = True
            found.refused.append(0)

    def _take_chunk(self, start: int, found: Findings) -> int:
        """Take the chunk at `start` (RFC 9112, 7.1) and return where it ends.

        Returns `start` if it is not whole.
        """
        line_end = self.unread.find(b"\r\n", start)
        if line_end < 0:
            return start
        try:
            size = int(self.unread[start:line_end], 16)
        except ValueError:
            found.offences.append(Offence("broken"))
            return len(self.unread)
        end = line_end + 2 + size
        if len(self.unread) < end + 2:
            return start
        if self.unread[end : end + 2] != b"\r\n":
            found.offences.append(Offence("broken"))
        elif size == 0:
            found.ended.append(0)
        else:
            self._take_content(self.unread[line_end + 2 : end], found)
        return end + 2

    def _take_content(self, content: bytes, found: Findings) -> None:
        if self._compressed:
            try:
                content = self._inflate(content)
            except zlib.error:
                found.offences.append(Offence("corrupt"))
                return
        self._reader.feed(content, found)

    def _inflate(self, content: bytes) -> bytes:
        if self._header:
            self._header = False
            content = content[ZLIB_HEADER:]
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content)

    def _note_level(self, at: int, found: Findings) -> None:
        last = self._reader.number
        if last is not None and self._reader.at_rest:
            found.levels.append(Level(self.consumed + at, last, 0))
