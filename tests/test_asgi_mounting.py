"""An application below a path of another: what it sees, however the other one mounts it."""

from __future__ import annotations

import pytest
import trio
from hypercorn.middleware.dispatcher import TrioDispatcherMiddleware

from support.asgi_server import Answer, lifespan, scope_of
from trio_sse.asgi import Application, hub
from trio_sse.asgi.request import Receive, Scope, Send, request_of
from trio_sse.message import Response
from trio_sse.routes import Routes


@pytest.mark.parametrize(
    ("path", "raw_path", "root_path", "seen"),
    [
        ("/sub/a", b"/sub/a", "/sub", "/a"),  # as the ASGI text has it
        ("/a", b"/sub/a", "/sub", "/a"),  # who cuts the path and tells where
        ("/a", b"/a", "/sub", "/a"),  # a proxy that cuts, and tells by root_path
        ("/sub/a", None, "/sub", "/a"),
        ("/sub", b"/sub", "/sub", "/"),
        ("/sub/", b"/sub/", "/sub/", "/"),
        ("/subway", b"/subway", "/sub", "/subway"),
        ("/a/b", b"/a%2Fb", "", "/a%2Fb"),
        ("/sub/a/b", b"/sub/a%2Fb", "/sub", "/a%2Fb"),
        ("/s ub/a b", b"/s%20ub/a%20b", "/s ub", "/a%20b"),
        ("/rewritten é", b"/original", "", "/rewritten%20%C3%A9"),
    ],
)
def test_the_path_is_that_below_the_mount(
    path: str, raw_path: bytes | None, root_path: str, seen: str
) -> None:
    scope = scope_of(path=path, raw_path=raw_path, root_path=root_path, query_string=b"q=%2F")
    assert request_of(scope).target == f"{seen}?q=%2F"


async def test_routes_are_below_the_mount_and_who_mounts_them_drains_them() -> None:
    routes = Routes()
    routes.get("/a", lambda request: Response.text(200, "here"))
    app = Application(routes)

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"].startswith("/events/")
        await app({**scope, "root_path": "/events"}, receive, send)

    async with trio.open_nursery() as nursery:
        for status in (200, 503):
            answer = Answer(scope_of("/events/a"), {"type": "http.request"})
            nursery.start_soon(answer.run, site)
            await answer.over()
            assert answer.status == status
            await app.drain()


async def test_a_hub_can_be_mounted_where_the_lifespan_is_passed_on() -> None:
    site = TrioDispatcherMiddleware({"/one": hub(), "/other": hub()})
    async with lifespan(site) as said, trio.open_nursery() as nursery:
        assert said == ["lifespan.startup.complete"]
        for path in ("/one/healthz", "/other/healthz"):
            answer = Answer(scope_of(path), {"type": "http.request"})
            nursery.start_soon(answer.run, site)
            await answer.over()
            assert answer.body == b"ok\n"
    assert said[1:] == ["lifespan.shutdown.complete"]


async def test_a_hub_that_is_mounted_without_its_lifespan_says_so() -> None:
    answer = Answer(scope_of("/one/healthz", root_path="/one"), {"type": "http.request"})
    with pytest.raises(RuntimeError, match="Whoever mounts it must pass the ASGI lifespan on"):
        await answer.run(hub())
