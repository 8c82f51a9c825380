"""HTTP/1: what h11 reads and another server on the way might read otherwise (RFC 9112).

h11 is lenient where old clients once were wrong. But a proxy and a server that disagree on
where a line or a body ends can be made to see different requests in the same bytes: request
smuggling. No client of today sends any of this, so it is refused.

Owns: the bytes of a head, and how much of a chunked body is not body. The grammar is h11's.
Each check looks at the bytes in C, and takes a microsecond or two for a browser's request.
"""

from __future__ import annotations

import re

__all__ = ["MOST_FIELDS", "ChunkCount", "fields_in", "problem_in_head"]

_CONTROLS = bytes({*range(32), 127} - {*b"\t\r\n"})
_HEAD_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)

MOST_FIELDS = 200
"""h11 takes 3 µs for a field, which may be of four bytes: a head of 32 KiB held all others up for
25 ms. Apache and HAProxy allow 100, a browser sends 20."""

FREE_FRAMING_BYTES = 8 * 1024
"""Chunk extensions and trailers that nobody reads. Go allows 16 KiB (CVE-2023-39326)."""

FREE_FRAMING_BYTES_A_CHUNK = 16
"""A size of up to eight digits, and line ends."""

FREE_CHUNKS = 1_000
BYTES_A_CHUNK = 256
"""Beyond the free ones, chunks carry so many bytes on average. A chunk of one byte costs as
much time as one of a kilobyte, and 4 MB of them would be a minute's work."""


def fields_in(head: bytearray, seen: int) -> int:
    """Return how many fields a head has, before h11 reads it; 0 if it is not whole.

    In the first `seen` bytes of it there is no end.
    """
    end = _HEAD_END.search(head, max(0, seen - 2))
    return 0 if end is None else head.count(b"\n", 0, end.end()) - 2


def problem_in_head(head: bytes) -> str | None:
    """Say what is wrong with a head that h11 has taken, its last empty line included."""
    lines = head.count(b"\r\n")
    # Line ends that are not CRLF (RFC 9112, 2.2 leaves it to us whether to take them).
    if head.count(b"\n") != lines or head.count(b"\r") != lines:
        return "a line does not end with CRLF"
    if b"\n " in head or b"\n\t" in head:
        return "a field continues on the next line"  # RFC 9112, 5.2: obs-fold
    if len(head.translate(None, _CONTROLS)) != len(head):
        return "there is a control character in it"  # RFC 9110, 5.5
    lengths = _LENGTH.findall(head)
    if len(lengths) > 1 or (lengths and b"," in lengths[0]):
        # RFC 9112, 6.3 lets a recipient take the same number twice, or refuse it.
        return "Content-Length is there more than once"
    return None


class ChunkCount:
    """Counts what comes with a chunked body and is not body."""

    __slots__ = ("_arrived", "_body", "_chunks", "_last")

    def __init__(self) -> None:
        self._arrived = self._body = self._chunks = 0
        self._last = b""

    def arrived(self, piece: bytes) -> None:
        """Note bytes of the body as they come, framing and all."""
        self._arrived += len(piece)
        self._last = self._last[-4:] + piece

    def data(self, length: int, *, starts: bool) -> None:
        """Note a piece of the body itself; `starts` if it is a chunk's first."""
        self._body += length
        self._chunks += starts

    def problem(self) -> str | None:
        """Say what is wrong with what has come so far."""
        if self._chunks > FREE_CHUNKS + self._body // BYTES_A_CHUNK:
            return "the body comes in too many small chunks"
        free = FREE_FRAMING_BYTES + FREE_FRAMING_BYTES_A_CHUNK * self._chunks
        if self._arrived - self._body > free:
            return "chunk extensions and trailers are too long"
        return None

    def problem_in_end(self, unread: int) -> str | None:
        """Say what is wrong with the whole of it; `unread` bytes that came belong to it no more."""
        self._arrived -= unread
        if not self._last[: len(self._last) - unread].endswith(b"\r\n\r\n"):
            return "a line does not end with CRLF"
        return self.problem()
