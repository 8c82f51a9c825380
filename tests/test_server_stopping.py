"""How the server stops, at once or gracefully, and what does not stop it. On real sockets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from support.logs import Log, complaints
from support.visitor import become, running, site, tls_pair, visit
from trio_sse import rounds
from trio_sse.connection.http1 import Http1Connection
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.listening import Bind
from trio_sse.server import Server, serve

# -- what goes wrong --------------------------------------------------------------------


async def test_a_connection_that_fails_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    run = Http1Connection.run

    async def run_or_fail(self: Http1Connection) -> None:
        monkeypatch.setattr(Http1Connection, "run", run)
        raise ZeroDivisionError("a defect")

    async with running() as server:
        sound = await visit(server)
        await sound.get()
        await sound.hear("yes\n$")
        monkeypatch.setattr(Http1Connection, "run", run_or_fail)
        failing = await visit(server)
        await failing.get()
        await failing.is_let_go()
        await sound.get()
        await sound.hear("yes\n$")
        assert server.statistics().failed == 1
        assert server.statistics().connections == 1
    (complaint,) = complaints(caplog)
    assert complaint.endswith("the connection failed")
    assert "a defect" in caplog.text


async def test_a_connection_that_fails_at_a_tick_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    tick = Http1Connection.tick

    def tick_or_fail(self: Http1Connection, now: float) -> float:
        monkeypatch.setattr(Http1Connection, "tick", tick)
        raise ZeroDivisionError("a defect")

    async with running(limits=Limits(heartbeat=0.08)) as server:
        visitor = await visit(server)
        await visitor.get("/endless")
        await visitor.hear("^HTTP/1.1 200 ")
        monkeypatch.setattr(Http1Connection, "tick", tick_or_fail)
        assert not (await visitor.rest()).endswith("0\r\n\r\n")
        await become(lambda: server.statistics().connections == 0)
    (complaint,) = complaints(caplog)
    assert complaint.endswith("the connection failed")


# -- stopping ---------------------------------------------------------------------------


async def test_cancelling_stops_at_once_and_closes_everything(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    binds = [Bind(port=0), Bind(unix=str(path))]
    async with open_hub() as hub:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(serve, site(hub), binds)
            visitors = [await visit(server, place) for place in (0, 0, 1)]
            for visitor, target in zip(visitors, ("/endless", "/follow", "/follow"), strict=True):
                await visitor.get(target)
                await visitor.hear("^HTTP/1.1 200 ")
            nursery.cancel_scope.cancel()
        assert server.statistics().connections == 0
        assert server.statistics().streams == 0
        assert hub.statistics().audiences == 0
        assert not path.exists()
        for visitor in visitors:
            assert not (await visitor.rest()).endswith("0\r\n\r\n")
            await visitor.leave()


async def test_a_drain_lets_nobody_in_and_returns_when_all_are_gone() -> None:
    async with open_hub() as hub, running(site(hub), stops=True) as server:
        follower = await visit(server)
        await follower.get("/follow")
        await follower.hear("^HTTP/1.1 200 ")
        server.drain()
        assert re.search(r"retry: \d+\n\n\r\n0\r\n\r\n$", await follower.rest())
        with pytest.raises(OSError, match="all attempts to connect"):
            await visit(server)


async def test_a_drain_with_nobody_there_returns_at_once() -> None:
    async with running(stops=True) as server:
        server.drain()
        server.drain()


async def test_a_drain_does_not_wait_for_those_who_have_not_said_anything() -> None:
    binds = Bind(port=0), Bind(port=0, tls=tls_pair()[0])
    async with running(None, *binds, stops=True) as server:
        silent = [await visit(server, 0), await visit(server, 1)]
        await become(lambda: server.statistics().connections == 2)
        server.drain()
        for visitor in silent:
            assert await visitor.rest() == ""


async def test_a_handler_is_ended_when_its_time_in_a_drain_is_over() -> None:
    async with running(limits=Limits(drain_timeout=0), stops=True) as server:
        visitor = await visit(server)
        await visitor.get("/endless")
        await visitor.hear("^HTTP/1.1 200 ")
        server.drain()
        assert (await visitor.rest()).endswith("0\r\n\r\n")


async def test_a_drain_of_many_lets_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "SLICE_SECONDS", 0.0)
    async with open_hub() as hub, running(site(hub), stops=True) as server:
        followers = [await visit(server) for _ in range(20)]
        for follower in followers:
            await follower.get("/follow")
            await follower.hear("^HTTP/1.1 200 ")
        server.drain()
        # Who is closed before its turn has come is passed over.
        await followers[-1].leave()
        for follower in followers[:-1]:
            assert (await follower.rest()).endswith("0\r\n\r\n")
            await follower.leave()
