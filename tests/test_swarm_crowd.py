"""A crowd of the load client: who is cut off comes back as a browser does, and loses nothing."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from collections.abc import Iterator

import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from hpack import Decoder

from crowds import Gathering, due_now, gathering, hub
from impostor import PROTOCOLS, ROOT, STREAMS, Impostor, Protocol, on_the_wire
from running import HUB

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.swarm.frames import frame

CLIENTS = 4
END_STREAM = 1
HEADERS, RST_STREAM, GOAWAY = 1, 3, 7
SOON = b"retry: 1\n\n"

protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture
def impostor(protocol: Protocol) -> Iterator[Impostor]:
    with Impostor(protocol) as made:
        yield made


def request_of(crowd: Gathering, client: socket.socket) -> bytes:
    """What a client asks next, and what it sends before that."""
    client.setblocking(False)
    received = b""

    def has_asked() -> bool:
        nonlocal received
        with contextlib.suppress(BlockingIOError):
            received += client.recv(65_536)
        return received.endswith(b"\r\n\r\n") or bool(asked(received))

    crowd.until(has_asked)
    client.setblocking(True)
    return received


def asked(data: bytes) -> dict[int, dict[str, str]]:
    """The requests in what an HTTP/2 client sends, by stream id."""
    found, decoder = {}, Decoder()
    if data.startswith(b"GET"):
        return {}
    data = data.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    while data:
        length, kind = int.from_bytes(data[:3]), data[3]
        if kind == HEADERS:
            fields = decoder.decode(data[9 : 9 + length])
            found[int.from_bytes(data[5:9])] = {str(k): str(v) for k, v in fields}
        data = data[9 + length :]
    return found


def last_event_ids(protocol: Protocol, data: bytes) -> list[str]:
    """What a connection's requests say that its streams have, one after the other."""
    if protocol == "http1":
        return [found.decode() for found in re.findall(rb"Last-Event-ID: (\S+)", data)]
    return [fields.get("last-event-id", "") for fields in asked(data).values()]


def welcome(crowd: Gathering, impostor: Impostor) -> bytes:
    """Have the impostor take a connection; return what it asked for."""
    told = len(crowd.told)
    crowd.until(impostor.pending)
    client = impostor.take()
    request = request_of(crowd, client)
    impostor.welcome(client)
    crowd.until(lambda: "opened" in (what for what, _ in crowd.told[told:]))
    return request


# -- against the project's own server ---------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@protocols
def test_all_are_cut_off_at_once_and_nobody_loses_an_event(protocol: Protocol, scheme: str) -> None:
    streams = STREAMS[protocol]
    options = ("--self-signed",) if scheme == "https" else ()
    with (
        hub(*options) as server,
        gathering(
            [server.port],
            protocol,
            clients=CLIENTS,
            streams=streams,
            scheme=scheme,
            path=HUB + "?topic={topic}",
        ) as crowd,
    ):
        crowd.until(lambda: crowd.crowd.connected == CLIENTS * streams)
        crowd.have(server.publish(2))
        crowd.crowd.drop_all()
        assert crowd.crowd.connected == 0
        last = server.publish(3)
        crowd.until(lambda: crowd.crowd.connected == CLIENTS * streams)
        crowd.have(last)
        crowd.have(last := server.publish())
        figures = crowd.figures()
        assert figures["faults"] == {}
        assert figures["deliveries"] == figures["expected"] == last * CLIENTS * streams
        assert crowd.crowd.reconnects == CLIENTS * streams
        assert crowd.crowd.endings == {"dropped": CLIENTS}
        assert crowd.crowd.errors == 0
        for duration in ("connect", "first_event", "recovery"):
            assert HdrHistogram.decode(figures[duration]).get_total_count() == CLIENTS * streams


