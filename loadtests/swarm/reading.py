"""What one connection receives, understood: on the tape, or by a parser of its own.

It is on the tape while it receives what others of its audience do, else it has a parser, until
its streams stand at one event again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .audience import Audience
from .client import Client
from .findings import Findings, Position
from .link import Link
from .tape import Tape

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["Reading"]

SHYEST = 63
"""Levels that a connection lets pass before it goes onto the tape again, if it had to leave it
at once the last times: coming and going costs as much as parsing some levels."""


class Reading:
    """The receiving half of a connection. It sends nothing itself."""

    __slots__ = (
        "_audience",
        "_joined",
        "_level",
        "_link",
        "_loop",
        "_offset",
        "_parser",
        "_shy",
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
        self._parser = audience.parser(client.number, self._windows, client.positions)
        self._tape: Tape | None = None
        """If it is set, the parser is out of date, and the next four count."""
        self._offset = 0
        self._level = 0
        self._joined = 0
        """The level at which it went onto the tape."""
        self._skipped: list[frozenset[int]] | None = None
        """Of each stream, if any has skipped numbers."""
        self._shy = 0
        """How many levels to let pass before it goes onto a tape."""

    def _send(self, data: bytes) -> None:
        """Have something sent that HTTP/2 wants."""
        raise NotImplementedError

    def _account(self, found: Findings) -> None:
        """Take note of what is not just events."""
        raise NotImplementedError

    def _take(self, data: bytes | memoryview) -> None:
        """Take what was read."""
        while data:
            tape = self._tape
            if tape is None:
                data = self._parse(bytes(data))
            elif tape.matches(data, self._offset) or tape.extend(data, self._offset):
                self._advance(tape, len(data))
                return
            else:
                self._leave_tape(tape)

    def _advance(self, tape: Tape, length: int) -> None:
        offset = self._offset = self._offset + length
        following, windows = self._level + 1, self._windows
        if following < len(tape.ends) and tape.ends[following] <= offset:
            self._pass_levels(tape)
        if windows is None or self._tape is not tape:
            return
        if offset - tape.ends[self._level] > windows.patience:
            # Windows are returned at levels. Far from one, frames are counted as they come: the
            # server may be waiting for a window, and then no more of them would.
            self._leave_tape(tape)

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

    def _parse(self, data: bytes) -> bytes:
        """Understand what came, up to a level at which it goes onto the tape; return the rest."""
        parser = self._parser
        while not self.over:
            wanted = self._shy + 1 if self._loop.target.one_topic and not self.reopened else 0
            found = parser.feed(data, wanted)
            self._note(found)
            if not found.levels or found.levels[-1].consumed != parser.consumed:
                break
            self._shy = max(0, self._shy - len(found.levels))
            may_join = wanted and not (self._shy or self.over or self.reopened)
            if may_join and self._go_onto_tape(found.levels[-1].number):
                return parser.unread
            if not parser.unread:
                break
            data = b""  # It has the rest, and stopped at the level.
        return b""

    def _note(self, found: Findings) -> None:
        if found.learned:
            self._audience.learn(found.learned)
        if found.received:
            link = self._link
            self._loop.book.delivered(
                self.client, found.received, found.begun, link.kernel, link.now
            )
        if not found.is_plain or found.unchunked:
            self._account(found)

    # -- the tape -----------------------------------------------------------------------

    def _stay_off_tape(self) -> None:
        if self._tape is not None:
            self._leave_tape(self._tape)
        self.reopened = True

    def _go_onto_tape(self, number: int) -> bool:
        """Go onto the tape if it has a level there; tell whether it has."""
        tape = self._audience.tape_from(number)
        level = tape.find(number)
        if level is None:
            return False
        if self._tape is None:
            self._skipped = self._parser.skipped()
        self._tape, self._level, self._offset = tape, level, tape.ends[level]
        self._joined = level
        return True

    def _leave_tape(self, tape: Tape) -> None:
        """Go on alone, from the last level: what came after it has not been counted yet."""
        self._shy = 0 if self._level > self._joined else min(2 * self._shy + 1, SHYEST)
        positions = self.positions()
        self._parser = self._audience.parser(
            self.client.number, self._windows, positions, opened=True
        )
        self._tape = None
        if seen := tape.since(self._level, self._offset):
            self._note(self._parser.feed(seen))

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
