"""The fast path: one payload to every stream of a group, in one buffer.

Frames that carry the same payload to different streams differ in nine bytes, and of those
only in the stream id. With `head` = length and type, and a `tail` = flags and stream id for
each stream, the whole buffer is `head + (payload + head).join(tails) + payload`: one
`bytes.join`, in C.

Its bookkeeping is one addition, `sent`: the bytes each member of the group has been sent since
the group began. A stream that may be sent w more bytes has the limit `sent + w`, which does
not change when the group sends, so that no statement is run per stream. The smallest limit is
not looked for either, but a lower bound of it kept, and found anew only when it is reached.

h2 keeps a window for each stream too, and it is not told of each payload. So it is the stale
one, and must be settled before h2 reads or changes it: on WINDOW_UPDATE, else h2 takes a
client that returns what it got for one that overflows its window (RFC 9113, 6.9.1), on
SETTINGS (6.9.2), before anything else is sent on the stream, and when it leaves the group.
The connection's window, one number, is settled at once. Who is to settle what when is up to
`Http2`; how is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .h2_server import H2Server

__all__ = ["Connection", "Group"]

LARGEST_WINDOW = 2**31 - 1
"""RFC 9113, 6.9.1."""

_DATA = b"\0"


class Connection(Protocol):
    """What a group needs of the connection it belongs to."""

    @property
    def h2(self) -> H2Server:
        """h2's side of it."""

    @property
    def groups(self) -> dict[int, Group]:
        """The group that each stream is in, of those that are in one."""

    def is_open(self, stream_id: int) -> bool:
        """Tell whether the stream can still be sent something."""


class Group:
    """Streams of one connection that hear the same and stand at the same cursor.

    A stream is in one group at most. Streams that close leave by themselves. Whatever the
    connection has in its `output()` must be written before the frames made here, since
    the heads of these streams may be in there. Nothing here blocks or raises.
    """

    __slots__ = ("_connection", "_h2", "_least", "_limits", "_row", "_sent", "_tails")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._h2 = connection.h2
        self._tails: dict[int, bytes] = {}
        self._row: list[bytes] | None = None
        """The tails in a list, until the group changes: `join` would make one for each event."""
        self._limits: dict[int, int] = {}
        self._sent = 0
        self._least = 0

    def add(self, stream_id: int) -> bool:
        """Take in a stream, out of the group it was in; False if it is closed."""
        former = self._connection.groups.get(stream_id)
        if former is not None:
            former.discard(stream_id)
        if not self._connection.is_open(stream_id):
            return False
        self._connection.groups[stream_id] = self
        self._tails[stream_id] = b"\0" + stream_id.to_bytes(4)
        self._row = None
        self.refresh(stream_id)
        return True

    def discard(self, stream_id: int) -> None:
        """Let go of a stream, if it is in the group."""
        if stream_id in self._tails:
            self.settle(stream_id)
            del self._tails[stream_id], self._limits[stream_id]
            self._row = None
            del self._connection.groups[stream_id]

    def __len__(self) -> int:
        return len(self._tails)

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._tails

    def __iter__(self) -> Iterator[int]:
        """Iterate over stream ids; the group may change meanwhile."""
        return iter(tuple(self._tails))

    def frames(self, payload: bytes) -> bytes | None:
        """Return the bytes that carry `payload` to every stream of the group: write them.

        They count as sent, so they must be. None, and nothing has changed, if the window of
        the connection or of some stream is too small for it: `shut` tells which. A payload
        longer than the peer's frames is sent in rounds, a piece to each stream. b"" for an
        empty group. The result is as long as the payload times the streams.
        """
        h2 = self._h2
        length = len(payload)
        total = length * len(self._tails)
        if total > h2.outbound_flow_control_window:
            return None
        sent = self._sent + length
        if sent > self._least and not self._has_room(sent):
            return None
        if not total:
            return b""
        self._sent = sent
        h2.outbound_flow_control_window -= total
        tails = self._row
        if tails is None:
            tails = self._row = list(self._tails.values())
        longest = h2.max_outbound_frame_size
        if length <= longest:
            h2.frames_sent += len(tails)
            head = length.to_bytes(3) + _DATA
            return head + (payload + head).join(tails) + payload
        rounds = []
        for start in range(0, length, longest):
            piece = payload[start : start + longest]
            head = len(piece).to_bytes(3) + _DATA
            rounds.append(head + (piece + head).join(tails) + piece)
            h2.frames_sent += len(tails)
        return b"".join(rounds)

    def shut(self, length: int) -> list[int]:
        """Return the streams that lack room for `length` bytes.

        When `frames` has returned None and this is empty, it is the connection that lacks it.
        """
        needed = self._sent + length
        return [stream_id for stream_id, limit in self._limits.items() if limit < needed]

    def _has_room(self, sent: int) -> bool:
        self._least = min(self._limits.values(), default=sent)
        return sent <= self._least

    # -- settling, for Http2 ----------------------------------------------------------

    def settle(self, stream_id: int) -> None:
        """Tell h2 the true window of a stream of the group: limit - sent."""
        window = self._limits[stream_id] - self._sent
        self._h2.streams[stream_id].outbound_flow_control_window = window

    def widen(self, stream_id: int, increment: int) -> bool:
        """Count a WINDOW_UPDATE without h2; False, and nothing has changed, if it overflows."""
        limit = self._limits[stream_id] + increment
        if limit - self._sent > LARGEST_WINDOW:
            return False
        # `_least` stays: one that is too low is only a reason to look.
        self._limits[stream_id] = limit
        return True

    def refresh(self, stream_id: int) -> None:
        """Take over from h2 the window of a stream of the group, after it has changed."""
        limit = self._h2.streams[stream_id].outbound_flow_control_window + self._sent
        self._limits[stream_id] = limit
        # A limit that rises may leave the bound too low, which is only a reason to look.
        self._least = min(self._least, limit)
