"""What a piece of input turned out to hold: the words that parsers and their readers share.

Values only. A parser is given bytes and answers with `Findings`; who counts them, and whether
they are counted at all, is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

__all__ = ["Fault", "Findings", "Level", "Parser", "Position", "Received"]

Fault = Literal[
    "lost",  # a number was skipped and has not turned up since
    "repeated",  # an event came twice
    "reordered",  # a skipped number turned up later
    "corrupt",  # an event is not as it was published
    "misdirected",  # an event of a topic that the stream does not follow
    "gap",  # the server says that it lost events
    "refused",  # the answer is not 200
    "broken",  # not the protocol
    "ended",  # the server ended the stream, or closed the connection
    "dropped",  # it did so to a client that had read nothing for a while
    "missing",  # not there when everyone was to have everything
]


class Received(NamedTuple):
    """An event that a stream received as it was published."""

    number: int
    published: int
    """By CLOCK_MONOTONIC, in ns."""
    id: bytes


class Position(NamedTuple):
    """The last event that a stream received in its turn: where it goes on."""

    number: int | None = None
    id: bytes = b""


class Level(NamedTuple):
    """A point between two units of the protocol where all streams stand at the same event."""

    consumed: int
    """Bytes from the parser's start to here."""
    number: int
    """Of the last event that each stream has."""
    flow: int
    """Bytes from the parser's start to here that count against the connection's window."""


@dataclass(slots=True)
class Findings:
    """What one call of `Parser.feed` found."""

    received: list[Received] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    opened: int = 0
    """Streams that were answered with 200."""
    unchunked: bool = False
    """The body of an HTTP/1.1 answer ends with its connection, and is not cut into chunks."""
    replies: bytes = b""
    """What the protocol wants sent: acknowledgements."""


class Parser(Protocol):
    """Understands what one connection receives; bytes in, findings out."""

    def feed(self, data: bytes) -> Findings:
        """Take the next bytes, cut anywhere."""

    def positions(self) -> list[Position]:
        """Return where each stream stands."""
