"""http.client, which reads answers by the letter of HTTP/1.1, and sockets that pipeline.

The strangers block, so each runs in a thread beside the server's loop.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar

import pytest
import trio

from trio_sse import Decoder, Event, Limits
from trio_sse.mercure import PATH

from .raw import raw_peer
from .site import PATIENCE, Site, open_site

T = TypeVar("T")
Ask = Callable[[http.client.HTTPConnection], T]


async def beside(site: Site, ask: Ask[T]) -> T:
    """Run a blocking client in a thread, with one connection to the site."""

    def run() -> T:
        with closing(
            http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
        ) as connection:
            return ask(connection)

    return await trio.to_thread.run_sync(run)


def fetch(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object = None,
    **fields: str,
) -> http.client.HTTPResponse:
    """Ask, and return the answer with its body unread."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    connection.request(method, path, body, headers)  # type: ignore[arg-type]
    return connection.getresponse()


def events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """Yield events as they come, until the stream ends."""
    decoder = Decoder()
    while data := response.read1():
        yield from decoder.feed(data)


# -- streams --------------------------------------------------------------------------


async def test_events_arrive_one_by_one_while_the_stream_is_open(site: Site) -> None:
    def ask(connection: http.client.HTTPConnection) -> list[str | None]:
        response = fetch(connection, "GET", f"{PATH}?topic=weather")
        assert response.getheader("content-type") == "text/event-stream"
        received = []
        for event in events(response):
            received.append(event.data)
            if len(received) == 20:
                break
            # The next is published when this one has arrived, so that none may wait for it.
            trio.from_thread.run_sync(site.hub.publish, "weather", f"event {len(received)}")
        return received

    async with trio.open_nursery() as nursery:
        received: list[str | None] = []

        async def listen() -> None:
            received.extend(await beside(site, ask))

        nursery.start_soon(listen)
        await site.followed()
        site.hub.publish("weather", "event 0")
    assert received == [f"event {number}" for number in range(20)]


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_stream_resumes_after_the_last_event_id(site: Site, how: str) -> None:
    ids = [site.hub.publish("weather", f"event {number}") for number in range(5)]

    def ask(connection: http.client.HTTPConnection) -> list[str | None]:
        path = f"{PATH}?topic=weather"
        if how == "header":
            response = fetch(connection, "GET", path, Last_Event_ID=ids[1])
        else:
            response = fetch(connection, "GET", f"{path}&lastEventID={ids[1]}")
        stream = events(response)
        return [next(stream).id for _ in range(3)]

    assert await beside(site, ask) == ids[2:]


async def test_the_header_of_a_reconnect_wins_over_the_query_of_the_page(site: Site) -> None:
    ids = [site.hub.publish("weather", f"event {number}") for number in range(5)]

    def ask(connection: http.client.HTTPConnection) -> str | None:
        path = f"{PATH}?topic=weather&lastEventID={ids[0]}"
        return next(events(fetch(connection, "GET", path, Last_Event_ID=ids[3]))).id

    assert await beside(site, ask) == ids[4]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_posted_body_reaches_the_streaming_handler(site: Site, chunked: bool) -> None:
    body = [b"tell ", b"me ", b"more"] if chunked else b"tell me more"

    def ask(connection: http.client.HTTPConnection) -> list[Event]:
        return list(events(fetch(connection, "POST", "/tell", body)))

    (event,) = await beside(site, ask)
    assert json.loads(event.data or "")["body"] == "tell me more"


async def test_a_handler_that_fails_before_the_end_leaves_the_stream_unfinished(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(connection: http.client.HTTPConnection) -> None:
        stream = events(fetch(connection, "GET", "/fail"))
        assert next(stream).data == "so far so good"
        with pytest.raises(http.client.IncompleteRead):
            next(stream)

    await beside(site, ask)
    (record,) = caplog.records
    assert "'/fail'" in record.message
    assert record.exc_info is not None
    assert site.server.statistics().failed == 1


# -- connections ------------------------------------------------------------------------


async def test_one_connection_serves_request_after_request(site: Site) -> None:
    asked = [
        ("GET", "/page", 200),
        ("HEAD", "/page", 200),
        ("HEAD", f"{PATH}?topic=weather", 200),
        ("GET", "/count/10", 200),
        ("GET", "/enough", 204),
        ("POST", "/tell", 200),
        ("OPTIONS", "/tell", 204),
        ("DELETE", "/tell", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/refused", 403),
    ]

    def ask(connection: http.client.HTTPConnection) -> list[tuple[str, str, int]]:
        answered = []
        for method, path, _ in asked:
            response = fetch(connection, method, path)
            response.read()
            answered.append((method, path, response.status))
        return answered

    assert await beside(site, ask) == asked
    assert site.server.statistics().accepted == 1


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    paths = [b"/count/2", b"/page", b"/enough", b"/nowhere", b"/count/3", b"/page"]
    async with raw_peer(site.port) as peer:
        await peer.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths))
        for status, end in (
            (200, b"0\r\n\r\n"),
            (200, b"A page.\n"),
            (204, b"\r\n\r\n"),
            (404, b"path.\n"),
            (200, b"0\r\n\r\n"),
            (200, b"A page.\n"),
        ):
            assert (await peer.until(end)).startswith(b"HTTP/1.1 %d " % status)
        assert peer.received == b""


async def test_a_request_behind_a_stream_waits_for_its_end(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(
            b"GET /count/500 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"
        )
        await peer.until(b"data: 499\n\n\r\n0\r\n\r\n")
        await peer.send(b"llo")
        assert b'"body": "hello"' in await peer.until(b"0\r\n\r\n")


async def test_who_asks_to_close_is_obeyed(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"connection: close" in (await peer.rest()).lower()


async def test_a_client_that_has_said_all_still_gets_its_answer(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        assert (await peer.rest()).endswith(b"A page.\n")


# -- limits -----------------------------------------------------------------------------


async def test_an_upload_over_the_limit_is_answered_before_it_ends(site: Site) -> None:
    def ask(connection: http.client.HTTPConnection) -> int:
        connection.putrequest("POST", "/tell")
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        return connection.getresponse().status

    assert await beside(site, ask) == 413


@pytest.mark.parametrize(
    "limits", [Limits(max_connections=1), Limits(max_connections_per_address=1)]
)
async def test_one_connection_too_many_is_told_when_to_come_back(limits: Limits) -> None:
    async with open_site(limits=limits) as site, raw_peer(site.port) as first:
        await first.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        await first.until(b"held")

        def ask(connection: http.client.HTTPConnection) -> tuple[int, str | None, bytes]:
            response = fetch(connection, "GET", "/page")
            return response.status, response.getheader("retry-after"), response.read()

        status, later, text = await beside(site, ask)
        assert status == 503
        assert 1 <= int(later or 0) <= 6
        assert text == b"Too many connections here.\n"
        assert site.server.statistics().turned_away == 1
        assert site.server.statistics().connections == 1


async def test_a_body_that_does_not_come_is_a_late_request() -> None:
    async with (
        open_site(limits=Limits(body_timeout=0.1)) as site,
        raw_peer(site.port) as late,
    ):
        await late.send(b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        assert (await late.rest()).startswith(b"HTTP/1.1 408 ")
