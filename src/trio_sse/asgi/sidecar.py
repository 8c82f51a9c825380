"""The hub alone, ready for a server: what `trio-sse serve` is, as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..cors import Cors
from ..hub import open_hub
from ..limits import Limits
from ..mercure import PublishFrom, mount
from ..message import Request, Response
from ..routes import Routes
from .application import DEFAULT_LIMITS, Application

__all__ = ["hub"]


def hub(
    *,
    cors: Cors | None = None,
    publish_from: PublishFrom = "loopback",
    limits: Limits = DEFAULT_LIMITS,
    max_events: int = 10_000,
    max_bytes: int = 64 * 1024 * 1024,
    max_event_bytes: int = 1024 * 1024,
) -> Application:
    """Return an application that is a hub at `/.well-known/mercure`; `/healthz` says "ok".

    The hub opens and closes with the ASGI lifespan. `cors` and `publish_from` say whose pages
    may listen and who may publish, the rest are the bounds of `open_hub`. Each process of a
    server with several has a hub of its own: what is published in one is not heard in another.
    """

    @asynccontextmanager
    async def opened() -> AsyncIterator[Routes]:
        async with open_hub(
            max_events=max_events, max_bytes=max_bytes, max_event_bytes=max_event_bytes
        ) as running:
            routes = Routes(cors)
            routes.get("/healthz", healthz)
            mount(routes, running, publish_from=publish_from, limits=limits)
            yield routes

    return Application(limits=limits, lifespan=opened)


def healthz(request: Request) -> Response:
    """Say that the process serves."""
    return Response.text(200, "ok", ("cache-control", "no-store"))
