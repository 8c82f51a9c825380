"""Whatever a client sends, a message in the log is one short line of text that can be printed.

A line end would let a client write lines of its own, and an escape sequence would have the
terminal of whoever reads the log do what the client wants (CWE-117, CWE-150).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import quote_from_bytes

import pytest
import trio.testing
from trio.testing import MockClock

from hpack_pieces import WITHOUT, literal
from http2_client import (
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    raw,
)
from support.logs import Log
from support.memory_server import MemoryServer, serving
from support.reader import BOTH, Protocol
from trio_sse import mercure
from trio_sse.connection import Stream
from trio_sse.hub import Hub, open_hub
from trio_sse.message import Request, Response
from trio_sse.routes import Routes

ODD = {
    "ESC": b"\x1b[2J",
    "NUL": b"\0",
    "BEL": b"\x07",
    "CRLF": b"\r\n2026-01-01 INFO trio_sse: all is well",
    "CR": b"\rall is well",
    "LF": b"\nall is well",
    "DEL": b"\x7f",
    "CSI as a byte": b"\x9b2J",
    "CSI in UTF-8": "\x9b2J".encode(),
    "NEL as a byte": b"\x85",
    "NEL in UTF-8": "\x85".encode(),
    "a line separator": "\u2028".encode(),
    "an override of the direction": "\u202e".encode(),
    "ESC without end": b"\x1b" * 5_000,
}

Asked = tuple[bytes, bytes, list[tuple[bytes, bytes]]]
"""Method, target and fields."""


def get(target: bytes, *fields: tuple[bytes, bytes]) -> Asked:
    return b"GET", target, list(fields)


def escaped(odd: bytes) -> bytes:
    return quote_from_bytes(odd).encode()


HUB = mercure.PATH.encode()

PLACES: dict[str, Callable[[bytes], Asked]] = {
    "path": lambda odd: get(b"/raises/a" + odd),
    "escaped path of a handler that raises": lambda odd: get(b"/raises/a" + escaped(odd)),
    "escaped path of a handler that returns too late": lambda odd: get(b"/late/" + escaped(odd)),
    "escaped path of an endpoint that raises": lambda odd: get(b"/broken/" + escaped(odd)),
    "query": lambda odd: get(b"/raises/a?b=" + odd),
    "escaped query": lambda odd: get(b"/raises/a?b=" + escaped(odd)),
    "topic": lambda odd: get(HUB + b"?topic=" + escaped(odd)),
    "Last-Event-ID": lambda odd: get(HUB + b"?topic=a", (b"last-event-id", odd)),
    "escaped lastEventID": lambda odd: get(HUB + b"?topic=a&lastEventID=" + escaped(odd)),
    "value": lambda odd: get(b"/raises/a", (b"user-agent", b"a" + odd + b"b")),
    "name": lambda odd: get(b"/raises/a", (b"a" + odd + b"b", b"c")),
    "length": lambda odd: get(b"/raises/a", (b"content-length", b"1" + odd)),
    "coding": lambda odd: get(b"/raises/a", (b"transfer-encoding", b"a" + odd + b"b")),
    "pseudo-header or nothing before the colon": lambda odd: get(b"/raises/a", (b":a" + odd, b"b")),
    "method": lambda odd: (b"G" + odd + b"ET", b"/raises/a", []),
}


def site(hub: Hub) -> Routes:
    """A hub, and what goes wrong in each way that is logged."""
    routes = Routes()
    mercure.mount(routes, hub, publish_from="anyone")

    @routes.get("/raises/{name}")
    async def raises(stream: Stream) -> None:
        raise ZeroDivisionError

    @routes.get("/late/{name}")
    async def returns_too_late(stream: Stream) -> Response:
        await stream.send("open")
        return Response(204)

    @routes.get("/broken/{name}")
    def broken(request: Request) -> Response:
        raise ZeroDivisionError

    return routes


def on_the_wire(protocol: Protocol, asked: Asked) -> bytes:
    method, target, fields = asked
    if protocol == "HTTP/1.1":
        lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: a"]
        lines += [b"%b: %b" % field for field in fields]
        return b"\r\n".join([*lines, b"", b""])
    pseudo = [
        (b":method", method),
        (b":scheme", b"http"),
        (b":authority", b"a"),
        (b":path", target),
    ]
    block = b"".join(literal(name, value, WITHOUT) for name, value in pseudo + fields)
    return PREFACE + raw(SETTINGS) + raw(HEADERS, END_HEADERS | END_STREAM, 1, block)


async def say(server: MemoryServer, data: bytes) -> bytes:
    """Say something on a new connection, and leave when it is answered."""
    client = server.connect()
    client.send(data)
    await trio.testing.wait_all_tasks_blocked()
    answer = client.receive()
    client.close()
    await trio.testing.wait_all_tasks_blocked()
    return answer or b""


def messages(caplog: Log) -> list[str]:
    """All that this package has logged: each message must be one short line that can be printed."""
    said = [each.getMessage() for each in caplog.records if each.name.startswith("trio_sse")]
    assert [each for each in said if not each.isprintable() or len(each) > 500] == []
    return said


@BOTH
@pytest.mark.parametrize("place", PLACES)
async def test_no_odd_byte_of_a_request_gets_into_the_log_as_it_came(
    autojump_clock: MockClock, protocol: Protocol, place: str, caplog: Log
) -> None:
    caplog.set_level(logging.DEBUG, "trio_sse")
    async with open_hub() as hub, serving(site(hub)) as server:
        for odd in ODD.values():
            caplog.clear()
            assert await say(server, on_the_wire(protocol, PLACES[place](odd)))
            said = messages(caplog)
            if PLACES[place](b"")[1].startswith((b"/raises", b"/late", b"/broken")):
                # Else it would prove nothing.
                assert said


@pytest.mark.parametrize("odd", ODD)
async def test_nor_does_what_http2_connections_end_with(
    autojump_clock: MockClock, odd: str, caplog: Log
) -> None:
    caplog.set_level(logging.DEBUG, "trio_sse")
    begin = PREFACE + raw(SETTINGS)
    ends = [
        begin + raw(GOAWAY, 0, 0, bytes(8) + ODD[odd]),
        begin + raw(GOAWAY, 0, 0, bytes(7) + b"\1" + ODD[odd]),
        begin + raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x7f" + b"\xff" * 20 + ODD[odd]),
        begin + raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x7f\x9b\x9b" + ODD[odd]),
        begin + raw(RST_STREAM, 0, 1, (ODD[odd] * 4)[:4]),
        begin + raw(PRIORITY, 0, 1, ODD[odd] * 10),
        PREFACE[:12] + ODD[odd] + PREFACE[12:],
    ]
    async with open_hub() as hub, serving(site(hub)) as server:
        for end in ends:
            await say(server, end)
    assert len(messages(caplog)) >= 4


async def test_nor_what_is_no_protocol_at_all(autojump_clock: MockClock, caplog: Log) -> None:
    caplog.set_level(logging.DEBUG, "trio_sse")
    async with open_hub() as hub, serving(site(hub)) as server:
        for odd in ODD.values():
            await say(server, odd * 3 + b"\r\n\r\n")
    assert len(messages(caplog)) >= len(ODD)
