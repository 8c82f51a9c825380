"""An HTTP/1.1 client over a transport in memory; h11 checks what it is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import h11
import trio

from trio_sse.event import Decoder, Event
from trio_sse.transport import Broken, MemoryTransport

from .inflating import Inflater

__all__ = ["Answer", "Cut", "Http1Client"]


class Cut(Exception):
    """The connection ended before the answer did."""


class Answer(NamedTuple):
    """A finite answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Http1Client:
    """One connection. It reads only when it is asked to: at other times it is a slow client."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.h11 = h11.Connection(h11.CLIENT)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        """What came of the answer's body so far, decoded."""
        self.inflater = Inflater({})
        self._decoder = Decoder()
        self._events: list[Event] = []

    async def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        while data:
            data = data[self.transport.send(data) :]
            await self.transport.wait_writable()

    async def ask(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Send a whole request."""
        if self.h11.our_state is h11.DONE:
            self.h11.start_next_cycle()
        self.status, self.headers, self.body = 0, {}, b""
        fields = [("host", "example.org"), *headers]
        if body:
            fields.append(("content-length", str(len(body))))
        request = h11.Request(method=method, target=target, headers=fields)
        data = self.h11.send(request) or b""
        if body:
            data += self.h11.send(h11.Data(data=body)) or b""
        await self.send(data + (self.h11.send(h11.EndOfMessage()) or b""))

    async def open(self, target: str = "/", *, last_event_id: str | None = None) -> None:
        """Ask for a stream, and read its head."""
        headers = [] if last_event_id is None else [("last-event-id", last_event_id)]
        await self.ask(target, headers=headers)
        await self.head()

    async def head(self) -> int:
        """Read the head of the answer and return its status."""
        event = await self._next_event()
        assert isinstance(event, h11.Response), event
        self.status = event.status_code
        self.headers = {name.decode(): value.decode() for name, value in event.headers}
        self.inflater = Inflater(self.headers)
        return self.status

    async def read(self) -> bytes:
        """Return the next piece of the body; b"" at its proper end. Raises Cut."""
        if not self.status:
            await self.head()
        event = await self._next_event()
        if isinstance(event, h11.EndOfMessage):
            assert self.inflater.is_complete, "the coding ends in the middle"
            return b""
        assert isinstance(event, h11.Data), event
        self._take_data(event)
        return bytes(event.data)

    def _take_data(self, event: h11.Data) -> None:
        data = self.inflater.feed(bytes(event.data))
        self.body += data
        self._events += self._decoder.feed(data)

    async def read_until(self, text: bytes) -> None:
        """Read until `text` is in the body."""
        while text not in self.body:
            assert await self.read(), f"ended without {text!r}: {self.body!r}"

    async def rest(self) -> bytes:
        """Read to the proper end and return the whole body. Raises Cut."""
        while await self.read():
            pass
        surplus, _ = self.h11.trailing_data
        assert not surplus, "there is more than the answer"
        return self.body

    async def answer(self) -> Answer:
        """Read a whole answer."""
        await self.head()
        return Answer(self.status, self.headers, await self.rest())

    async def events(self, count: int) -> list[Event]:
        """Return the next `count` events of the stream."""
        while len(self._events) < count:
            assert await self.read(), f"the stream ended after {self._events}"
        found, self._events = self._events[:count], self._events[count:]
        return found

    async def data(self, count: int) -> list[str | None]:
        """Return the data of the next `count` events."""
        return [event.data for event in await self.events(count)]

    def poll(self) -> None:
        """Read what has come of the body, without waiting."""
        while True:
            while isinstance(event := self.h11.next_event(), h11.Data):
                self._take_data(event)
            data = self.transport.receive()
            if not data:
                break
            self.h11.receive_data(data)

    def take(self) -> list[Event]:
        """Return the events that have come and have not been asked for, without waiting."""
        self.poll()
        found, self._events = self._events, []
        return found

    async def is_closed(self) -> bool:
        """Wait for what the server does next, and tell whether it is to close."""
        await self.transport.wait_readable()
        return not self.transport.receive()

    def leave(self) -> None:
        """Close the connection."""
        self.transport.close()

    async def _next_event(self) -> object:
        while True:
            try:
                event = self.h11.next_event()
            except h11.RemoteProtocolError as error:
                if self.transport.receive() == b"":
                    raise Cut(str(error)) from None
                raise
            if event is not h11.NEED_DATA:
                if isinstance(event, h11.ConnectionClosed):
                    raise Cut("there is no more answer")
                if not isinstance(event, h11.InformationalResponse):
                    return event
                continue
            await trio.lowlevel.checkpoint()
            try:
                data = self.transport.receive()
            except Broken as error:
                raise Cut(str(error)) from None
            if data is None:
                await self.transport.wait_readable()
            else:
                self.h11.receive_data(data)
