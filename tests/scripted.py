"""HTTP servers that answer by a script, over real sockets, and what a listener hears of them."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import trio

from trio_sse.client import Listener, open_client
from trio_sse.event import Event

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: str, body: str, *headers: str, kind: str = "text/plain") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def is_complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: ([0-9]+)", head)
    return bool(end) and len(body) == (int(length[1]) if length else 0)


@dataclass
class Scripted:
    """A server that gives each connection the next answer and closes it."""

    answers: Sequence[bytes]
    url: httpx.URL = field(default_factory=httpx.URL)
    requests: list[str] = field(default_factory=list)

    async def serve(self, stream: trio.abc.Stream) -> None:
        request = b""
        while not is_complete(request):
            received = await stream.receive_some()
            if not received:
                return
            request += received
        self.requests.append(request.decode())
        await stream.send_all(self.answers[len(self.requests) - 1])


@asynccontextmanager
async def serving(
    handler: Callable[[trio.abc.Stream], Awaitable[object]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[httpx.URL]:
    """Serve connections with `handler` on a free port of loopback; gives the URL."""
    scheme = "http" if tls is None else "https"
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def serve(stream: trio.SocketStream) -> None:
        chosen = stream if tls is None else trio.SSLStream(stream, tls, server_side=True)
        # A client that goes in the middle of a handshake is what some of these tests are about.
        with suppress(trio.BrokenResourceError):
            await handler(chosen)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield httpx.URL(f"{scheme}://127.0.0.1:{port}/events")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Scripted]:
    server = Scripted(answers)
    async with serving(server.serve) as server.url:
        yield server


class Heard:
    """What a listener was given until its end."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notices: list[str] = []

    async def listen(self, url: httpx.URL, *, last_event_id: str = "", again: bool = True) -> None:
        async with (
            open_client() as client,
            Listener(
                client,
                url,
                last_event_id=last_event_id,
                reconnect=again,
                notice=self.notices.append,
            ) as events,
        ):
            async for event in events:
                self.events.append(event)

    @property
    def data(self) -> list[str | None]:
        return [event.data for event in self.events]
