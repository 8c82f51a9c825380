"""An ASGI server in memory, which does what it is told and checks what the application says.

It holds the application to the ASGI text: names in lower case and bytes, one head before the
body, nothing after the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio

from trio_sse.asgi import Application
from trio_sse.event import Decoder, Event

from .memory_server import patience

__all__ = ["Answer", "AsgiServer", "asgi", "lifespan", "scope_of"]

Message = Mapping[str, Any]


def scope_of(target: str = "/", **changes: Any) -> dict[str, Any]:
    """The scope of a request as Hypercorn makes it, with `changes`."""
    raw_path, _, query = target.encode().partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": target.partition("?")[0],
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
    }
    return scope | changes


class Answer:
    """A request, and what has come of its answer."""

    def __init__(self, scope: dict[str, Any], *messages: Message) -> None:
        self.scope = scope
        self.head: Message | None = None
        self.body = b""
        self.messages = 0
        """Of the body: how often the application has called `send`."""
        self.is_complete = False
        """The application has said the last of it."""
        self.is_over = False
        """The application has returned."""
        self.server = trio.CancelScope()
        """What the server cancels when its time is up."""
        self._inlet, self._outlet = trio.open_memory_channel[Message](100)
        for message in messages:
            self.tell(message)
        self._reading = trio.Event()
        self._reading.set()
        self._is_broken = False
        self._news = trio.Event()
        self._decoder = Decoder()
        self.events: list[Event] = []

    # -- the client ---------------------------------------------------------------------

    def leave(self) -> None:
        """Close the connection, or reset the stream."""
        self.tell({"type": "http.disconnect"})

    def stall(self) -> None:
        """Read nothing more."""
        self._reading = trio.Event()

    def read_on(self) -> None:
        self._reading.set()

    def break_off(self) -> None:
        """Be gone, as a server says it when the application has more for the client."""
        self._is_broken = True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, looking at each thing that happens."""
        while not condition():
            assert not self.is_over, f"the answer is over after {self.body!r}"
            self._news = trio.Event()
            await self._news.wait()

    async def has(self, text: bytes) -> None:
        """Wait for `text` in the body."""
        await self.until(lambda: text in self.body)

    async def data(self, count: int) -> list[str | None]:
        """Wait for so many events, and return the data of all there are."""
        await self.until(lambda: len(self.events) >= count)
        return [event.data for event in self.events]

    async def over(self) -> None:
        """Wait until the application has returned."""
        while not self.is_over:
            self._news = trio.Event()
            await self._news.wait()

    @property
    def status(self) -> int:
        assert self.head is not None, "there is no answer yet"
        status: int = self.head["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        assert self.head is not None, "there is no answer yet"
        return {name.decode(): value.decode() for name, value in self.head["headers"]}

    # -- the server ---------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """Have the application receive a message."""
        self._inlet.send_nowait(message)

    async def run(self, application: Callable[..., Awaitable[None]]) -> None:
        with self.server:
            try:
                await application(self.scope, self._outlet.receive, self.send)
            finally:
                self.is_over = True
                self._news.set()

    async def send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        await self._reading.wait()
        if self._is_broken:
            raise OSError("the client has left")
        assert not self.is_complete, f"{message} comes after the end"
        if message["type"] == "http.response.start":
            assert self.head is None
            for name, value in message["headers"]:
                assert isinstance(value, bytes)
                assert name == name.lower()
            self.head = message
        else:
            assert message["type"] == "http.response.body"
            assert self.head is not None
            self.messages += 1
            self.body += message["body"]
            self.events += self._decoder.feed(message["body"])
            self.is_complete = not message["more_body"]
        self._news.set()


class AsgiServer:
    """Runs an application; `ask` is how to get in."""

    def __init__(self, application: Application, nursery: trio.Nursery) -> None:
        self.application = application
        self._nursery = nursery

    def ask(self, target: str = "/", *pieces: bytes, end: bool = True, **changes: Any) -> Answer:
        """Send a request, its body in these pieces, and perhaps not to its end."""
        messages = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
        if end:
            messages.append({"type": "http.request", "body": b"", "more_body": False})
        answer = Answer(scope_of(target, **changes), *messages)
        self._nursery.start_soon(answer.run, self.application)
        return answer

    async def get(self, target: str = "/", *pieces: bytes, **changes: Any) -> Answer:
        """Send a request and wait for the end of its answer."""
        answer = self.ask(target, *pieces, **changes)
        await answer.over()
        return answer


@asynccontextmanager
async def asgi(application: Application) -> AsyncIterator[AsgiServer]:
    """Serve for the length of the block, without a lifespan; nothing may be left afterwards."""
    async with trio.open_nursery() as nursery:
        with patience():
            yield AsgiServer(application, nursery)
        nursery.cancel_scope.cancel()
    assert application.statistics().streams == 0


@asynccontextmanager
async def lifespan(application: Callable[..., Awaitable[None]]) -> AsyncIterator[list[str]]:
    """Be a server's life for the length of the block; yields what the application says of it."""
    said: list[str] = []
    inlet, outlet = trio.open_memory_channel[Message](2)

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        said.append(": ".join(filter(None, (message["type"], message.get("message")))))
        spoken.set()

    spoken = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(application, {"type": "lifespan"}, outlet.receive, send)
        inlet.send_nowait({"type": "lifespan.startup"})
        await spoken.wait()
        yield said
        inlet.send_nowait({"type": "lifespan.shutdown"})
