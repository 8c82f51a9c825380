"""Lines of a file descriptor as they come, without blocking the loop.

Bytes are read in a thread, because neither a regular file nor every terminal can be waited
for by epoll. By `os.read`, not by a Python file object: the thread of an interrupted program
is still blocked in it at exit, and would hold the object's lock, on which Python then aborts.

Rules: memory is bounded by one line of `MAX_LINE` and one read; what is longer is left out
and reported, the lines around it are not harmed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import trio

__all__ = ["Line", "Splitter", "read_lines"]

READ = 64 * 1024
MAX_LINE = 16 * 1024 * 1024
"""In bytes: more than any hub takes, less than would hurt."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of input without its end; `text` is None if it was too long to keep."""

    number: int
    text: str | None


class Splitter:
    """Bytes in, lines out. LF and CRLF end a line; bytes that are no UTF-8 become U+FFFD."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._partial = bytearray()
        self._too_long = False
        self._number = 0

    def feed(self, data: bytes) -> Iterator[Line]:
        """Yield the lines that `data` completes. To be exhausted before the next call."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._keep(part)
            yield self._line()
        self._keep(rest)

    def finish(self) -> Iterator[Line]:
        """Yield the last line if no line end followed it."""
        if self._partial or self._too_long:
            yield self._line()

    def _keep(self, part: bytes) -> None:
        self._partial += part
        if len(self._partial) > self._max:
            self._too_long = True
        if self._too_long:
            self._partial.clear()

    def _line(self) -> Line:
        self._number += 1
        text = None
        if not self._too_long:
            text = self._partial.removesuffix(b"\r").decode(errors="replace")
        self._partial.clear()
        self._too_long = False
        return Line(self._number, text)


async def read_lines(descriptor: int) -> AsyncGenerator[Line, None]:
    """Yield each line as soon as it is complete. Reads no further while one is being used."""
    splitter = Splitter()
    while data := await trio.to_thread.run_sync(os.read, descriptor, READ, abandon_on_cancel=True):
        for line in splitter.feed(data):
            yield line
    for line in splitter.finish():
        yield line
