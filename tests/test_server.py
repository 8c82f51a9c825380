"""The server on real sockets: who gets in, who is turned away, and how it stops."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from test_listening import NEEDS_IPV6
from trio_sse import server as server_module
from trio_sse.connection import Stream
from trio_sse.connection.http1 import Http1Connection
from trio_sse.hub import Hub, open_hub
from trio_sse.limits import Limits
from trio_sse.listening import Bind, BindError, Listener
from trio_sse.message import Peer, Response
from trio_sse.routes import Follow, Routes
from trio_sse.server import Server, serve

PATIENCE = 20.0
"""Seconds after which something that should happen soon has not."""

Log = pytest.LogCaptureFixture


def site(hub: Hub | None = None) -> Routes:
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
) -> AsyncIterator[Server]:
    """A server for the length of the block; afterwards nothing may be left of it."""
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE):
            server: Server = await nursery.start(
                serve, routes or site(), binds or Bind(port=0), limits or Limits()
            )
            yield server
        nursery.cancel_scope.cancel()
    assert server.statistics().connections == 0
    assert server.statistics().streams == 0


async def become(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the server has its turns meanwhile."""
    while not condition():
        await trio.lowlevel.checkpoint()


class Visitor:
    """A client that speaks as little HTTP as possible."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream

    async def say(self, text: str) -> None:
        await self.stream.send_all(text.encode())

    async def get(self, path: str = "/") -> None:
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
        await trio.aclose_forcefully(self.stream)


_visitors: list[Visitor] = []


@pytest.fixture(autouse=True)
async def nobody_stays() -> AsyncIterator[None]:
    yield
    while _visitors:
        await _visitors.pop().leave()


def welcome(stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> Visitor:
    _visitors.append(Visitor(stream))
    return _visitors[-1]


async def visit(server: Server, place: int = 0, *, source: str | None = None) -> Visitor:
    address = server.addresses[place]
    if address.unix is not None:
        stream = await trio.open_unix_socket(address.unix)
    else:
        stream = await trio.open_tcp_stream(address.host, address.port, local_address=source)
    return welcome(stream)


# -- getting in -------------------------------------------------------------------------


async def test_it_starts_when_it_listens_and_answers() -> None:
    async with running() as server:
        visitor = await visit(server)
        await visitor.get()
        await visitor.hear("^HTTP/1.1 200 OK.*yes\n$")
        assert server.statistics().connections == 1
        assert server.statistics().accepted == 1
        assert server.statistics().requests == 1
        await visitor.leave()
        await become(lambda: server.statistics().connections == 0)


@NEEDS_IPV6
async def test_it_listens_in_several_places_at_once(tmp_path: Path) -> None:
    binds = Bind(port=0), Bind(host="::1", port=0), Bind(unix=str(tmp_path / "socket"))
    peers: list[Peer] = []
    routes = Routes()

    @routes.get("/")
    def where(request: Any) -> Response:
        peers.append(request.peer)
        return Response(204)

    async with running(routes, *binds) as server:
        for place in range(3):
            visitor = await visit(server, place)
            await visitor.get()
            await visitor.hear(" 204 ")
            await visitor.leave()
    assert [peer.host for peer in peers] == ["127.0.0.1", "::1", "unix"]
    assert not (tmp_path / "socket").exists()


async def test_many_who_come_at_once_all_get_in() -> None:
    answered = []

    async def go(server: Server) -> None:
        visitor = await visit(server)
        await visitor.get()
        await visitor.hear("yes\n$")
        answered.append(visitor)

    async with running() as server:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(go, server)
        assert server.statistics().connections == 200
        for visitor in answered:
            await visitor.leave()


async def test_a_port_in_use_is_said_before_it_starts() -> None:
    async with running() as server, trio.open_nursery() as nursery:
        port = server.addresses[0].port
        with pytest.raises(BindError, match=f"127.0.0.1:{port} is in use"):
            await nursery.start(serve, site(), Bind(port=port))


# -- limits -----------------------------------------------------------------------------


async def test_who_is_one_too_many_is_turned_away_with_503(caplog: Log) -> None:
    limits = Limits(max_connections=2, reconnect_spread=9)
    async with running(limits=limits) as server:
        guests = [await visit(server) for _ in range(2)]
        for guest in guests:
            await guest.get()
            await guest.hear("yes\n$")
        late = await visit(server)
        answer = await late.rest()
        assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert answer.endswith("\r\n\r\nToo many connections here.\n")
        retry_after = re.search(r"\r\nRetry-After: (\d+)\r\n", answer)
        assert retry_after
        assert 1 <= int(retry_after[1]) <= 10
        assert server.statistics().turned_away == 1
        await guests[0].leave()
        await become(lambda: server.statistics().connections == 1)
        again = await visit(server)
        await again.get()
        await again.hear("yes\n$")
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]


async def test_each_address_has_a_limit_of_its_own() -> None:
    async with running(limits=Limits(max_connections_per_address=1)) as server:
        for source in ("127.0.0.1", "127.0.0.2"):
            guest = await visit(server, source=source)
            await guest.get()
            await guest.hear("yes\n$")
            late = await visit(server, source=source)
            assert "503" in await late.rest()
        assert server.statistics().connections == 2
        assert server.statistics().turned_away == 2


async def test_who_cannot_even_be_told_is_turned_away_in_silence(
    tls_pair: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    bind = Bind(port=0, tls=tls_pair[0])
    async with running(None, bind, limits=Limits(max_connections=1)) as server:
        await visit(server)
        await become(lambda: server.statistics().connections == 1)
        late = await visit(server)
        assert await late.rest() == ""
        assert server.statistics().turned_away == 1


async def test_when_there_are_no_files_left_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    monkeypatch.setattr(server_module, "OUT_OF_FILES_PAUSE", 0.001)
    accept, refusals = Listener.accept, [errno.EMFILE, errno.ECONNABORTED, errno.ENFILE]

    def accept_when_there_is_room(self: Listener) -> tuple[socket.socket, Peer]:
        if refusals:
            number = refusals.pop()
            raise OSError(number, f"number {number}")
        return accept(self)

    monkeypatch.setattr(Listener, "accept", accept_when_there_is_room)
    async with running() as server:
        visitor = await visit(server)
        await visitor.get()
        await visitor.hear("yes\n$")
    complaints = [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG]
    assert complaints == [
        f"Cannot accept connections: number {number}" for number in (errno.ENFILE, errno.EMFILE)
    ]


# -- TLS --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_pair() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, and a client's that trusts it."""
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return ours, theirs


