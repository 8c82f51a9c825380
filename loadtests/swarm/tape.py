"""What all connections receive alike, understood once and compared by everyone else.

A server that fans out sends the same bytes to connections of one kind. So the first to
receive them parses them and puts them on the tape, and for the others it is enough that
their bytes are those of the tape: a memcmp, which tells loss, repetition, reordering and
corruption as surely as parsing does, at a hundredth of its cost. Who differs parses.

Only what is faultless gets onto a tape, and nothing that wants an answer, such as a PING.
Reads may be cut anywhere: the tape is one run of bytes, with levels marked in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from .findings import Parser, Received

__all__ = ["Tape"]


class Tape:
    """A run of bytes, from one level on; grows as connections receive more."""

    __slots__ = (
        "_data",
        "_index",
        "_learn",
        "_origin",
        "_parser",
        "_start",
        "ends",
        "flows",
        "numbers",
    )

    def __init__(
        self,
        number: int,
        start: Callable[[int], Parser],
        learn: Callable[[list[Received]], None],
    ) -> None:
        """Begin where everyone has event `number`; `start` makes a parser for such a place.

        `learn` is told each event that nobody has received before.
        """
        self._data = bytearray()
        self._start = start
        self._learn = learn
        self._parser = start(number)
        self._origin = 0, 0
        """Where the parser began: offset and flow."""
        self.ends = [0]
        """Offsets of the levels. `numbers`: the event that everyone has there. `flows`: the
        bytes from the start to there that count against HTTP/2's connection window."""
        self.numbers = [number]
        self.flows = [0]
        self._index = {number: 0}

    def __len__(self) -> int:
        return len(self._data)

    def find(self, number: int) -> int | None:
        """Return the index of the level at which everyone has event `number`, if there is one."""
        return self._index.get(number)

    def level_before(self, offset: int, low: int) -> int:
        """Return the index of the last level at or before `offset`; it is `low` or later."""
        return bisect_right(self.ends, offset, low + 1) - 1

    def since(self, level: int, offset: int) -> bytes:
        """Return the bytes from a level to `offset`."""
        return bytes(self._data[self.ends[level] : offset])

    def matches(self, data: bytes | memoryview, offset: int) -> bool:
        """Tell whether `data` is what is on the tape at `offset`, all of it."""
        return self._data.startswith(data, offset)

    def extend(self, data: bytes | memoryview, offset: int) -> bool:
        """Put on the tape what goes beyond its end; False if `data` differs or is faulty."""
        known = len(self._data) - offset
        if not self._data.startswith(data[:known], offset):
            return False
        new = bytes(data[known:])
        found = self._parser.feed(new)
        # Also if there is more to it: nobody else will find them new.
        self._learn(found.learned)
        if not found.is_plain:
            self._parse_again()
            return False
        self._data += new
        offset, flow = self._origin
        for level in found.levels:
            self._index[level.number] = len(self.ends)
            self.ends.append(offset + level.consumed)
            self.numbers.append(level.number)
            self.flows.append(flow + level.flow)
        return True

    def _parse_again(self) -> None:
        """Take the parser back to the end of the tape, after it has seen more."""
        self._parser = self._start(self.numbers[-1])
        self._origin = self.ends[-1], self.flows[-1]
        self._parser.feed(self.since(-1, len(self._data)))
