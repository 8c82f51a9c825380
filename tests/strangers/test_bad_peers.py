"""Peers that break the rules of HTTP/1.1 and of the hub: each is told so, nobody else notices.

On the connections beside the bad one a canary follows, over HTTP/1.1 and over HTTP/2.
What bad peers do over HTTP/2 is in test_bad_http2_peers.py, and with TLS in test_bad_tls_peers.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

import smuggling
from trio_sse.mercure import PATH

from .canary import is_cut, watched_site
from .raw import raw_peer
from .site import Site, until

CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(506)


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    async with watched_site(caplog) as site:
        yield site


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def form(body: bytes) -> bytes:
    return request(
        b"POST %b HTTP/1.1" % PATH.encode(),
        b"Host: localhost",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: %d" % len(body),
        body=body,
    )


GET = b"GET /page HTTP/1.1"
POST = b"POST /tell HTTP/1.1"
LOCALHOST = b"Host: localhost"

REFUSED_AND_CLOSED = {
    "no HTTP at all": (400, b"\x00\x01\x02\x03\r\n\r\n"),
    "a line of words": (400, b"hello, is anybody there?\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /page\r\n\r\n"),
    "a future version": (505, request(b"GET /page HTTP/3.0", LOCALHOST)),
    "a preface with a slip": (505, b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n"),
    "TLS in clear text": (400, CLIENT_HELLO),
    "no host": (400, request(GET)),
    "two hosts": (400, request(GET, LOCALHOST, b"Host: elsewhere")),
    "a host that is none": (400, request(GET, b"Host: local host")),
    "a target without a slash": (400, request(b"GET page HTTP/1.1", LOCALHOST)),
    "a target with a space": (400, request(b"GET /a page HTTP/1.1", LOCALHOST)),
    "a target with a control character": (400, request(b"GET /\x07 HTTP/1.1", LOCALHOST)),
    "a target of another host": (400, request(b"GET http://else/ HTTP/1.1", LOCALHOST)),
    "a method that is no token": (400, request(b"G(E)T / HTTP/1.1", LOCALHOST)),
    "a tunnel": (501, request(b"CONNECT example.org:443 HTTP/1.1", b"Host: example.org:443")),
    "a name with a space": (400, request(GET, LOCALHOST, b"Last Event: 1")),
    "a field without a colon": (400, request(GET, LOCALHOST, b"Last-Event-ID")),
    "a control character in the last id": (
        400,
        request(b"GET %b?topic=a HTTP/1.1" % PATH.encode(), LOCALHOST, b"Last-Event-ID: a\x01b"),
    ),
    "a NUL in a field": (400, request(GET, LOCALHOST, b"X: a\x00b")),
    "a negative length": (400, request(POST, LOCALHOST, b"Content-Length: -1")),
    "two lengths": (400, request(POST, LOCALHOST, b"Content-Length: 1", b"Content-Length: 2")),
    "a length and chunks": (
        400,
        request(POST, LOCALHOST, b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    ),
    "a coding we do not speak": (501, request(POST, LOCALHOST, b"Transfer-Encoding: gzip")),
    "a chunk without a size": (
        400,
        request(POST, LOCALHOST, b"Transfer-Encoding: chunked", body=b"xyz\r\n"),
    ),
    "a head without an end": (431, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000),
    "a line without an end": (431, b"GET /" + b"x" * 100_000),
    "a declared body over the limit": (
        413,
        request(POST, LOCALHOST, b"Content-Length: 1048577"),
    ),
    "a body as long as nothing is": (413, request(POST, LOCALHOST, b"Content-Length: %d" % 10**19)),
    "chunks over the limit": (
        413,
        request(
            POST,
            LOCALHOST,
            b"Transfer-Encoding: chunked",
            body=b"".join(b"10000\r\n%b\r\n" % bytes(65536) for _ in range(17)),
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED_AND_CLOSED)
async def test_a_request_that_cannot_be_read_is_refused_with_a_reason(
    site: Site, what: str
) -> None:
    status, asked = REFUSED_AND_CLOSED[what]
    async with raw_peer(site.port) as peer:
        await peer.send(asked)
        head, _, text = (await peer.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head.lower()
    assert b"content-length: %d" % len(text) in head.lower()
    # One sentence for people, on a line.
    assert text.endswith(b".\n")
    assert text.count(b"\n") == 1
    assert site.server.statistics().refused == 1


@pytest.mark.parametrize("what", smuggling.CASES)
async def test_a_request_that_can_be_read_in_two_ways_is_refused_once(
    site: Site, what: str
) -> None:
    status, asked = smuggling.CASES[what]
    async with raw_peer(site.port) as peer:
        await peer.send(asked + smuggling.SMUGGLED)
        said = await peer.rest()
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert len(re.findall(rb"HTTP/1\.1 \d", said)) == 1
    assert b"connection: close" in said.lower()
    statistics = site.server.statistics()
    assert statistics.refused == 1
    assert sum(statistics.offences.values()) == 1


REFUSED_AND_OPEN = {
    "no topic": (400, request(b"GET %b HTTP/1.1" % PATH.encode(), LOCALHOST)),
    "an empty topic": (400, request(b"GET %b?topic= HTTP/1.1" % PATH.encode(), LOCALHOST)),
    "a topic that is too long": (
        400,
        request(b"GET %b?topic=%b HTTP/1.1" % (PATH.encode(), b"x" * 1025), LOCALHOST),
    ),
    "a topic that is not UTF-8": (
        400,
        request(b"GET %b?topic=%%ff HTTP/1.1" % PATH.encode(), LOCALHOST),
    ),
    "too many topics": (
        400,
        request(
            b"GET %b?%b HTTP/1.1" % (PATH.encode(), b"&topic=x%d" * 101 % tuple(range(101))),
            LOCALHOST,
        ),
    ),
    "a line end in the last id": (
        400,
        request(b"GET %b?topic=a&lastEventID=a%%0ab HTTP/1.1" % PATH.encode(), LOCALHOST),
    ),
    "a form that is not UTF-8": (400, form(b"topic=a&data=\xff\xfe")),
    "a field that is not UTF-8": (400, form(b"topic=a&data=%ff%fe")),
    "a NUL in an id": (400, form(b"topic=a&data=b&id=%00")),
    "a line end in a type": (400, form(b"topic=a&data=b&type=c%0adata:+d")),
    "a line end in an id": (400, form(b"topic=a&data=b&id=c%0d%0adata:+d")),
    "a retry that is no number": (400, form(b"topic=a&data=b&retry=soon")),
    "data without a topic": (400, form(b"data=b")),
    "all topics at once": (400, form(b"topic=*&data=b")),
    "no form": (
        415,
        request(
            b"POST %b HTTP/1.1" % PATH.encode(),
            LOCALHOST,
            b"Content-Type: application/json",
            b"Content-Length: 2",
            body=b"{}",
        ),
    ),
    "a page of somewhere else": (
        403,
        form(b"topic=a&data=b").replace(LOCALHOST, LOCALHOST + b"\r\nOrigin: https://evil.example"),
    ),
    "a proxy": (
        403,
        form(b"topic=a&data=b").replace(LOCALHOST, LOCALHOST + b"\r\nX-Forwarded-For: 192.0.2.1"),
    ),
}


@pytest.mark.parametrize("what", REFUSED_AND_OPEN)
async def test_a_request_that_the_hub_refuses_leaves_the_connection_open(
    site: Site, what: str
) -> None:
    status, asked = REFUSED_AND_OPEN[what]
    published = site.hub.statistics().published
    async with raw_peer(site.port) as peer:
        await peer.send(asked)
        head = await peer.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert (await peer.until(b"\n")).endswith(b".\n") or status == 400
        assert site.hub.statistics().published == published
        await peer.send(request(GET, LOCALHOST))
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_topic_that_nobody_publishes_to_is_only_quiet(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(request(b"GET %b?topic=nobody HTTP/1.1" % PATH.encode(), LOCALHOST))
        await peer.until(b"\r\n\r\n")
        await peer.until(b":\nretry: 2000\n\n")


async def test_who_sends_on_and_on_while_being_answered_is_cut_off(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(request(b"GET /hold HTTP/1.1", LOCALHOST))
        await peer.until(b"held")
        assert site.held == 1
        await peer.send(request(GET, LOCALHOST) * 3000)
        await until(lambda: site.held == 0)


CUT = {
    "before the first byte": b"",
    "in the method": b"GE",
    "in the head": b"GET /page HTTP/1.1\r\nHost: loc",
    "before the body": request(POST, LOCALHOST, b"Content-Length: 10"),
    "in the body": request(POST, LOCALHOST, b"Content-Length: 10", body=b"12345"),
    "in a chunk": request(POST, LOCALHOST, b"Transfer-Encoding: chunked", body=b"5\r\n123"),
    "before 100 Continue": request(POST, LOCALHOST, b"Content-Length: 10", b"Expect: 100-continue"),
    "after a request": request(GET, LOCALHOST),
    "between two requests": request(GET, LOCALHOST) + b"GET /page HT",
    "in HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nS",
    "while a handler streams": request(b"GET /hold HTTP/1.1", LOCALHOST),
    "while following": request(b"GET %b?topic=canary HTTP/1.1" % PATH.encode(), LOCALHOST),
    "in a torrent": request(b"GET /count/1000000 HTTP/1.1", LOCALHOST),
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("where", CUT)
async def test_a_connection_may_be_cut_anywhere(site: Site, where: str, how: str) -> None:
    await is_cut(site, CUT[where], how, streaming=where.startswith(("while", "in a torrent")))
    await until(lambda: site.held == 0)