async def secure(server: Server, context: ssl.SSLContext, *protocols: str) -> Visitor:
    plain = await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)
    if protocols:
        context.set_alpn_protocols(protocols)
    stream = trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True)
    await stream.do_handshake()
    return welcome(stream)


async def test_tls_is_spoken_where_there_is_a_context(
    tls_pair: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    ours, theirs = tls_pair
    async with running(None, Bind(port=0, tls=ours)) as server:
        assert str(server.addresses[0]).startswith("https://")
        http1 = await secure(server, theirs)
        await http1.get()
        await http1.hear("^HTTP/1.1 200 OK.*yes\n$")
        http2 = await secure(server, theirs, "h2")
        await http2.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert (await http2.stream.receive_some())[3:5] == b"\4\0"  # SETTINGS


async def test_clear_text_on_a_tls_port_is_told_so(
    tls_pair: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with running(None, Bind(port=0, tls=tls_pair[0])) as server:
        visitor = await visit(server)
        await visitor.get()
        answer = await visitor.rest()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
        assert body == "This port speaks HTTPS: use https:// to reach it.\n"
        assert f"Content-Length: {len(body)}" in head
        await become(lambda: server.statistics().connections == 0)
        # A reset might have cost a client further away the answer.
        assert isinstance(visitor.stream, trio.SocketStream)
        assert visitor.stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_a_handshake_that_fails_or_never_comes_is_no_error(
    tls_pair: tuple[ssl.SSLContext, ssl.SSLContext], caplog: Log
) -> None:
    limits = Limits(head_timeout=0.05)
    async with running(None, Bind(port=0, tls=tls_pair[0]), limits=limits) as server:
        garbled, silent, gone, halfway = [await visit(server) for _ in range(4)]
        await garbled.say("\x16 and then nothing that TLS would know")
        await halfway.say("\x16\x03\x01")
        await gone.leave()
        for visitor in (garbled, silent, halfway):
            await visitor.is_let_go()
        await become(lambda: server.statistics().connections == 0)
        assert server.statistics().failed == 0
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]


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
    (record,) = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert record.getMessage().endswith("the connection failed")
    assert "a defect" in caplog.text


async def test_a_connection_that_fails_at_a_tick_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    tick = Http1Connection.tick

    def tick_or_fail(self: Http1Connection, now: float) -> None:
        monkeypatch.setattr(Http1Connection, "tick", tick)
        raise ZeroDivisionError("a defect")

    async with running(limits=Limits(heartbeat=0.08)) as server:
        visitor = await visit(server)
        await visitor.get("/endless")
        await visitor.hear("^HTTP/1.1 200 ")
        monkeypatch.setattr(Http1Connection, "tick", tick_or_fail)
        assert not (await visitor.rest()).endswith("0\r\n\r\n")
        await become(lambda: server.statistics().connections == 0)
    (record,) = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert record.getMessage().endswith("the connection failed")


# -- stopping ---------------------------------------------------------------------------


async def test_cancelling_stops_at_once_and_closes_everything(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with open_hub() as hub, trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site(hub), [Bind(port=0), Bind(unix=str(path))])
        visitors = [await visit(server, place) for place in (0, 0, 1)]
        for visitor, target in zip(visitors, ("/endless", "/follow", "/follow"), strict=True):
            await visitor.get(target)
            await visitor.hear("^HTTP/1.1 200 ")
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for visitor in visitors:
                assert not (await visitor.rest()).endswith("0\r\n\r\n")
    assert server.statistics().connections == 0
    assert server.statistics().streams == 0
    assert hub.statistics().audiences == 0
    assert not path.exists()


async def test_a_drain_lets_nobody_in_and_returns_when_all_are_gone() -> None:
    async with open_hub() as hub, trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site(hub), Bind(port=0))
        follower = await visit(server)
        await follower.get("/follow")
        await follower.hear("^HTTP/1.1 200 ")
        server.drain()
        assert re.search(r"retry: \d+\n\n\r\n0\r\n\r\n$", await follower.rest())
        await follower.leave()
        with pytest.raises(OSError, match="all attempts to connect"):
            await visit(server)
    assert server.statistics().connections == 0


