"""HTTP/1: what h11 reads and another server on the way might read otherwise (RFC 9112).

h11 is lenient where old clients once were wrong. But a proxy and a server that disagree on
where a line or a body ends can be made to see different requests in the same bytes: request
smuggling. No client of today sends any of this, so it is refused.

Owns: the bytes of a head, and of a chunked body what is not body. The rest of the grammar is h11's.
Each check of a head looks at the bytes in C, and takes a microsecond or two for a browser's
request.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["MOST_FIELDS", "ChunkedBody", "fields_in", "problem_in_head"]

_CONTROLS = bytes({*range(32), 127} - {*b"\t\r\n"})
_HEAD_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)

MOST_FIELDS = 200
"""h11 takes 3 µs for a field, which may be of four bytes: a head of 32 KiB held all others up for
25 ms. Apache and HAProxy allow 100, a browser sends 20. Of trailers there may be as many."""

# No byte but what is in a field's value (RFC 9110, 5.5), and so no line end but CRLF.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\0-\x08\n-\x1f\x7f]*)?\r\n")
_TRAILER = re.compile(rb"[^\0- \x7f][^\0-\x08\n-\x1f\x7f]*\r\n")

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


class ChunkedBody:
    """Walks along a chunked body beside h11, which hears the same (RFC 9112, 7.1)."""

    __slots__ = ("_body", "_chunks", "_framing", "_line", "_next", "_skip", "_trailers", "problem")

    def __init__(self) -> None:
        self._body = self._chunks = self._framing = self._skip = self._trailers = 0
        self._line = b""
        """The beginning of one whose end has not come."""
        self._next: Literal["size", "end", "trailer", "nothing"] = "size"
        self.problem: str | None = None
        """What is wrong with what has come so far."""

    def arrived(self, piece: bytes) -> None:
        """Look at bytes of the body as they come, framing and all; what follows it is ignored."""
        at = 0
        while at < len(piece) and self._next != "nothing":
            if self._skip:
                skipped = min(self._skip, len(piece) - at)
                self._skip -= skipped
                at += skipped
                continue
            stop = piece.find(b"\n", at) + 1 or len(piece)
            self._framing += stop - at
            self._line += piece[at:stop]
            at = stop
            if self._line.endswith(b"\n"):
                line, self._line = self._line, b""
                self._refuse(self._problem_in_line(line))
            self._refuse(self._problem_in_all())

    def _refuse(self, problem: str | None) -> None:
        if problem is not None:
            self.problem = self.problem or problem
            self._next = "nothing"

    def _problem_in_line(self, line: bytes) -> str | None:
        if self._next == "end":
            self._next = "size"
            return None if line == b"\r\n" else "malformed chunk footer"
        if self._next == "size":
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                return "illegal chunk header"
            self._skip = int(size[1], 16)
            self._body += self._skip
            self._chunks += self._skip > 0
            self._next = "end" if self._skip else "trailer"
        elif line == b"\r\n":
            self._next = "nothing"
        elif not _TRAILER.fullmatch(line):
            return "illegal trailer"
        else:
            self._trailers += 1
        return None

    def _problem_in_all(self) -> str | None:
        if self._chunks > FREE_CHUNKS + self._body // BYTES_A_CHUNK:
            return "the body comes in too many small chunks"
        if self._framing > FREE_FRAMING_BYTES + FREE_FRAMING_BYTES_A_CHUNK * self._chunks:
            return "chunk extensions and trailers are too long"
        if self._trailers > MOST_FIELDS:
            return f"there are more than {MOST_FIELDS} trailers"
        return None
