"""Connections that are sent the same bytes, and what is known of those: the tape and the ids.

One for each server and number of streams, because servers have ids of their own and frames
name their streams.
"""

from __future__ import annotations

from collections.abc import Sequence

from .book import Book
from .events import Known
from .findings import Parser, Position, Received
from .tape import Tape
from .target import Target
from .windows import Windows

__all__ = ["Audience"]

LONGEST_TAPE = 32 * 1024 * 1024
"""After so many bytes a new tape is begun, so that long runs end with the memory they had."""


class Audience:
    """Everyone who is on a tape together, or may come to be."""

    def __init__(self, target: Target, book: Book, streams: int) -> None:
        self.streams = streams
        """Of each connection."""
        self.tape: Tape | None = None
        """The tape that connections go onto."""
        self.chunked = True
        """Whether answers of HTTP/1.1 are, as those before were."""
        self._target = target
        self._book = book
        self._known = Known()
        self._ids: dict[int, bytes] = {}
        """Of each event its id, if there is one topic."""

    def learn(self, events: Sequence[Received]) -> None:
        """Take note of events that somebody has received."""
        if self._target.one_topic:
            for event in events:
                self._ids[event.number] = event.id
            self._book.learn(events)

    def tape_from(self, number: int) -> Tape:
        """Return a tape on which event `number` may be found."""
        tape = self.tape
        if tape is None or (len(tape) > LONGEST_TAPE or number > tape.numbers[-1]):
            self.tape = tape = Tape(number, self._start_tape, self.learn)
        return tape

    def position(self, number: int) -> Position:
        """Return the position just after an event that somebody has received."""
        return Position(number, self._ids.get(number, b""))

    def parser(
        self,
        client: int,
        windows: Windows | None,
        positions: Sequence[Position],
        *,
        opened: bool = False,
    ) -> Parser:
        """Return a parser for a connection whose streams stand there.

        With `opened` they are under way, else they are yet to be answered.
        """
        return self._target.parser(
            client, windows, positions, self._known, opened=opened, chunked=self.chunked
        )

    def _start_tape(self, number: int) -> Parser:
        return self.parser(0, None, [self.position(number)] * self.streams, opened=True)