async def test_a_drain_with_nobody_there_returns_at_once() -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site(), Bind(port=0))
        server.drain()
        server.drain()


async def test_a_drain_does_not_wait_for_those_who_have_not_said_anything(
    tls_pair: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    binds = [Bind(port=0), Bind(port=0, tls=tls_pair[0])]
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site(), binds)
        silent = [await visit(server, 0), await visit(server, 1)]
        await become(lambda: server.statistics().connections == 2)
        server.drain()
        for visitor in silent:
            assert await visitor.rest() == ""
    assert server.statistics().connections == 0


async def test_a_handler_is_ended_when_its_time_in_a_drain_is_over() -> None:
    async with trio.open_nursery() as nursery:
        limits = Limits(drain_timeout=0)
        server: Server = await nursery.start(serve, site(), Bind(port=0), limits)
        visitor = await visit(server)
        await visitor.get("/endless")
        await visitor.hear("^HTTP/1.1 200 ")
        server.drain()
        assert (await visitor.rest()).endswith("0\r\n\r\n")
        await visitor.leave()
    assert server.statistics().connections == 0


async def test_visiting_many_connections_lets_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "SLICE_SECONDS", 0.0)
    async with open_hub() as hub, trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site(hub), Bind(port=0))
        followers = [await visit(server) for _ in range(20)]
        for follower in followers:
            await follower.get("/follow")
            await follower.hear("^HTTP/1.1 200 ")
        server.drain()
        for follower in followers:
            assert (await follower.rest()).endswith("0\r\n\r\n")
            await follower.leave()
    assert server.statistics().connections == 0
