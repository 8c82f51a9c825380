"""An HTTP/2 client over a transport in memory; h2 checks what it is answered.

Whatever passes h2 was allowed: a byte over a window or a frame out of place raises.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable

import trio
import trio.testing
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.events import (
    Event as H2Event,
)
from h2.exceptions import StreamClosedError
from hyperframe.frame import Frame, GoAwayFrame

from trio_sse.event import Decoder, Event
from trio_sse.transport import MemoryTransport

from .inflating import Inflater

__all__ = ["Http2Client"]

LARGEST_WINDOW = 2**31 - 1


class _H2(H2Connection):
    """h2's client, that goes on reading its streams after a GOAWAY (RFC 9113, 6.8); h2 does not."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[H2Event]]:
        outcome = super()._receive_goaway_frame(frame)
        self.state_machine.state = ConnectionState.CLIENT_OPEN
        return outcome


class Http2Client:
    """One connection. It reads only when it is asked to: at other times it is a slow client."""

    def __init__(
        self,
        transport: MemoryTransport,
        *,
        stream_window: int = LARGEST_WINDOW,
        connection_window: int = LARGEST_WINDOW,
        gives_back: bool = True,
    ) -> None:
        self.transport = transport
        self.h2 = _H2(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.local_settings.initial_window_size = stream_window
        self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        if connection_window > self.h2.inbound_flow_control_window:
            grown = connection_window - self.h2.inbound_flow_control_window
            self.h2.increment_flow_control_window(grown)
        self.gives_back = gives_back
        """Whether it opens the windows again by what it has read."""
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: defaultdict[int, bytes] = defaultdict(bytes)
        """What came of each answer's body so far, decoded."""
        self.inflaters: dict[int, Inflater] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaways: list[int] = []
        self.pings = 0
        self.is_closed = False
        self.taken = 0
        """Bytes read, frames and all."""
        self._unsent = b""
        self._decoders: defaultdict[int, Decoder] = defaultdict(Decoder)
        self._events: defaultdict[int, list[Event]] = defaultdict(list)

    # -- asking -----------------------------------------------------------------------

    def flush(self) -> None:
        """Send what fits of what h2 has to say."""
        self._unsent += self.h2.data_to_send()
        self._unsent = self._unsent[self.transport.send(self._unsent) :]

    def ask(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> int:
        """Send a whole request and return its stream id."""
        stream_id = self.h2.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "example.org"),
            (":path", target),
        ]
        self.h2.send_headers(stream_id, [*fields, *headers], end_stream=not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=True)
        self.flush()
        return stream_id

    async def open(self, target: str = "/", *, last_event_id: str | None = None) -> int:
        """Ask for a stream, read its head, and return its id."""
        headers = [] if last_event_id is None else [("last-event-id", last_event_id)]
        stream_id = self.ask(target, headers=headers)
        await self.head(stream_id)
        return stream_id

    def reset(self, stream_id: int) -> None:
        """Cancel a stream."""
        self.h2.reset_stream(stream_id, 8)
        self.flush()

    def widen(self, size: int, stream_id: int | None = None) -> None:
        """Open a window."""
        self.h2.increment_flow_control_window(size, stream_id)
        self.flush()

    def leave(self) -> None:
        """Close the connection."""
        self.transport.close()

    # -- reading ----------------------------------------------------------------------

    def take(self) -> bool:
        """Take what has arrived; False if nothing has."""
        if not self._take_once():
            return False
        while self._take_once():
            pass
        return True

    def _take_once(self) -> bool:
        data = None if self.is_closed else self.transport.receive()
        if data is None:
            return False
        if not data:
            self.is_closed = True
            return True
        self.taken += len(data)
        for event in self.h2.receive_data(data):
            match event:
                case ResponseReceived():
                    head = {str(k): str(v) for k, v in event.headers}
                    self.heads[event.stream_id] = head
                    self.inflaters[event.stream_id] = Inflater(head)
                case DataReceived():
                    self._take_data(event)
                case StreamEnded():
                    self.ended.add(event.stream_id)
                case StreamReset():
                    self.resets[event.stream_id] = int(event.error_code or 0)
                case ConnectionTerminated():
                    self.goaways.append(int(event.error_code or 0))
                case PingReceived():
                    self.pings += 1
        if not self.transport.other.closed:
            self.flush()
        return True

    def _take_data(self, event: DataReceived) -> None:
        stream_id = event.stream_id
        data = self.inflaters[stream_id].feed(event.data)
        self.bodies[stream_id] += data
        self._events[stream_id] += self._decoders[stream_id].feed(data)
        if self.gives_back and event.flow_controlled_length:
            with contextlib.suppress(StreamClosedError):  # it has ended with these bytes
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read until something is so."""
        await trio.lowlevel.checkpoint()
        while not condition():
            if not self.take():
                assert not self.is_closed, "the connection is closed"
                await self.transport.wait_readable()

    async def read_all(self) -> None:
        """Read whatever comes until nothing more does, without letting time pass."""
        await trio.testing.wait_all_tasks_blocked()
        while self.take():
            await trio.testing.wait_all_tasks_blocked()

    async def head(self, stream_id: int) -> int:
        """Read the head of an answer and return its status."""
        await self.until(lambda: stream_id in self.heads)
        return int(self.heads[stream_id][":status"])

    async def rest(self, stream_id: int) -> bytes:
        """Read an answer to its proper end and return its body."""
        await self.until(lambda: stream_id in self.ended or stream_id in self.resets)
        assert stream_id in self.ended, f"stream {stream_id} was reset"
        assert self.inflaters[stream_id].is_complete, "the coding ends in the middle"
        return self.bodies[stream_id]

    async def events(self, stream_id: int, count: int) -> list[Event]:
        """Return the next `count` events of a stream."""
        await self.until(lambda: len(self._events[stream_id]) >= count)
        found = self._events[stream_id][:count]
        del self._events[stream_id][:count]
        return found

    async def data(self, stream_id: int, count: int) -> list[str | None]:
        """Return the data of the next `count` events of a stream."""
        return [event.data for event in await self.events(stream_id, count)]

    def unread(self, stream_id: int) -> list[Event]:
        """Return the events that have come on a stream and have not been asked for."""
        return self._events[stream_id]

    async def closing(self) -> None:
        """Read until the server closes the connection."""
        await self.until(lambda: self.is_closed)
