"""What one connection receives, understood: on the tape, or by a parser of its own.

It is on the tape while it receives what others of its audience do, else it has a parser, until
its streams stand at one event again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .audience import Audience
from .client import Client
from .findings import Findings, Parser, Position
from .link import Link
from .tape import Tape

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["Reading"]

FAR_FROM_A_LEVEL = 24 * 1024
"""On the tape, HTTP/2's windows are returned at levels. If the next is further than this a
window could close before it is reached: then frames are counted as they come."""


class Reading:
    """The receiving half of a connection. It sends nothing itself."""

    __slots__ = (
        "_audience",
        "_fed",
        "_level",
        "_link",
        "_loop",
        "_offset",
        "_parser",
        "_skipped",
        "_tape",
        "_windows",
        "client",
        "over",
        "reopened",
    )

    def __init__(self, loop: Loop, client: Client, audience: Audience, link: Link) -> None:
        target = loop.target
        self._loop = loop
        self._audience = audience
        self._link = link
        self.client = client
        self.over = False
        self.reopened = False
        """Whether streams have ids of their own, which no tape knows."""
        self._windows = target.make_windows(client.streams, loop.random.random())
        self._parser: Parser = target.parser(client.number, self._windows, client.positions)
        self._fed = 0
        """Bytes given to the parser."""
        self._tape: Tape | None = None
        """If it is set, the parser is out of date, and the next three count."""
        self._offset = 0
        self._level = 0
        self._skipped: list[frozenset[int]] | None = None
        """Of each stream, if any has skipped numbers."""

    def _send(self, data: bytes) -> None:
        """Have something sent that HTTP/2 wants."""
        raise NotImplementedError

    def _account(self, found: Findings) -> None:
        """Take note of what is not just events."""
        raise NotImplementedError

    def _take(self, data: memoryview, length: int) -> None:
        tape = self._tape
        if tape is None:
            self._parse(bytes(data))
        elif tape.matches(data, self._offset) or tape.extend(data, self._offset):
            offset = self._offset = self._offset + length
            following = self._level + 1
            if following < len(tape.ends) and tape.ends[following] <= offset:
                self._pass_levels(tape)
            elif offset - tape.ends[self._level] > FAR_FROM_A_LEVEL and self._windows is not None:
                self._leave_tape(tape)
        else:
            self._leave_tape(tape)
            self._parse(bytes(data))

    def _pass_levels(self, tape: Tape) -> None:
        before, after = self._level, tape.level_before(self._offset, self._level)
        self._level = after
        first, last = tape.numbers[before] + 1, tape.numbers[after]
        if first <= last:  # else a level without an event: a comment
            link = self._link
            self._loop.book.passed(self.client, first, last, link.kernel, link.now)
        if self._windows is not None:
            self._windows.arrived_everywhere(tape.flows[after] - tape.flows[before])
            if due := self._windows.due():
                self._send(due)
        if tape is not self._audience.tape and self._offset == tape.ends[after]:
            self._go_onto_tape(tape.numbers[after])

    def _parse(self, data: bytes) -> None:
        self._fed += len(data)
        found = self._parser.feed(data)
        if found.received:
            self._audience.learn(found.received)
            link = self._link
            self._loop.book.delivered(
                self.client, found.received, found.begun, link.kernel, link.now
            )
        if not found.is_plain or found.unchunked:
            self._account(found)
        at_level = found.levels and found.levels[-1].consumed == self._fed
        if at_level and self._loop.target.one_topic and not (self.over or self.reopened):
            self._go_onto_tape(found.levels[-1].number)

    # -- the tape -----------------------------------------------------------------------

    def _stay_off_tape(self) -> None:
        if self._tape is not None:
            self._leave_tape(self._tape)
        self.reopened = True

    def _go_onto_tape(self, number: int) -> None:
        tape = self._audience.tape_from(number)
        if tape is not None and (level := tape.find(number)) is not None:
            if self._tape is None:
                skipped = [position.skipped for position in self._parser.positions()]
                self._skipped = skipped if any(skipped) else None
            self._tape, self._level, self._offset = tape, level, tape.ends[level]

    def _leave_tape(self, tape: Tape) -> None:
        """Go on alone, from the last level: what came after it has not been counted yet."""
        positions = self.positions()
        self._parser = self._audience.parser_at(positions, self.client.number, self._windows)
        self._tape = None
        self._fed = 0
        seen = tape.since(self._level, self._offset)
        if seen:
            self._parse(seen)

    # -- where it stands ----------------------------------------------------------------

    def positions(self) -> list[Position]:
        """Return where each stream stands, to go on from there."""
        if self._tape is None:
            return self._parser.positions()
        position = self._audience.position(self._tape.numbers[self._level])
        if self._skipped is None:
            return [position] * self.client.streams
        return [position._replace(skipped=skipped) for skipped in self._skipped]

    def has(self, number: int) -> bool:
        """Tell whether every stream has the event, or a later one."""
        return not self.lacking(number)

    def lacking(self, number: int) -> int:
        """Return how many streams have neither the event nor a later one."""
        if self._tape is not None:
            return 0 if self._tape.numbers[self._level] >= number else self.client.streams
        return sum((each.number or 0) < number for each in self._parser.positions())
