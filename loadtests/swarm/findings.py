"""What a piece of input turned out to hold: the words that parsers and their readers share.

Values only. A parser is given bytes and answers with `Findings`; who counts them, and whether
they are counted at all, is not its business. A stream has a place among those of its
connection, from 0 on, which it keeps when it is opened again under another id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

__all__ = ["Batch", "Fault", "Findings", "Level", "Offence", "Parser", "Position", "Received"]

Fault = Literal[
    "lost",  # a number was skipped and has not turned up since
    "skipped",  # it was skipped after the server had said that it lost events
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


class Offence(NamedTuple):
    """A fault, and where it was found."""

    fault: Fault
    stream: int = 0
    """The place of the stream."""
    first: int | None = None
    """The events that it concerns, from this number on, if it is known which."""
    last: int | None = None

    @property
    def events(self) -> int:
        """How many events it concerns."""
        if self.first is None or self.last is None:
            return 1
        return self.last - self.first + 1


class Received(NamedTuple):
    """An event as it was published."""

    number: int
    published: int
    """By the publisher's clock, in ns."""
    id: bytes


Batch = tuple[int, tuple[Received, ...]]
"""The place of a stream, and what it has received in its turn, in one piece."""


class Position(NamedTuple):
    """The last event that a stream received in its turn: where it goes on."""

    number: int | None = None
    id: bytes = b""
    """The last event id: what Last-Event-ID says."""
    skipped: frozenset[int] = frozenset()
    """Numbers before it that have not turned up, so that one that does is known for late."""


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
    """What one call of `Parser.feed` found. Streams are named by their places."""

    received: list[Batch] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    """The numbers of those events that are the first of their stream."""
    learned: list[Received] = field(default_factory=list)
    """Those of them that have not just been found by another stream."""
    levels: list[Level] = field(default_factory=list)
    offences: list[Offence] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    """Streams that were answered with 200."""
    refused: list[int] = field(default_factory=list)
    """Streams that were answered otherwise."""
    ended: list[int] = field(default_factory=list)
    """Streams that the server ended, once they had been answered with 200."""
    closing: bool = False
    """The server takes no more requests on this connection (RFC 9113, 6.8)."""
    unchunked: bool = False
    """The body of an HTTP/1.1 answer ends with its connection, and is not cut into chunks."""
    retry: int | None = None
    """How long to wait before connecting again, in ms, if the server has said so."""
    replies: bytes = b""
    """What the protocol wants sent: acknowledgements."""

    @property
    def is_plain(self) -> bool:
        """True if there is nothing but faultless events, which want no answer."""
        return not (
            self.offences
            or self.replies
            or self.opened
            or self.refused
            or self.ended
            or self.closing
            or self.retry is not None
        )


class Parser(Protocol):
    """Understands what one connection receives; bytes in, findings out."""

    consumed: int
    """Bytes from its start to the end of the last unit of the protocol that it has read."""
    unread: bytes
    """Bytes that it has been given beyond that."""

    def feed(self, data: bytes, levels: int = 0) -> Findings:
        """Take the next bytes, cut anywhere; read on until so many levels are found, if any."""

    def positions(self) -> list[Position]:
        """Return where each stream stands."""

    def skipped(self) -> list[frozenset[int]] | None:
        """Return the numbers that each stream has skipped; None if there are none."""
