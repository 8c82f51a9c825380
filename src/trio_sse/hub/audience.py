"""Who hears the same thing: an audience, and the outlets through which it is reached.

An audience is everyone with the same selectors and the same framing on the wire, so that
matching, encoding and framing are done once for all of them. It holds only *live* outlets,
those that stand at the head of the log; whoever falls behind leaves it and comes back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pump import Pass

__all__ = ["Audience", "Frame", "Outlet", "identity"]

Frame = Callable[[bytes], bytes]
"""How encoded events become bytes of one wire. One function for all that are framed alike:
audiences are keyed by it."""


def identity(payload: bytes) -> bytes:
    """Frame nothing: for HTTP/1.0, and for HTTP/2, which frames once a connection."""
    return payload


class Outlet(ABC):
    """One way out to a number of subscribers that stand at the same cursor.

    On HTTP/1.1 an outlet is one client, on HTTP/2 all streams of one connection that belong
    to the same audience.
    """

    __slots__ = ("audience", "cursor", "file", "frame", "heard", "seal", "selectors")

    def __init__(self, selectors: frozenset[str], frame: Frame, cursor: int) -> None:
        self.selectors = selectors
        self.frame = frame
        self.cursor = cursor
        """Every matching entry before this position has been handed over. While the outlet is live
        and nothing matches it lags behind; `Hub.leave` makes it exact."""
        self.heard = 0.0
        """When it was last sent something, by the clock of Trio."""
        self.audience: Audience | None = None
        """The audience it is live in, or None while it catches up."""
        self.file = -1
        """The number of the file to which a pass may write what is framed while the outlet is live,
        or -1 if the outlet has to do it. Nothing else may be waiting to be written there. It is not
        closed before the outlet has left: the number would soon be another's."""
        self.seal: Callable[[bytes], bytes] | None = None
        """What encrypts for `file`, if it takes nothing else. It may return b"": `deliver` then."""

    @abstractmethod
    def deliver(self, framed: bytes, stop: int) -> None:
        """Hand over all that matches before position `stop`, without waiting.

        Either takes it all and moves the cursor to `stop`, or takes nothing and leaves the
        audience (`Hub.leave`). It may do both: take all and leave, if more would have to wait.
        """

    def delivered(self, framed: bytes, stop: int, sealed: bytes, taken: int) -> None:
        """Note that `file` has taken `taken` bytes of what `deliver` would be given, or of what
        `seal` has made of it; only then it may be none. For outlets that have a file.
        """
        raise NotImplementedError(f"{type(self).__name__} gives a file and is not told of its use")

    @abstractmethod
    def cut_off(self) -> None:
        """End the subscribers: `deliver` has failed, and they must not be left without a word."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the subscribers behind this outlet."""


class Audience:
    """The live outlets of one set of selectors and one framing, in the order they joined."""

    __slots__ = ("current", "frame", "latecomers", "live", "pending", "selectors")

    def __init__(self, selectors: frozenset[str], frame: Frame) -> None:
        self.selectors = selectors
        self.frame = frame
        self.live: dict[Outlet, None] = {}
        self.pending: int | None = None
        """Position of the first matching entry that no pass has begun to carry."""
        self.latecomers: list[Outlet] = []
        """Who has joined since then, and nothing matching was published since they did."""
        self.current: Pass | None = None
        """The pass under way. One at a time, so that nobody gets a batch before the last."""

    @property
    def settled(self) -> bool:
        """True if every live outlet has all that there is."""
        return self.pending is None and self.current is None

    def place_latecomers(self, position: int) -> None:
        """Note the first position that may be for them.

        By where they joined alone nobody could tell, once the log no longer reaches back to there,
        whether they have lost anything.
        """
        for outlet in self.latecomers:
            if outlet.audience is self:
                outlet.cursor = position
