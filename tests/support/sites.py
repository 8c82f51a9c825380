"""Routes that several tests serve."""

from __future__ import annotations

from trio_sse.hub import Hub
from trio_sse.message import Request
from trio_sse.routes import Follow, Handler, Routes

__all__ = ["follow", "routes_to"]


def follow(hub: Hub) -> Routes:
    """Routes of which `/` follows the topics of the query, "a" if it names none."""
    routes = Routes()

    def endpoint(request: Request) -> Follow:
        return Follow(hub, tuple(request.query_all("topic")) or ("a",), request.last_event_id)

    routes.get("/", endpoint)
    return routes


def routes_to(handler: Handler, *, eager: bool = True) -> Routes:
    """Routes of which `/` is handled."""
    routes = Routes()
    routes.get("/", handler, eager=eager)
    return routes