@protocols
def test_a_server_that_stops_and_one_in_its_place_are_waited_for(protocol: Protocol) -> None:
    streams = STREAMS[protocol]
    path = HUB + "?topic={topic}"
    with (
        hub("--reconnect-spread", "0") as first,
        gathering([first.port], protocol, clients=2, streams=streams, path=path) as crowd,
    ):
        crowd.until(lambda: crowd.crowd.connected == 2 * streams)
        crowd.have(first.publish(1))
        first.stop()
        crowd.until(lambda: first.is_over)
        crowd.until(lambda: crowd.crowd.endings["unreachable"] >= 2)
        with hub("--port", str(first.port)):
            crowd.until(lambda: crowd.crowd.connected == 2 * streams)
            crowd.crowd.close_all()
    assert crowd.crowd.reconnects == 2 * streams
    # The new one does not know the id, and says so.
    assert set(crowd.receipts.faults.found()) <= {"gap"}


# -- against a server that ends what it likes -------------------------------------------


@protocols
def test_who_is_hung_up_on_asks_again_with_the_last_event_id(
    protocol: Protocol, impostor: Impostor
) -> None:
    with gathering([impostor.port], protocol, streams=STREAMS[protocol]) as crowd:
        first = welcome(crowd, impostor)
        assert not any(last_event_ids(protocol, first))
        impostor.send(SOON, due_now(1), due_now(2))
        crowd.have(2)
        impostor.clients.pop().close()
        second = welcome(crowd, impostor)
        assert last_event_ids(protocol, second) == ["x.2"] * STREAMS[protocol]
        impostor.send(due_now(3))
        crowd.have(3)
        assert crowd.figures()["faults"] == {}


def test_one_stream_that_ends_is_opened_again_on_its_connection() -> None:
    with (
        Impostor("http2") as impostor,
        gathering([impostor.port], "http2", streams=2) as crowd,
    ):
        welcome(crowd, impostor)
        client = impostor.clients[0]
        impostor.send(SOON, due_now(1))
        crowd.have(1)
        client.sendall(frame(0, END_STREAM, 1, b""))
        again = asked(request_of(crowd, client))
        assert {stream: fields["last-event-id"] for stream, fields in again.items()} == {5: "x.1"}
        client.sendall(frame(HEADERS, 4, 5, b"\x88"))
        client.sendall(frame(RST_STREAM, 0, 3, bytes(4)))
        again = asked(request_of(crowd, client))
        assert {stream: fields["last-event-id"] for stream, fields in again.items()} == {7: "x.1"}
        client.sendall(frame(HEADERS, 4, 7, b"\x88"))
        for number in (2, 3):
            client.sendall(frame(0, 0, 5, due_now(number)) + frame(0, 0, 7, due_now(number)))
        crowd.have(3)
        figures = crowd.figures()
        assert figures["faults"] == {}
        assert figures["deliveries"] == figures["expected"] == 6
        assert crowd.crowd.connected == 2
        assert crowd.crowd.endings == {"ended": 2}
        assert len(impostor.clients) == 1


def test_streams_of_a_connection_that_takes_no_more_move_to_another() -> None:
    with (
        Impostor("http2") as impostor,
        gathering([impostor.port], "http2", streams=2) as crowd,
    ):
        welcome(crowd, impostor)
        impostor.send(SOON, due_now(1))
        crowd.have(1)
        leaving = impostor.clients[0]
        leaving.sendall(frame(GOAWAY, 0, 0, bytes([0, 0, 0, 3]) + bytes(4)))
        leaving.sendall(frame(0, END_STREAM, 1, b"") + frame(0, END_STREAM, 3, b""))
        again = welcome(crowd, impostor)
        assert last_event_ids("http2", again) == ["x.1", "x.1"]
        while leaving.recv(65_536):
            pass  # Nothing on it is of use any more: the client has left it.


