"""What an attacker says over HTTP/1.1: one case a line of the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from .attack import Attack
from .case import Case

__all__ = ["CASES"]

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
FOLLOW = b"GET /events?topic=a HTTP/1.1\r\nHost: localhost\r\n\r\n"
PAGE = GET + b"\r\n"
POST = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

DRIP_SECONDS = 0.1


def says(
    *said: bytes, then: Callable[[], Iterator[bytes]] = lambda: iter(()), reads: bool = True
) -> Callable[[Attack], None]:
    """Say it, and what goes on without end; then wait for the end."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            connection = attack.connect(reads=reads)
            connection.flood(chain(said, then()), attack.until)
            connection.wait(attack.patience)
            attack.over(connection)

    return attack


def drips(first: bytes, drop: bytes) -> Callable[[Attack], None]:
    """Say a byte now and then, for as long as the server listens."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            connection = attack.connect()
            connection.send(first)
            until = time.monotonic() + attack.patience
            while time.monotonic() < until and connection.send(drop):
                connection.wait(DRIP_SECONDS)
            connection.wait(0.5)
            attack.over(connection)

    return attack


def stopped_reader(attack: Attack) -> None:
    """Ask for one answer after the other, and read none."""
    while attack.goes_on:
        connection = attack.connect(reads=False)
        connection.flood(repeat(PAGE * 100), min(attack.until, time.monotonic() + 5))
        connection.hold(min(attack.patience, 4.0))
        attack.over(connection)


def refused(name: str, reference: str, status: int, offence: str, said: bytes) -> Case:
    """A request that must be refused once, whatever comes after it."""
    return Case(
        name, reference, says(said + PAGE * 3), (str(status),), offence, protocol="HTTP/1.1"
    )


def case(
    name: str,
    reference: str,
    attack: Callable[[Attack], None],
    *ends: str,
    offence: str | tuple[str, ...] | None = None,
    waits: bool = False,
) -> Case:
    return Case(name, reference, attack, ends, offence, protocol="HTTP/1.1", waits=waits)


CASES = (
    refused(
        "a length and chunks",
        "RFC 9112, 6.1",
        400,
        "malformed",
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    refused(
        "two lengths",
        "RFC 9112, 6.3",
        400,
        "malformed",
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ),
    refused(
        "a line that ends with LF",
        "RFC 9112, 2.2",
        400,
        "malformed",
        b"GET / HTTP/1.1\nHost: localhost\r\n\r\n",
    ),
    refused("a folded field", "RFC 9112, 5.2", 400, "malformed", GET + b"a: b\r\n c\r\n\r\n"),
    refused(
        "chunk extensions without bound",
        "CVE-2023-39326",
        400,
        "malformed",
        CHUNKED + b"1;%b\r\nx\r\n" % (b"a" * 300) * 40,
    ),
    refused(
        "thousands of trailers",
        "RFC 9112, 7.1.2",
        400,
        "malformed",
        CHUNKED + b"0\r\n" + b"a:\r\n" * 2_000 + b"\r\n",
    ),
    refused(
        "thousands of fields",
        "RFC 6585, 5",
        431,
        "head_too_large",
        GET + b"a:\r\n" * 7_000 + b"\r\n",
    ),
    refused(
        "a body in chunks of a byte",
        "RFC 9112, 7.1",
        400,
        "malformed",
        CHUNKED + b"1\r\nx\r\n" * 2_000,
    ),
    refused(
        "an escape sequence for the log",
        "RFC 9110, 5.5",
        400,
        "malformed",
        GET + b"User-Agent: \x1b[2J\r\n\r\n",
    ),
    refused(
        "a topic of a megabyte",
        "RFC 9112, 3",
        431,
        "head_too_large",
        b"GET /events?topic=%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 1_000_000),
    ),
    refused(
        "an event of 10 MB",
        "RFC 9110, 15.5.14",
        413,
        "body_too_large",
        POST + b"Content-Length: 10000000\r\n\r\n",
    ),
    case(
        "a head without end",
        "RFC 6585, 5",
        says(GET, then=lambda: repeat(b"a: b\r\n")),
        "431",
        offence="head_too_large",
    ),
    case(
        "chunks without end",
        "RFC 9110, 15.5.14",
        says(CHUNKED, then=lambda: repeat(b"1000\r\n%b\r\n" % bytes(4096))),
        "413",
        "reset",
        offence="body_too_large",
    ),
    case(
        "empty lines without end",
        "RFC 9112, 2.2",
        says(then=lambda: repeat(b"\r\n" * 1_000)),
        "closed",
        "reset",
        offence="idle",
        waits=True,
    ),
    case("nothing at all", "Slowloris", says(), "closed", offence="idle", waits=True),
    case("half a head", "Slowloris", says(GET), "408", offence="too_late", waits=True),
    case(
        "a head byte by byte",
        "Slowloris",
        drips(GET, b"a"),
        "408",
        offence="too_late",
        waits=True,
    ),
    case(
        "a body byte by byte",
        "R-U-Dead-Yet",
        drips(POST + b"Content-Length: 1000\r\n\r\n", b"a"),
        "408",
        offence="too_late",
        waits=True,
    ),
    case(
        "thousands of pipelined requests",
        "RFC 9112, 9.3.2",
        says(PAGE * 2_000, GET + b"Connection: close\r\n\r\n"),
        "200",
    ),
    case(
        "pipelined requests, reading no answer",
        "RFC 9112, 9.3.2",
        stopped_reader,
        "200*",
        "reset",
        "closed",
        offence="dropped",
        waits=True,
    ),
    case(
        "requests after one that follows",
        "RFC 9112, 9.3.2",
        says(FOLLOW, then=lambda: repeat(PAGE * 100)),
        "200",
        "reset",
        offence="sent_ahead",
    ),
    case(
        "requests after Connection: close",
        "RFC 9112, 9.6",
        says(GET + b"Connection: close\r\n\r\n" + PAGE * 100),
        "200",
    ),
    case(
        "an offer of h2c",
        "RFC 9113, 3.1",
        says(GET + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"),
        "200",
    ),
)
