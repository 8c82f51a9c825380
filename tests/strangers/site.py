"""The server that strangers meet: the hub's path, streaming handlers, and finite answers.

Owns what it serves and that it runs for a block. Everything in it is real; a test looks at
`site.hub` and `site.server` in its own Trio loop while strangers are outside.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio
import trustme

from trio_sse import (
    Bind,
    Cors,
    Event,
    Hub,
    Limits,
    Response,
    Routes,
    Server,
    Stream,
    open_hub,
    serve,
)
from trio_sse.mercure import PATH, PublishFrom, mount
from trio_sse.tls import server_context

__all__ = ["PATIENCE", "Certificate", "Site", "open_site", "until"]

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed: never reached when all is
well, so generous."""


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Let everyone else run until the condition holds; fail after `patience` seconds."""
    with trio.fail_after(patience):
        while not condition():
            await trio.lowlevel.checkpoint()


@dataclass
class Site:
    """A running server, its hub, and what its handlers have seen."""

    hub: Hub
    routes: Routes
    server: Server = field(init=False)
    held: int = 0
    """Handlers of /hold that run now."""
    release: trio.Event = field(default_factory=trio.Event)
    """Lets them end."""

    def __post_init__(self) -> None:
        self.routes.get("/tell", self.tell)
        self.routes.post("/tell", self.tell)
        self.routes.get("/count/{stop}", self.count)
        self.routes.get("/hold", self.hold)
        self.routes.get("/refused", self.refuse, eager=False)
        self.routes.get("/fail", self.fail)
        self.routes.get("/enough", lambda request: Response(204))
        self.routes.get("/page", lambda request: Response.text(200, "A page."))

    @property
    def url(self) -> str:
        """The first address as a URL without a path."""
        return str(self.server.addresses[0])

    @property
    def port(self) -> int:
        return self.server.addresses[0].port

    def hub_url(self, *topics: str) -> str:
        """Where these topics are followed."""
        return f"{self.url}{PATH}?{'&'.join(f'topic={topic}' for topic in topics)}"

    async def followed(self, subscribers: int = 1) -> None:
        """Wait until so many stand at the head of the log."""
        await until(lambda: self.hub.statistics().subscribers == subscribers)

    async def emptied(self) -> None:
        """Wait until the server holds no connection and no stream."""
        await until(
            lambda: (
                self.server.statistics().connections == 0 and self.server.statistics().streams == 0
            )
        )

    async def tell(self, stream: Stream) -> None:
        """Stream what was asked, as the handler sees it."""
        request = stream.request
        told = {
            "method": request.method,
            "protocol": request.protocol,
            "body": request.body.decode(),
            "last_event_id": request.last_event_id,
            "peer": request.peer.host,
            "authority": request.authority,
            "cookies": request.cookies,
        }
        await stream.send(Event(json.dumps(told)))

    async def count(self, stream: Stream) -> None:
        """Stream 0, 1, … and end."""
        for number in range(int(stream.params["stop"])):
            await stream.send(Event(str(number), id=str(number)))

    async def hold(self, stream: Stream) -> None:
        """Stream one event, and end when released."""
        self.held += 1
        try:
            await stream.send("held")
            await self.release.wait()
        finally:
            self.held -= 1

    async def refuse(self, stream: Stream) -> Response:
        """Decide, after some thought, against a stream."""
        await trio.lowlevel.checkpoint()
        return Response.text(403, "Not for you.")

    async def fail(self, stream: Stream) -> None:
        """Send an event and raise."""
        await stream.send("so far so good")
        raise RuntimeError("the handler has a defect")


@asynccontextmanager
async def open_site(
    *binds: Bind,
    limits: Limits | None = None,
    cors: Cors | None = None,
    publish_from: PublishFrom = "loopback",
    max_events: int = 10_000,
) -> AsyncIterator[Site]:
    """Serve for the length of the block; a free port of 127.0.0.1 if no place is named.

    What a test and its clients do holds the same loop, for long on a busy machine. So a warning
    comes only for what would be a defect on any machine.
    """
    limits = replace(limits or Limits(), held_warning=PATIENCE / 2)
    async with open_hub(max_events=max_events) as hub, trio.open_nursery() as nursery:
        site = Site(hub, Routes(cors))
        mount(site.routes, hub, publish_from=publish_from, limits=limits)
        site.server = await nursery.start(serve, site.routes, list(binds) or Bind(port=0), limits)
        yield site
        nursery.cancel_scope.cancel()


class Certificate:
    """A certificate for localhost, 127.0.0.1 and ::1, and the authority that issued it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.ca = folder / "ca.pem"
        """For clients to trust."""
        self.chain = folder / "chain.pem"
        self.key = folder / "key.pem"
        self.both = folder / "both.pem"
        """Certificate and key, as HAProxy wants them."""
        authority.cert_pem.write_to_path(str(self.ca))
        leaf.private_key_pem.write_to_path(str(self.key))
        for pem in leaf.cert_chain_pems:
            pem.write_to_path(str(self.chain), append=True)
        self.both.write_bytes(self.chain.read_bytes() + self.key.read_bytes())

    def server(self) -> ssl.SSLContext:
        """Return the server's side, as the library makes it of files."""
        return server_context(self.chain, self.key)

    def client(self, *protocols: str) -> ssl.SSLContext:
        """Return a client's side, which offers these protocols by ALPN."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if protocols:
            context.set_alpn_protocols(protocols)
        return context
