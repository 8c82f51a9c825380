"""One group of an HTTP/2 connection's followers, as the hub sees it.

The pump has all its streams written in one buffer. A group catches up together when it is the
connection that is slow; which streams it consists of is up to `followers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..coding import Checksum
from ..hub import Hub, Outlet, identity
from ..hub.audience import Frame
from ..wire.http2 import Group
from .exchange import HEARTBEAT

if TYPE_CHECKING:
    from .http2_streams import Http2Streams

__all__ = ["CATCH_UP_BYTES", "GroupOutlet"]

CATCH_UP_BYTES = 64 * 1024
"""What a straggler is sent at a time."""

GROUP_WRITE_BYTES = 1024 * 1024
"""What a group is sent in one buffer. A large event for many streams would be copied that many
times at once; beyond this its streams go on alone, each with one copy at a time."""


class GroupOutlet(Outlet):
    """Streams of one connection that hear the same and stand at the same cursor."""

    __slots__ = ("_connection", "checksum", "group", "hub")

    def __init__(
        self, connection: Http2Streams, hub: Hub, selectors: frozenset[str], frame: Frame
    ) -> None:
        super().__init__(selectors, frame, hub.log.head)
        self._connection = connection
        self.hub = hub
        self.group = Group(connection.wire)
        self.checksum = None if frame is identity else Checksum()
        """Of what the group has been sent, if it is compressed."""
        self.heard = trio.current_time()
        connection.followers.outlets[self] = None

    def __len__(self) -> int:
        return len(self.group)

    @property
    def at_head(self) -> bool:
        """True if the group is live and has all that there is."""
        return self.audience is not None and self.hub.cursor_of(self) == self.hub.log.head

    def go_live(self) -> None:
        """Join the audience; the group has all that there is."""
        self.hub.join(self)
        self._merge()

    def discard(self, stream_id: int) -> None:
        """Let go of a stream."""
        self.group.discard(stream_id)
        if not self.group:
            self.retire()
        # It needs less room now: it may go on itself, or others with what was meant for it.
        self._connection.windows.wake(self)
        self._connection.windows.connection_opened()

    def retire(self) -> None:
        """End the group: its streams are gone, or elsewhere."""
        self.hub.leave(self)
        self._connection.followers.forget(self)

    def tick(self, now: float) -> None:
        """Send a heartbeat if nothing else was sent for long enough."""
        connection = self._connection
        if now - self.heard < connection.service.silence:
            return
        if self.audience is None or not connection.outbox.clear:
            return
        heartbeat = self.frame(HEARTBEAT)
        for stream_id in self.group.shut(len(heartbeat)):
            # Its silence must not be that of the others.
            cursor = self.hub.cursor_of(self)
            connection.followers.fall_behind(stream_id, self.hub, self.selectors, cursor)
        if self._send(heartbeat):
            self.heard = now

    def deliver(self, framed: bytes, stop: int) -> None:
        outbox = self._connection.outbox
        if outbox.clear and self._send(framed):
            self.cursor = stop
            if outbox.clear:
                if len(self._connection.followers.outlets) > 1:
                    self._merge()
                return
        self.hub.leave(self)
        self._connection.start_soon(self._catch_up)

    def cut_off(self) -> None:
        self._connection.fail()

    def _send(self, payload: bytes) -> bool:
        if len(payload) * len(self.group) > GROUP_WRITE_BYTES:
            return False
        frames = self.group.frames(payload)
        if frames is None:
            return False
        if self.checksum is not None:
            self.checksum.add(payload)
        self._connection.flush(frames)
        return True

    def _merge(self) -> None:
        followers = self._connection.followers
        primary = followers.adopt(self)
        if primary is not self and self.hub.cursor_of(primary) == self.hub.cursor_of(self):
            followers.move(self, primary)

    @property
    def _room(self) -> int:
        """How many bytes to all streams together may go through at once, sooner or later.

        Clients give back a window once half of it is used (h2, nghttp2, Chromium): what is more
        than the other half may wait for room that never comes.
        """
        return min(self._connection.widest_window // 2, GROUP_WRITE_BYTES)

    async def _catch_up(self) -> None:
        connection = self._connection
        while True:
            await connection.outbox.drained()
            if not self.group:  # All its streams have left meanwhile.
                return
            # As many events as the connection's window lets through, but one at least.
            most = min(CATCH_UP_BYTES, self._room // len(self.group))
            payload, cursor = self.hub.read(self.selectors, self.cursor, max_bytes=most)
            if not payload:
                self.go_live()
                return
            payload = self.frame(payload)
            if self._send(payload):
                self.cursor = cursor
                self.heard = trio.current_time()
            else:
                await self._make_room(len(payload))

    async def _make_room(self, length: int) -> None:
        connection = self._connection
        slow = self.group.shut(length)
        if not slow and length * len(self.group) <= self._room:
            # There will be room when the client has read on.
            deadline = trio.current_time() + connection.service.limits.write_timeout
            total = length * len(self.group)
            if await connection.windows.opened_for_all(self, total, deadline):
                return
        for stream_id in slow or list(self.group):
            connection.followers.fall_behind(stream_id, self.hub, self.selectors, self.cursor)
