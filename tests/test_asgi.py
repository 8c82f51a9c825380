"""The application's life: starting, refusing what is not ours, stopping with last words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.asgi_server import asgi, lifespan, scope_of
from support.sites import follow, routes_to
from trio_sse import asgi as trio_sse_asgi
from trio_sse.asgi import Application, application, hub
from trio_sse.connection import Stream
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Routes


def page() -> Routes:
    routes = Routes()
    routes.get("/", lambda request: Response.text(200, "yes"))
    return routes


# -- starting ---------------------------------------------------------------------------


async def test_without_a_lifespan_of_its_own_it_serves_whether_the_server_has_one_or_not() -> None:
    app = application(page())
    async with asgi(app) as server:
        assert (await server.get()).body == b"yes\n"
    async with lifespan(app) as said, asgi(app) as server:
        assert said == ["lifespan.startup.complete"]
        assert (await server.get()).body == b"yes\n"
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_its_own_lifespan_is_around_all_requests() -> None:
    happened = []

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        happened.append("begins")
        yield
        happened.append("ends")

    async with lifespan(Application(page(), lifespan=life)) as said:
        happened += said
    assert happened == ["begins", "lifespan.startup.complete", "ends"]
    assert said[-1] == "lifespan.shutdown.complete"


async def test_a_server_may_live_several_times(autojump_clock: MockClock) -> None:
    # As in the tests of a site, each with a server of its own for the one application.
    app = hub()
    for life in range(2):
        async with asgi(app) as server:
            async with lifespan(app) as said:
                listener = server.ask(f"{trio_sse_asgi.PATH}?topic=a&lastEventID=earliest")
                await listener.has(b"retry: ")
                form = [(b"content-type", b"application/x-www-form-urlencoded")]
                body = b"topic=a&data=%d" % life
                await server.get(trio_sse_asgi.PATH, body, method="POST", headers=form)
                assert await listener.data(1) == [str(life)], "the hub is a new one"
            assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_without_routes_there_is_nothing_to_serve() -> None:
    with pytest.raises(ValueError, match="give routes, or a lifespan that yields them"):
        Application()

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        yield

    async with lifespan(Application(lifespan=life)) as said:
        assert said[0].startswith("lifespan.startup.failed: the lifespan yields no Routes")


async def test_without_the_lifespan_that_it_needs_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="must pass the ASGI lifespan on"):
        await hub()(scope_of(), trio.sleep_forever, trio.sleep_forever)  # type: ignore[arg-type]


async def test_a_lifespan_that_fails_at_the_start_is_reported_to_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        async with trio.open_nursery(), trio.open_nursery():
            raise OSError("there is no database")
        yield

    async with lifespan(Application(page(), lifespan=life)) as said:
        assert said == ["lifespan.startup.failed: there is no database"]
    assert "The application could not start" in caplog.text


async def test_a_lifespan_that_fails_later_ends_in_the_servers_hands() -> None:
    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            yield

    async def fail() -> None:
        await trio.testing.wait_all_tasks_blocked()
        raise OSError("the database has gone")

    app = Application(page(), lifespan=life)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with lifespan(app):
            await trio.sleep_forever()
    with pytest.raises(RuntimeError, match="or has ended"):
        await app(scope_of(), trio.sleep_forever, trio.sleep_forever)  # type: ignore[arg-type]


# -- where it cannot run ------------------------------------------------------------------


def under_asyncio(call: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: the browser tests keep a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, call).result()


def test_under_asyncio_the_start_fails_with_a_sentence_that_says_how_to_run_it() -> None:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    under_asyncio(hub()({"type": "lifespan"}, receive, send))
    [message] = said
    assert message["type"] == "lifespan.startup.failed"
    assert "hypercorn --worker-class trio" in message["message"]


def test_under_asyncio_without_a_lifespan_the_first_request_fails_with_that_sentence() -> None:
    async def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match="hypercorn --worker-class trio"):
        under_asyncio(application(page())(scope_of(), never, never))


async def test_a_websocket_is_refused_before_it_is_one() -> None:
    said = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await application(page())(scope_of(type="websocket"), receive, send)
    assert said == [{"type": "websocket.close"}]


async def test_what_asgi_may_bring_some_day_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"'carrier\.pigeon'"):
        await application(page())(
            {"type": "carrier.pigeon"},
            trio.sleep_forever,
            trio.sleep_forever,  # type: ignore[arg-type]
        )


# -- the hub alone ------------------------------------------------------------------------


async def test_the_hub_takes_and_carries_events() -> None:
    app = hub()
    async with lifespan(app), asgi(app) as server:
        assert (await server.get("/healthz")).body == b"ok\n"
        listener = server.ask(f"{trio_sse_asgi.PATH}?topic=news")
        await listener.has(b":\n")
        form = [(b"content-type", b"application/x-www-form-urlencoded")]
        posted = await server.get(
            trio_sse_asgi.PATH, b"topic=news&", b"data=Hello", method="POST", headers=form
        )
        assert posted.status == 200
        assert await listener.data(1) == ["Hello"]
        assert listener.events[0].id == posted.body.decode()


async def test_who_is_not_on_this_machine_may_not_publish() -> None:
    app = hub()
    async with lifespan(app), asgi(app) as server:
        for client in (("192.0.2.1", 1), None):
            posted = await server.get(
                trio_sse_asgi.PATH, b"topic=a&data=b", method="POST", client=client
            )
            assert posted.status == 403


# -- stopping ---------------------------------------------------------------------------


async def test_when_the_server_stops_followers_are_told_when_to_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as running:
        app = application(follow(running), Limits(reconnect_spread=60))
        async with asgi(app) as server:
            async with lifespan(app):
                answers = [server.ask() for _ in range(10)]
                for answer in answers:
                    await answer.has(b"retry: 2000\n\n")
            for answer in answers:
                await answer.over()
                assert answer.is_complete
            returns = {re.findall(rb"retry: (\d+)", answer.body)[1] for answer in answers}
            assert len(returns) > 1, "not all at once"
            assert (await server.get()).status == 503
        assert running.statistics().subscribers == 0
    assert trio.current_time() == 0


async def test_a_drain_lets_handlers_finish(autojump_clock: MockClock) -> None:
    async def handler(stream: Stream) -> None:
        await trio.sleep(3)
        await stream.send("finished")

    app = application(routes_to(handler))
    async with asgi(app) as server:
        answer = server.ask()
        await answer.has(b":\n")
        await app.drain()
        assert await answer.data(1) == ["finished"]
        assert answer.is_complete


async def test_a_drain_does_not_wait_for_a_handler_for_ever(autojump_clock: MockClock) -> None:
    async def handler(stream: Stream) -> None:
        await trio.sleep_forever()

    app = application(routes_to(handler), Limits(drain_timeout=7))
    async with asgi(app) as server:
        answer = server.ask()
        await answer.has(b":\n")
        await app.drain()
        assert trio.current_time() == 7
        assert answer.is_complete


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_server_that_cuts_its_requests_off_lets_a_stream_say_when_to_come_back(
    autojump_clock: MockClock, version: str
) -> None:
    async with open_hub() as running:
        app = application(follow(running))
        async with asgi(app) as server:
            answer = server.ask(http_version=version)
            await answer.has(b"retry: 2000\n\n")
            answer.server.cancel()
            await answer.over()
            assert answer.body.count(b"retry: ") == 2
            assert answer.is_complete


async def test_a_server_that_cuts_its_requests_off_is_not_held_up_by_one_that_stalls(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as running:
        app = application(follow(running))
        async with asgi(app) as server:
            answer = server.ask()
            await answer.has(b":\n")
            answer.stall()
            answer.server.cancel()
            await answer.over()
            assert trio.current_time() <= 1
            assert not answer.is_complete


async def test_it_counts_what_it_has_done() -> None:
    async with open_hub() as running:
        app = application(follow(running))
        async with asgi(app) as server:
            answer = server.ask()
            await answer.has(b":\n")
            await server.get("/nowhere")
            counts = app.statistics()
            assert (counts.streams, counts.requests, counts.refused) == (1, 2, 0)
            assert (counts.failed, counts.dropped) == (0, 0)
