"""The followers of one HTTP/2 connection: streams that the hub writes to.

Those that stand at the head of the log and hear the same are one group (`group_outlet`). Who
lacks room in its window leaves the group and catches up alone, in a task, until it stands at
the head again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from ..coding import Deflated
from ..hub import Hub, identity
from ..hub.audience import Frame
from .exchange import StreamClosed
from .group_outlet import CATCH_UP_BYTES, GroupOutlet

if TYPE_CHECKING:
    from .http2_streams import Http2Streams

__all__ = ["Followers"]


class Followers:
    """Who follows what on one connection, by stream id. Nothing here blocks."""

    __slots__ = ("_bodies", "_connection", "_expiry", "_members", "_primary", "outlets")

    def __init__(self, connection: Http2Streams) -> None:
        self._connection = connection
        self._members: dict[int, GroupOutlet | Straggler] = {}
        self._bodies: dict[int, Deflated] = {}
        """Of the streams that are compressed."""
        self._primary: dict[tuple[Hub, frozenset[str], Frame], GroupOutlet] = {}
        """Of each audience the group that others join."""
        self.outlets: dict[GroupOutlet, None] = {}
        self._expiry: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[int]:
        """Iterate over stream ids; followers may come and go meanwhile."""
        return iter(tuple(self._members))

    def add(
        self,
        stream_id: int,
        hub: Hub,
        selectors: frozenset[str],
        cursor: int,
        opening: bytes,
        body: Deflated | None = None,
    ) -> None:
        """Have a stream follow the hub from `cursor` on, after the payload `opening`.

        With a `body` all of it is compressed.
        """
        if body is not None:
            self._bodies[stream_id] = body
            opening = body.begin(opening)
        expiry = self._connection.service.expiry(trio.current_time())
        if expiry is not None:
            self._expiry[stream_id] = expiry
        taken = self._connection.wire.send(stream_id, opening) if opening else 0
        if taken == len(opening) and cursor == hub.log.head:
            self.join(stream_id, hub, selectors)
        else:
            self.fall_behind(stream_id, hub, selectors, cursor, opening[taken:])

    def discard(self, stream_id: int) -> memoryview | None:
        """Let go of a stream; None if it did not follow anything.

        Returns what is still to be sent to it of events that have begun to leave.
        """
        member = self._members.pop(stream_id, None)
        if member is None:
            return None
        self._expiry.pop(stream_id, None)
        self._bodies.pop(stream_id, None)
        if isinstance(member, GroupOutlet):
            member.discard(stream_id)
            return memoryview(b"")
        member.scope.cancel()
        # What has not begun to leave is not missed: it is in the log, after what the client has.
        return member.rest if member.has_begun else memoryview(b"")

    def end(self, stream_id: int) -> bool:
        """End a stream properly, saying when to come back if the server drains.

        False if it did not follow anything. A stream that the client has left just goes.
        """
        connection = self._connection
        body = self._bodies.get(stream_id)
        rest = self.discard(stream_id)
        if rest is None:
            return False
        # In the middle of an event a farewell would become part of it, and complete it; without
        # one the client discards what is not complete (WHATWG HTML, 9.2.6).
        if not rest:
            last_words = connection.service.farewell() if connection.service.draining else b""
            if body is not None:
                last_words = body.finish(last_words)
            if last_words:
                connection.wire.send(stream_id, last_words)
        connection.wire.end(stream_id)
        return True

    def tick(self, now: float) -> None:
        """Send heartbeats where nothing else was sent, and end streams that are old enough."""
        for outlet in list(self.outlets):
            outlet.tick(now)
        for stream_id in [each for each, expiry in self._expiry.items() if now >= expiry]:
            self._connection.stop(stream_id)

    def join(self, stream_id: int, hub: Hub, selectors: frozenset[str]) -> None:
        """Make a stream live. It has just been given all that there is, without a checkpoint."""
        body = self._bodies.get(stream_id)
        frame = identity if body is None else body.coding.encode
        outlet = self._primary.get((hub, selectors, frame))
        if outlet is None or not outlet.at_head:
            outlet = GroupOutlet(self._connection, hub, selectors, frame)
            outlet.go_live()
        self._put(stream_id, outlet)

    def _put(self, stream_id: int, outlet: GroupOutlet) -> None:
        outlet.group.add(stream_id)
        self._members[stream_id] = outlet
        if outlet.checksum is not None:
            self._bodies[stream_id].share(outlet.checksum)

    def fall_behind(
        self, stream_id: int, hub: Hub, selectors: frozenset[str], cursor: int, rest: bytes = b""
    ) -> None:
        """Have a stream catch up alone, after `rest`."""
        member = self._members.get(stream_id)
        if isinstance(member, GroupOutlet):
            if member.checksum is not None:
                self._bodies[stream_id].part()
            member.discard(stream_id)
        straggler = self._members[stream_id] = Straggler(rest)
        self._connection.start_soon(self._catch_up, straggler, stream_id, hub, selectors, cursor)

    async def _catch_up(
        self,
        straggler: Straggler,
        stream_id: int,
        hub: Hub,
        selectors: frozenset[str],
        cursor: int,
    ) -> None:
        body = self._bodies.get(stream_id)
        with straggler.scope:
            # It may have been let go before this task had its first turn.
            await trio.lowlevel.checkpoint_if_cancelled()
            while True:
                if not straggler.rest:
                    # What there is room for, or one event: what waits for room is held in memory,
                    # and a client may open hundreds of streams and no window.
                    most = min(CATCH_UP_BYTES, self._connection.wire.window(stream_id))
                    payload, cursor = hub.read(selectors, cursor, max_bytes=most)
                    if not payload:
                        self.join(stream_id, hub, selectors)
                        return
                    if body is not None:
                        payload = body.coding.encode(payload)
                    straggler.rest, straggler.has_begun = memoryview(payload), False
                try:
                    straggler.rest = await self._connection.write(stream_id, straggler.rest)
                except StreamClosed:
                    self._connection.stop(stream_id)
                    return
                if not straggler.has_begun:
                    straggler.has_begun = True
                    if body is not None:
                        body.said(payload)

    def adopt(self, outlet: GroupOutlet) -> GroupOutlet:
        """Return the group that this one should be part of now that it is live: maybe itself."""
        key = (outlet.hub, outlet.selectors, outlet.frame)
        primary = self._primary.get(key)
        if primary is None or primary.audience is None:
            self._primary[key] = primary = outlet
        return primary

    def move(self, source: GroupOutlet, target: GroupOutlet) -> None:
        """Merge one group into another that stands at the same cursor."""
        for stream_id in source.group:
            self._put(stream_id, target)
        source.retire()

    def retire(self) -> None:
        """Let go of the connection, which is over and has nobody left to say anything to."""
        if not self._members and not self.outlets:
            del self._connection

    def forget(self, outlet: GroupOutlet) -> None:
        """Drop a group without streams."""
        self.outlets.pop(outlet, None)
        key = (outlet.hub, outlet.selectors, outlet.frame)
        if self._primary.get(key) is outlet:
            del self._primary[key]


class Straggler:
    """A stream that catches up alone, in a task."""

    __slots__ = ("has_begun", "rest", "scope")

    def __init__(self, rest: bytes) -> None:
        self.scope = trio.CancelScope()
        self.rest = memoryview(rest)
        """What it is still to be sent before it reads on in the log."""
        self.has_begun = True
        """Whether some of that has left."""
