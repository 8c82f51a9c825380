"""The server on real sockets: who gets in, who is turned away, and what is spoken."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import os
import re
import socket
import ssl
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection

from support.logs import Log, complaints
from support.sites import follow
from support.visitor import Visitor, become, running, secure, site, tls_pair, visit
from test_listening import NEEDS_IPV6
from trio_sse import listening
from trio_sse import server as server_module
from trio_sse.connection import negotiation
from trio_sse.connection.endpoint import Endpoint
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.listening import ACCEPT_MOST, Bind, BindError, Listener
from trio_sse.message import Peer, Request, Response
from trio_sse.readiness import AT_MOST, HAS_EPOLL
from trio_sse.routes import Follow, Routes
from trio_sse.server import Server, serve
from trio_sse.tls_transport import TlsTransport
from trio_sse.wire.h2_server import H2Server

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


def come_at_once(server: Server, *sources: str) -> list[socket.socket]:
    """Connect and ask before the server can look."""
    address = server.addresses[0].host, server.addresses[0].port
    crowd = [socket.create_connection(address, source_address=(each, 0)) for each in sources]
    for each in crowd:
        each.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return crowd


async def test_a_crowd_of_one_address_does_not_go_before_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "ACCEPT_SECONDS", 60)
    came = []
    routes = Routes()

    @routes.get("/")
    def answer(request: Request) -> Response:
        came.append(request.peer.host)
        return Response(204)

    async with running(routes) as server:
        crowd = come_at_once(server, *100 * ["127.0.0.2"], "127.0.0.3")
        await become(lambda: len(came) == 101)
        for each in crowd:
            each.close()
    # In the first batch, in which the order is any.
    assert came.index("127.0.0.3") < ACCEPT_MOST // 4


async def test_while_many_wait_to_be_accepted_few_are_let_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(step=server_module.ACCEPT_SECONDS / 100)  # about so many are accepted
    monkeypatch.setattr(server_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    async with running() as server:
        crowd = come_at_once(server, *350 * ["127.0.0.2"])
        while (seen := server.statistics()).accepted < 350:
            heard = seen.requests
            await trio.lowlevel.checkpoint()
        # By then three turns had let a few in; the fourth emptied the queue.
        assert 0 < heard <= ACCEPT_MOST // 4
        await become(lambda: server.statistics().requests == 350)
        for each in crowd:
            each.close()


@pytest.mark.skipif(not HAS_EPOLL, reason="There is no epoll here.")
async def test_others_have_their_turn_while_a_crowd_of_followers_is_lost() -> None:
    routes, open_streams = Routes(), list[int]()
    async with open_hub() as hub:
        routes.get("/")(lambda request: Follow(hub, ("a",)))
        async with running(routes) as server:
            crowd = come_at_once(server, *300 * ["127.0.0.2"])
            await become(lambda: server.statistics().streams == 300)
            for each in crowd:
                each.close()
            while not open_streams or open_streams[-1]:
                await trio.lowlevel.checkpoint()
                open_streams.append(server.statistics().streams)
    # So many in each turn, and they and who looks have theirs in any order.
    assert max(before - after for before, after in itertools.pairwise(open_streams)) <= 2 * AT_MOST


async def test_a_file_that_is_closed_behind_its_back_costs_the_server_no_other(
    caplog: Log,
) -> None:
    async with open_hub() as hub, running(follow(hub)) as server:
        wronged, other = await visit(server), await visit(server)
        for each in (wronged, other):
            await each.get()
            await each.hear("200 OK")
        (connection, _) = server._rounds
        os.close(connection.transport.file)
        hub.publish("a", "hello")
        await other.hear("data: hello")
        await become(lambda: server.statistics().connections == 1)
        assert server.statistics().failed == 1
        (complaint,) = complaints(caplog)
        assert complaint.endswith("the connection failed")


async def test_who_waits_in_line_when_the_server_stops_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "ACCEPT_SECONDS", 60)
    monkeypatch.setattr(listening, "ACCEPT_MOST", 4)
    async with running() as server:
        crowd = come_at_once(server, *50 * ["127.0.0.2"])
        await become(lambda: server.statistics().accepted == 50)
    for each in crowd:
        with each, contextlib.suppress(ConnectionResetError):
            while each.recv(1000):
                pass


HTTP1_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def http2_request() -> bytes:
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    head = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/"}
    client.send_headers(1, list(head.items()), end_stream=True)
    return client.data_to_send()


@pytest.mark.parametrize("since", [None, "earliest"], ids=["live", "caught up"])
@pytest.mark.parametrize("asked", [HTTP1_REQUEST, http2_request()], ids=["HTTP/1.1", "HTTP/2"])
async def test_a_connection_that_is_over_is_no_work_for_the_collector_of_cycles(
    asked: bytes, since: str | None
) -> None:
    hub_routes = Routes()
    async with open_hub() as hub:
        hub.publish("a", "x")
        hub_routes.get("/", lambda request: Follow(hub, ("a",), since))
        async with running(hub_routes) as server:
            gc.collect()
            gc.disable()
            try:
                visitor = await visit(server)
                await visitor.stream.send_all(asked)
                heard = b""
                while b"retry" not in heard:
                    heard += await visitor.stream.receive_some()
                await visitor.leave()
                await become(lambda: server.statistics().connections == 0)
                left = [each for each in gc.get_objects() if isinstance(each, Endpoint | H2Server)]
            finally:
                gc.enable()
            assert not left


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
    assert not complaints(caplog)


async def test_those_who_are_turned_away_are_told_to_come_back_at_different_times() -> None:
    limits = Limits(max_connections=1, reconnect_spread=1000)
    told = set()
    async with running(limits=limits) as server:
        server._service.random = Random(7)
        await visit(server)
        await become(lambda: server.statistics().connections == 1)
        for _ in range(5):
            answer = await (await visit(server)).rest()
            [seconds] = re.findall(r"\r\nRetry-After: (\d+)\r\n", answer)
            told.add(int(seconds))
    assert len(told) == 5
    assert max(told) - min(told) > 100


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


async def test_each_network_has_a_limit_of_its_own() -> None:
    async with running(limits=Limits(max_connections_per_network=1)) as server:
        for source, neighbour in (("127.0.0.2", "127.0.0.3"), ("127.0.1.2", "127.0.1.3")):
            guest = await visit(server, source=source)
            await guest.get()
            await guest.hear("yes\n$")
            assert "503" in await (await visit(server, source=neighbour)).rest()
        assert server.statistics().connections == 2
        assert server.statistics().turned_away == 2


async def test_who_comes_too_often_is_turned_away() -> None:
    async def late(server: Server) -> Visitor:
        come = server.statistics().accepted
        visitor = await visit(server, source="127.0.0.2")
        await become(lambda: server.statistics().accepted > come)
        return visitor

    async with running(limits=Limits(max_connects_per_second=1)) as server:
        for _ in range(20):  # what may come at once, and as much again
            guest = await visit(server, source="127.0.0.2")
            await guest.get()
            await guest.hear("yes\n$")
            await guest.leave()
        while not server.statistics().turned_away:  # a second may have passed
            last = await late(server)
        assert "503" in await last.rest()
        other = await visit(server, source="127.0.0.3")
        await other.get()
        await other.hear("yes\n$")


async def test_who_cannot_even_be_told_is_turned_away_in_silence() -> None:
    bind = Bind(port=0, tls=tls_pair()[0])
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
    sleep, pauses = trio.sleep, []

    async def note_and_sleep(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(trio, "sleep", note_and_sleep)
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
    assert pauses.count(0.001) == 2
    assert complaints(caplog) == [f"Cannot accept connections: number {errno.ENFILE}"]


async def test_to_listen_nowhere_is_an_error() -> None:
    with pytest.raises(ValueError, match="give serve\\(\\) at least one Bind"):
        await serve(Routes(), [])


# -- TLS --------------------------------------------------------------------------------


async def test_tls_is_spoken_where_there_is_a_context() -> None:
    ours, theirs = tls_pair()
    async with running(None, Bind(port=0, tls=ours)) as server:
        assert str(server.addresses[0]).startswith("https://")
        http1 = await secure(server, theirs)
        await http1.get()
        await http1.hear("^HTTP/1.1 200 OK.*yes\n$")
        http2 = await secure(server, theirs, "h2")
        await http2.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert (await http2.stream.receive_some())[3:5] == b"\4\0"  # SETTINGS


async def test_clear_text_on_a_tls_port_is_told_so() -> None:
    async with running(None, Bind(port=0, tls=tls_pair()[0])) as server:
        visitor = await visit(server)
        await visitor.get()
        answer = await visitor.rest()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
        assert body == "This port speaks HTTPS: use https:// to reach it.\n"
        assert f"Content-Length: {len(body)}" in head
        await become(lambda: server.statistics().connections == 0)
        assert server.statistics().offences == {"clear_text": 1}
        # A reset might have cost a client further away the answer.
        assert isinstance(visitor.stream, trio.SocketStream)
        assert visitor.stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_a_handshake_takes_nothing_before_all_of_its_hello_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = []

    def begin(*arguments: Any) -> TlsTransport:
        begun.append(TlsTransport(*arguments))
        return begun[-1]

    monkeypatch.setattr(negotiation, "TlsTransport", begin)
    ours, theirs = tls_pair()
    said = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        theirs.wrap_bio(ssl.MemoryBIO(), said, server_hostname="127.0.0.1").do_handshake()
    hello = said.read()
    async with running(None, Bind(port=0, tls=ours)) as server:
        sizes = (0, 1, 4, 5, len(hello) - 1)
        for size in sizes:
            gone = await visit(server)
            await gone.stream.send_all(hello[:size])
            await gone.leave()
        await become(lambda: server.statistics().accepted == len(sizes))
        await become(lambda: server.statistics().connections == 0)
        assert begun == []
        slow = await visit(server)
        for start in range(0, len(hello), 100):
            await slow.stream.send_all(hello[start : start + 100])
        assert await slow.stream.receive_some(1) == hello[:1]
        assert len(begun) == 1
        await slow.leave()


async def test_a_handshake_that_fails_is_no_error(caplog: Log) -> None:
    async with running(None, Bind(port=0, tls=tls_pair()[0])) as server:
        garbled, gone = await visit(server), await visit(server)
        await garbled.say("\x16 and then nothing that TLS would know")
        await gone.leave()
        await garbled.is_let_go()
        await become(lambda: server.statistics().accepted == 2)
        await become(lambda: server.statistics().connections == 0)
        assert server.statistics().failed == 0
        assert server.statistics().offences == {"handshake": 1}
        assert server.statistics().idle == 0
    assert not complaints(caplog)


@pytest.mark.parametrize(
    ("method", "call"), [("__init__", 1), ("handshake", 1), ("handshake", 2), ("wait_readable", 1)]
)
async def test_a_defect_in_a_handshake_costs_one_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: Log, method: str, call: int
) -> None:
    ours, theirs = tls_pair()
    async with open_hub() as hub, running(site(hub), Bind(port=0, tls=ours)) as server:
        neighbour = await secure(server, theirs)
        await neighbour.get("/follow")
        await neighbour.hear("200 OK")
        unlucky = await visit(server)
        with monkeypatch.context() as patch:
            calls = fail_at(call, patch, TlsTransport, method)
            secured = trio.SSLStream(unlucky.stream, theirs, server_hostname="127.0.0.1")
            with pytest.raises(trio.BrokenResourceError):
                # For the client all may be well when it has said the last of it.
                await secured.receive_some()
            await become(lambda: server.statistics().connections == 1)
            assert len(calls) == call
        assert server.statistics().failed == 1
        assert server.statistics().offences == {}
        (complaint,) = complaints(caplog)
        assert complaint.endswith("the connection failed")
        hub.publish("a", "hello")
        await neighbour.hear("data: hello")
        # And others have their turn.
        await (await secure(server, theirs)).get()


def fail_at(call: int, patch: pytest.MonkeyPatch, whose: type, method: str) -> list[None]:
    """Have a method raise the n-th time that it is called; return its calls."""
    sound, calls = getattr(whose, method), list[None]()

    def defective(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            raise ZeroDivisionError("what nobody has thought of")
        return sound(*arguments)

    patch.setattr(whose, method, defective)
    return calls


async def test_a_handshake_that_never_comes_is_no_error(caplog: Log) -> None:
    limits = Limits(head_timeout=0.05)
    async with running(None, Bind(port=0, tls=tls_pair()[0]), limits=limits) as server:
        silent, halfway = await visit(server), await visit(server)
        await halfway.say("\x16\x03\x01")
        for visitor in (silent, halfway):
            await visitor.is_let_go()
        await become(lambda: server.statistics().connections == 0)
        assert server.statistics().failed == 0
        assert server.statistics().offences == {}
        assert server.statistics().idle == 2
    assert not complaints(caplog)
