"""HTTP/2 as a load client hears it: frames walked by hand.

Owns which stream each frame belongs to and which streams are open; what is in them goes to an
`EventReader` for each stream. Of field sections only the status is read: all servers write 200
as one byte, so that HPACK's table need not be kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from .events import EventReader
from .findings import Findings, Level, Offence, Position
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    frame,
)
from .windows import Windows

__all__ = ["Http2Parser"]

STATUS_200 = b"\x88"  # RFC 7541, Appendix A
TABLE_SIZE_UPDATE = range(0x20, 0x40)  # RFC 7541, 6.3


class Http2Parser:
    """Reads one connection from its first frame on, or from a point between two frames."""

    __slots__ = (
        "_ahead",
        "_flow",
        "_next_id",
        "_places",
        "_readers",
        "_section",
        "_top",
        "_turned_away",
        "_waiting",
        "_windows",
        "consumed",
        "unread",
    )

    def __init__(
        self, readers: Sequence[EventReader], windows: Windows | None, *, opened: bool = False
    ) -> None:
        """`windows` is told what arrives; without it nobody is. `opened`: all streams are."""
        self._readers = readers
        self._places = {2 * place + 1: place for place in range(len(readers))}
        self._next_id = 2 * len(readers) + 1
        self._waiting = set[int]() if opened else set(self._places)
        """Ids of streams that have not been answered."""
        self._turned_away = set[int]()
        """Ids of streams that have been refused."""
        self._windows = windows
        self.unread = b""
        self.consumed = 0
        self._flow = 0
        self._section: bytes | None = None
        """A field section whose end has not come yet."""
        # How far the furthest streams are, and how many of them: to know a level cheaply.
        numbers = [reader.number or 0 for reader in readers]
        self._top = max(numbers)
        self._ahead = numbers.count(self._top)

    def positions(self) -> list[Position]:
        return [reader.position for reader in self._readers]

    def reopen(self, place: int) -> int:
        """Have the stream at that place, which has ended, go on under the id that is returned."""
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self._places[stream_id] = place
        self._waiting.add(stream_id)
        self._readers[place].restart()
        if self._windows is not None:
            self._windows.opened(stream_id)
        return stream_id

    def skipped(self) -> list[frozenset[int]] | None:
        skipped = [reader.skipped for reader in self._readers]
        return skipped if any(skipped) else None

    def feed(self, data: bytes, levels: int = 0) -> Findings:
        found = Findings()
        data = self.unread + data
        at, end = 0, len(data)
        while end - at >= 9:
            high, low, kind, flags, stream_id = HEADER.unpack_from(data, at)
            stop = at + 9 + (high << 8 | low)
            if stop > end:
                break
            body = data[at + 9 : stop]
            at = stop
            if kind == DATA:
                self._take_data(stream_id, flags, body, self.consumed + at, found)
                if levels and len(found.levels) >= levels:
                    break
            else:
                self._take(kind, flags, stream_id, body, found)
        self.unread = data[at:]
        self.consumed += at
        if self._windows is not None:
            found.replies += self._windows.due()
        return found

    def _take_data(
        self, stream_id: int, flags: int, body: bytes, consumed: int, found: Findings
    ) -> None:
        # Padding counts against the windows too (RFC 9113, 6.9.1).
        self._flow += len(body)
        if self._windows is not None:
            self._windows.arrived(stream_id, len(body))
        place = self._places.get(stream_id)
        if place is None:
            if stream_id not in self._turned_away:
                found.offences.append(Offence("broken"))
            return
        reader = self._readers[place]
        before = reader.number
        reader.feed(_unpadded(body) if flags & PADDED else body, found)
        now = reader.number
        if now is not None and now != before:
            if now > self._top:
                self._top, self._ahead = now, 1
            elif now == self._top:
                self._ahead += 1
            if self._ahead == len(self._readers) and self._at_rest():
                found.levels.append(Level(consumed, now, self._flow))
        if flags & END_STREAM:
            self._end(stream_id, found)

    def _at_rest(self) -> bool:
        """Tell whether all streams are between two events: some may have begun the next one."""
        return all(reader.at_rest for reader in self._readers)

    def _take(self, kind: int, flags: int, stream_id: int, body: bytes, found: Findings) -> None:
        match kind:
            case _ if kind in (HEADERS, CONTINUATION):
                self._take_section(kind, flags, stream_id, body, found)
            case _ if kind == SETTINGS and not flags & ACK:
                found.replies += frame(SETTINGS, ACK, 0, b"")
            case _ if kind == PING and not flags & ACK:
                found.replies += frame(PING, ACK, 0, body)
            case _ if kind == RST_STREAM:
                self._end(stream_id, found)
            case _ if kind == GOAWAY:
                found.closing = True

    def _take_section(
        self, kind: int, flags: int, stream_id: int, body: bytes, found: Findings
    ) -> None:
        if kind == HEADERS:
            body = _unpadded(body) if flags & PADDED else body
            self._section = body[5:] if flags & PRIORITY else body
        elif self._section is not None:
            self._section += body
        if flags & END_HEADERS and self._section is not None:
            section, self._section = self._section, None
            self._answered(stream_id, section, found)
        # RFC 9113, 6.10: with CONTINUATION behind it, the flag is on HEADERS all the same.
        if kind == HEADERS and flags & END_STREAM:
            self._end(stream_id, found)

    def _answered(self, stream_id: int, section: bytes, found: Findings) -> None:
        if stream_id not in self._waiting:
            return  # trailers, or an answer to nothing
        self._waiting.discard(stream_id)
        while section and section[0] in TABLE_SIZE_UPDATE:
            section = section[1:] if section[0] != 0x3F else _after_integer(section)
        if section.startswith(STATUS_200):
            found.opened.append(self._places[stream_id])
        else:
            # Of its body only the length is of interest, for the window's sake.
            self._turned_away.add(stream_id)
            found.refused.append(self._places.pop(stream_id))

    def _end(self, stream_id: int, found: Findings) -> None:
        """Note that the server has ended a stream."""
        if self._windows is not None:
            self._windows.ended(stream_id)
        place = self._places.pop(stream_id, None)
        if place is None:
            return
        if stream_id in self._waiting:
            self._waiting.discard(stream_id)
            found.refused.append(place)
        else:
            found.ended.append(place)


def _unpadded(body: bytes) -> bytes:
    return body[1 : len(body) - body[0]]


def _after_integer(section: bytes) -> bytes:
    """Skip an integer that does not fit its first byte (RFC 7541, 5.1)."""
    at = 1
    while section[at] & 0x80:
        at += 1
    return section[at + 1 :]
