"""A server on real sockets, and a client that speaks as little HTTP as possible."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trustme

from trio_sse.connection import Stream
from trio_sse.hub import Hub
from trio_sse.limits import Limits
from trio_sse.listening import Bind
from trio_sse.message import Response
from trio_sse.routes import Follow, Routes
from trio_sse.server import Server, serve

__all__ = ["Visitor", "become", "running", "secure", "site", "tls_pair", "visit"]

PATIENCE = 20.0
"""Seconds after which something that should happen soon has not."""


def site(hub: Hub | None = None) -> Routes:
    """Routes to a page, a stream without end, and the events of a hub."""
    routes = Routes()
    routes.get("/", lambda request: Response.text(200, "yes"))
    if hub is not None:
        followed = hub
        routes.get("/follow", lambda request: Follow(followed, ("a",)))

    async def endless(stream: Stream) -> None:
        await trio.sleep_forever()

    routes.get("/endless", endless)
    return routes


@asynccontextmanager
async def running(
    routes: Routes | None = None,
    *binds: Bind,
    limits: Limits | None = None,
    stops: bool = False,
) -> AsyncIterator[Server]:
    """Run a server for the length of the block; afterwards nothing may be left of it.

    With `stops` it must come to its end by itself.
    """
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(
                serve, routes or site(), binds or Bind(port=0), limits or Limits()
            )
            try:
                yield server
            finally:
                while _visitors:
                    await _visitors.pop().leave()
            if not stops:
                nursery.cancel_scope.cancel()
    assert server.statistics().connections == 0
    assert server.statistics().streams == 0


async def become(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the server has its turns meanwhile."""
    while not condition():
        await trio.lowlevel.checkpoint()


class Visitor:
    """A client with one connection."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        _visitors.append(self)

    async def say(self, text: str) -> None:
        """Send text."""
        await self.stream.send_all(text.encode())

    async def get(self, path: str = "/") -> None:
        """Send a request."""
        await self.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")

    async def hear(self, pattern: str) -> re.Match[str]:
        """Read until something matches."""
        heard = ""
        while not (match := re.search(pattern, heard, re.DOTALL)):
            piece = await self.stream.receive_some()
            assert piece, f"the end came before {pattern!r}: {heard!r}"
            heard += piece.decode()
        return match

    async def rest(self) -> str:
        """Read to the end."""
        heard = b""
        while piece := await self.stream.receive_some():
            heard += bytes(piece)
        return heard.decode()

    async def is_let_go(self) -> None:
        """Read until the server has closed the connection, in whatever way."""
        with contextlib.suppress(trio.BrokenResourceError):
            await self.rest()

    async def leave(self) -> None:
        """Close the connection."""
        await trio.aclose_forcefully(self.stream)


_visitors: list[Visitor] = []
"""Those who are to leave when their server stops."""


async def visit(server: Server, place: int = 0, *, source: str | None = None) -> Visitor:
    """Connect to one of a server's places, perhaps from an address of one's choice."""
    address = server.addresses[place]
    if address.unix is not None:
        return Visitor(await trio.open_unix_socket(address.unix))
    return Visitor(await trio.open_tcp_stream(address.host, address.port, local_address=source))


def tls_pair() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context, and a client's that trusts it: a new one, which may be changed."""
    authority, ours = _authority_and_server()
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return ours, theirs


@functools.cache
def _authority_and_server() -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    return authority, ours


async def secure(server: Server, context: ssl.SSLContext, *protocols: str) -> Visitor:
    """Connect to a server's first place with TLS."""
    plain = await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)
    if protocols:
        context.set_alpn_protocols(protocols)
    stream = trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True)
    await stream.do_handshake()
    return Visitor(stream)