@protocols
def test_who_is_refused_is_counted_and_tries_again(protocol: Protocol, impostor: Impostor) -> None:
    with gathering([impostor.port], protocol) as crowd:
        for client in crowd.crowd._everyone.values():
            client.retry_ms = 1
        crowd.until(impostor.pending)
        client_socket = impostor.take()
        request_of(crowd, client_socket)
        if protocol == "http1":
            client_socket.sendall(b"HTTP/1.1 503 Not now\r\nContent-Length: 3\r\n\r\nno\n")
            welcome(crowd, impostor)
        else:
            client_socket.sendall(frame(4, 0, 0, b"") + frame(HEADERS, 5, 1, b"\x8d"))
            assert list(asked(request_of(crowd, client_socket))) == [3]
            client_socket.sendall(frame(HEADERS, 4, 3, b"\x88"))
            crowd.until(lambda: crowd.crowd.connected == 1)
        assert crowd.told == [("refused", 0), ("opened", 0)]
        assert crowd.crowd.errors == 1
        assert crowd.crowd.endings == {"refused": 1}
        assert crowd.figures()["faults"] == {}


@protocols
def test_clients_are_dealt_to_the_servers_in_turn(protocol: Protocol) -> None:
    streams = STREAMS[protocol]
    with (
        Impostor(protocol) as one,
        Impostor(protocol) as other,
        gathering([one.port, other.port], protocol, clients=4, streams=streams) as crowd,
    ):
        servers = (one, other)
        for server in (*servers, *servers):
            welcome(crowd, server)
        # Each with ids of its own, as servers have that know nothing of each other.
        for name, server in zip("xy", servers, strict=True):
            server.send(SOON, *(due_now(number, hub=name) for number in (1, 2, 3)))
        crowd.have(3)
        for name, server in zip("xy", servers, strict=True):
            server.clients.pop().close()
            again = welcome(crowd, server)
            assert last_event_ids(protocol, again) == [f"{name}.3"] * streams
        figures = crowd.figures()
        assert figures["faults"] == {}
        assert figures["deliveries"] == figures["expected"] == 4 * 3 * streams


@protocols
def test_who_stalls_reads_on_after_a_while(protocol: Protocol, impostor: Impostor) -> None:
    with gathering([impostor.port], protocol, streams=STREAMS[protocol]) as crowd:
        welcome(crowd, impostor)
        crowd.crowd.stall(1, 0.01)
        impostor.send(due_now(1))
        assert crowd.crowd.due() is not None
        crowd.have(1)
        assert crowd.crowd.due() is None


@protocols
def test_who_left_for_good_is_expected_to_have_no_more_than_it_had(
    protocol: Protocol, impostor: Impostor
) -> None:
    streams = STREAMS[protocol]
    with gathering([impostor.port], protocol, clients=2, streams=streams) as crowd:
        welcome(crowd, impostor)
        welcome(crowd, impostor)
        impostor.send(due_now(1))
        crowd.have(1)
        crowd.crowd.close(next(iter(crowd.crowd._everyone.values())))
        impostor.clients.pop(0).close()
        impostor.send(due_now(2))
        crowd.have(2)
        figures = crowd.figures()
        assert figures["deliveries"] == figures["expected"] == 3 * streams
        assert [row[2] for row in figures["events"]] == [2 * streams, streams]


@protocols
def test_what_a_server_says_it_lost_may_be_forgiven(protocol: Protocol, impostor: Impostor) -> None:
    streams = STREAMS[protocol]
    gap = b'event: trio-sse.gap\ndata: {"lost":2}\n\n'
    with gathering([impostor.port], protocol, clients=2, streams=streams, expect_gap=True) as crowd:
        welcome(crowd, impostor)
        welcome(crowd, impostor)
        impostor.send(due_now(1))
        crowd.have(1)
        lucky, unlucky = impostor.clients
        lucky.sendall(b"".join(on_the_wire(protocol, due_now(number)) for number in (2, 3, 4)))
        unlucky.sendall(b"".join(on_the_wire(protocol, each) for each in (gap, due_now(4))))
        crowd.have(4)
        figures = crowd.figures()
        assert figures["faults"] == {"gap": streams}
        assert figures["deliveries"] == figures["expected"] == (4 + 2) * streams
