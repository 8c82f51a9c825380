"""The hub and handlers under a real Hypercorn on Trio: both protocols, in clear text and in TLS."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from trio_sse import Cors, Event, Limits, encode
from trio_sse.mercure import PATH

from .curl import answer, curl_stream
from .http2_stranger import Http2Stranger, http2_stranger
from .hypercorn_site import HypercornSite, hypercorn_site
from .programs import needs
from .raw import RawPeer, raw_peer
from .site import Certificate, until

FOLLOW = f"{PATH}?topic=a"
PAGE = "https://page.example"
WAYS = ["--http1.1", "--http2-prior-knowledge", "https --http1.1", "https --http2"]


@pytest.fixture
async def site(certificate: Certificate) -> AsyncIterator[HypercornSite]:
    async with hypercorn_site(certificate, cors=Cors([PAGE], credentials=True)) as site:
        yield site


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, site: HypercornSite, certificate: Certificate) -> list[str]:
    """What curl is to be told before a path."""
    scheme, _, version = request.param.rpartition(" ")
    base = f"https://127.0.0.1:{site.tls_port}" if scheme else site.url
    return [version, "--cacert", str(certificate.ca), base]


def to(way: list[str], path: str, *more: str) -> list[str]:
    return [*way[:-1], way[-1] + path, *more]


async def get(peer: RawPeer, path: str, method: str = "GET") -> None:
    await peer.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


# -- streams --------------------------------------------------------------------------------


@needs("curl")
async def test_a_stream_opens_at_once_and_carries_what_is_published(
    site: HypercornSite, way: list[str]
) -> None:
    async with curl_stream(*to(way, FOLLOW), "-i") as stream:
        while b":\nretry: 2000\n\n" not in stream.raw:
            assert await stream.more()
        assert b"content-type: text/event-stream" in stream.raw
        await site.followed()
        head, published = await answer(*to(way, PATH), "-d", "topic=a", "-d", "data=Hello")
        assert " 200" in head
        event = await stream.event()
        assert (event.data, event.id) == ("Hello", published)


@needs("curl")
async def test_who_comes_back_hears_what_was_missed_and_nothing_twice(
    site: HypercornSite, way: list[str]
) -> None:
    ids = [site.hub.publish("a", str(number)) for number in range(500)]
    async with curl_stream(*to(way, FOLLOW), "-H", f"Last-Event-ID: {ids[99]}") as stream:
        await stream.more()
        site.hub.publish("a", "500")
        for number in range(501, 600):
            site.hub.publish("a", str(number))
            await trio.lowlevel.checkpoint()
        heard = [(await stream.event()).data for _ in range(500)]
    assert heard == [str(number) for number in range(100, 600)]


@needs("curl")
async def test_who_missed_more_than_the_history_holds_is_told(
    site: HypercornSite, way: list[str]
) -> None:
    async with curl_stream(*to(way, FOLLOW), "-H", "Last-Event-ID: unheard-of") as stream:
        assert (await stream.event()).type == "trio-sse.gap"


@needs("curl")
async def test_a_page_of_an_allowed_origin_may_listen_with_credentials(
    site: HypercornSite, way: list[str]
) -> None:
    head, _ = await answer(
        *to(way, PATH), "-X", "OPTIONS", "-H", f"Origin: {PAGE}",
        "-H", "Access-Control-Request-Method: POST",
        "-H", "Access-Control-Request-Headers: content-type",
    )  # fmt: skip
    assert " 204" in head
    assert "access-control-allow-methods: " in head
    async with curl_stream(*to(way, FOLLOW), "-i", "-H", f"Origin: {PAGE}") as stream:
        while b"\n\n" not in stream.raw:
            await stream.more()
        assert f"access-control-allow-origin: {PAGE}".encode() in stream.raw
        assert b"access-control-allow-credentials: true" in stream.raw


@needs("curl")
async def test_finite_answers_are_whole(site: HypercornSite, way: list[str]) -> None:
    head, body = await answer(*to(way, "/count/3"))
    assert re.findall("data: (.*)", body) == ["0", "1", "2"]
    head, body = await answer(*to(way, "/count/3"), "--head")
    assert " 200" in head
    assert "text/event-stream" in head
    assert (await answer(*to(way, "/enough")))[0].split()[1] == "204"
    assert (await answer(*to(way, "/refused")))[1] == "Not for you.\n"
    assert (await answer(*to(way, "/nowhere")))[0].split()[1] == "404"
    _, told = await answer(*to(way, "/tell"), "-d", "a body")
    assert '"body": "a body"' in told
    protocol = "HTTP/2" if "http2" in way[0] else "HTTP/1.1"
    assert f'"protocol": "{protocol}"' in told


async def test_silence_is_broken_by_a_comment() -> None:
    async with (
        hypercorn_site(limits=Limits(heartbeat=0.05)) as site,
        raw_peer(site.port) as one,
        http2_stranger(site.port) as two,
    ):
        await get(one, FOLLOW)
        stream_id = await two.ask(FOLLOW)
        await one.until(b"retry: 2000\n\n")
        await one.until(b"\n\n")
        await two.until(lambda: two.bodies[stream_id].endswith(b"\n\n:\n\n:\n\n"))


async def test_hundreds_hear_the_same_in_the_same_order(site: HypercornSite) -> None:
    events = [Event(f"event {number}", id=f"e-{number}") for number in range(200)]
    expected = b"".join(map(encode, events))
    complete = 0

    async def over_http1() -> None:
        nonlocal complete
        async with raw_peer(site.port) as peer:
            await get(peer, FOLLOW)
            body = b""
            while not body.endswith(expected):
                chunk = await peer.until(b"\r\n")
                size = re.fullmatch(rb"([0-9a-f]+)\r\n", chunk)
                if size is None:  # the head
                    continue
                while len(peer.received) < int(size[1], 16) + 2:
                    assert await peer.more()
                body += peer.received[: int(size[1], 16)]
                peer.received = peer.received[int(size[1], 16) + 2 :]
                assert expected.startswith(body.partition(b"\n\n")[2])
            complete += 1

    async def over_http2() -> None:
        nonlocal complete
        async with http2_stranger(site.port) as peer:
            streams = [await peer.ask(FOLLOW) for _ in range(50)]
            await peer.until(lambda: all(peer.bodies[each].endswith(expected) for each in streams))
            complete += len(streams)

    async with trio.open_nursery() as nursery:
        for _ in range(150):
            nursery.start_soon(over_http1)
        for _ in range(3):
            nursery.start_soon(over_http2)
        await site.followed(300)
        for number, event in enumerate(events):
            site.hub.publish("a", event)
            if number % 3 == 0:
                await trio.lowlevel.checkpoint()
    assert complete == 300
    await site.emptied()


# -- clients that leave, or stay and do not read --------------------------------------------


@pytest.mark.parametrize("how", ["FIN", "RST", "RST_STREAM", "GOAWAY"])
async def test_when_a_client_leaves_its_handler_is_cancelled(site: HypercornSite, how: str) -> None:
    if how in ("FIN", "RST"):
        async with raw_peer(site.port) as peer:
            await get(peer, "/hold")
            await peer.until(b"held")
            if how == "RST":
                peer.reset()
            else:
                await peer.stream.aclose()
            await until(lambda: site.held == 0)
    else:
        async with http2_stranger(site.port) as stranger:
            stream_id = await stranger.ask("/hold")
            await stranger.until(lambda: b"held" in stranger.bodies[stream_id])
            if how == "RST_STREAM":
                await stranger.reset(stream_id)
            else:
                stranger.h2.close_connection()
                await stranger.flush()
            await until(lambda: site.held == 0)
    await site.emptied()


async def test_a_follower_that_leaves_is_forgotten(site: HypercornSite) -> None:
    async with raw_peer(site.port) as one, http2_stranger(site.port) as two:
        await get(one, FOLLOW)
        stream_id = await two.ask(FOLLOW)
        await site.followed(2)
        await one.stream.aclose()
        await two.reset(stream_id)
        await site.followed(0)
    await site.emptied()


async def test_who_does_not_read_holds_nobody_up_and_costs_one_batch(site: HypercornSite) -> None:
    payload = "x" * 32_768
    async with (
        trio.open_nursery() as nursery,
        raw_peer(site.port) as reader,
        http2_stranger(site.port) as stranger,
    ):
        stranger.widen()
        idle = [await nursery.start(stalled, site) for _ in range(10)]
        await get(reader, FOLLOW)
        stream_id = await stranger.ask(FOLLOW)
        await site.followed(12)
        tracemalloc.start()
        try:
            for number in range(600):  # 20 MB: several times what the sockets of one take
                site.hub.publish("a", f"{number} {payload}")
                mark = b"\ndata: %d " % number
                await reader.until(mark)
                await stranger.until(partial(has, stranger.bodies[stream_id], mark))
                stranger.bodies[stream_id].clear()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        history = site.hub.statistics().log.bytes
        assert held < 2 * history + len(idle) * 256 * 1024
        nursery.cancel_scope.cancel()
    await site.emptied()


def has(body: bytearray, text: bytes) -> bool:
    return text in body


async def stalled(
    site: HypercornSite, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Follow and read nothing."""
    async with raw_peer(site.port) as peer:
        await get(peer, FOLLOW)
        await peer.until(b"retry: 2000\n\n")
        task_status.started()
        await trio.sleep_forever()


async def test_a_stream_whose_window_is_shut_does_not_hold_up_its_siblings(
    site: HypercornSite,
) -> None:
    async with http2_stranger(site.port) as stranger:
        shut, other = await stranger.ask(FOLLOW), await stranger.ask(FOLLOW)
        stranger.stalled.add(shut)
        await site.followed(2)
        for number in range(40):
            site.hub.publish("a", f"{number} {'x' * 10_000}")
            mark = b"\ndata: %d " % number
            await stranger.until(partial(has, stranger.bodies[other], mark))
        assert len(stranger.bodies[shut]) <= 65_535
        stranger.stalled.remove(shut)
        stranger.h2.increment_flow_control_window(1_000_000, shut)
        await stranger.flush()
        await stranger.until(lambda: stranger.bodies[shut] == stranger.bodies[other])


# -- what goes wrong ----------------------------------------------------------------------------


@needs("curl")
async def test_a_handler_that_raises_cuts_its_stream_off(site: HypercornSite) -> None:
    async with raw_peer(site.port) as peer:
        await get(peer, "/fail")
        assert not (await peer.rest()).endswith(b"0\r\n\r\n")
    # HTTP/2 may have others on the connection, and Hypercorn has no way to reset a stream.
    _, body = await answer("--http2-prior-knowledge", f"{site.url}/fail")
    assert body.endswith("so far so good\n\n")


async def test_a_body_that_is_too_large_is_refused_and_passed_over() -> None:
    async with (
        hypercorn_site(limits=Limits(max_body_bytes=1000)) as site,
        raw_peer(site.port) as one,
        http2_stranger(site.port) as two,
    ):
        size = 2_000_000
        await one.send(b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        await one.until(b"larger than 1000 bytes.\n")
        await one.send(b"x" * size)
        await get(one, "/page")
        await one.until(b"A page.\n")

        upload = await two.ask("/tell", method="POST", end=False)
        await two.upload(upload, b"x" * 20_000, end=False)
        await two.until(lambda: two.bodies[upload].endswith(b"larger than 1000 bytes.\n"))
        await two.upload(upload, b"x" * 20_000)
        assert (await two.answer(upload))[0] == "413"
        page = await two.ask("/page")
        assert (await two.answer(page))[0] == "200"


async def test_a_body_that_comes_too_late_takes_nobody_along() -> None:
    async with (
        hypercorn_site(limits=Limits(body_timeout=0.05)) as site,
        raw_peer(site.port) as one,
        http2_stranger(site.port) as two,
    ):
        await one.send(b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234")
        assert b"HTTP/1.1 408 " in await one.rest()
        late = await two.ask("/tell", method="POST", end=False)
        await two.until(lambda: late in two.heads)
        assert two.heads[late][":status"] == "408"
        await two.upload(late, b"x" * 20_000)
        assert (await two.answer(late))[0] == "408"
        page = await two.ask("/page")
        assert (await two.answer(page))[0] == "200"


@asynccontextmanager
async def two_followers(site: HypercornSite) -> AsyncIterator[tuple[RawPeer, Http2Stranger, int]]:
    """A follower over HTTP/1.1, and one over HTTP/2 with its stream."""
    async with raw_peer(site.port) as one, http2_stranger(site.port) as two:
        await get(one, FOLLOW)
        stream_id = await two.ask(FOLLOW)
        await one.until(b"retry: 2000\n\n")
        await site.followed(2)
        yield one, two, stream_id


# -- connections that stay, and the stop ---------------------------------------------------------


async def test_a_connection_is_used_again_after_a_stream_and_closed_when_it_idles() -> None:
    async with hypercorn_site(keep_alive=0.5) as site, raw_peer(site.port) as peer:
        for _ in range(3):
            await get(peer, "/count/2")
            await peer.until(b"\r\n0\r\n\r\n")
        await get(peer, "/count/2", "HEAD")
        await peer.until(b"\r\n\r\n")
        await get(peer, "/enough")
        await peer.until(b"\r\n\r\n")
        await get(peer, "/count/2")
        await peer.until(b"\r\n0\r\n\r\n")
        assert await peer.rest() == b""


async def test_who_drains_before_hypercorn_stops_tells_everyone_when_to_come_back(
    site: HypercornSite,
) -> None:
    async with two_followers(site) as (one, two, stream_id):
        await site.application.drain()
        site.stopping.set()
        assert re.search(rb"\r\nretry: \d+\n\n\r\n0\r\n\r\n$", await one.rest())
        await two.until(lambda: stream_id in two.ended)
        assert re.search(rb"\n\nretry: \d+\n\n$", two.bodies[stream_id])
        await site.stopped.wait()


# -- what the document says that Hypercorn spoils --------------------------------------------


async def test_when_hypercorn_stops_by_itself_only_http1_clients_are_told(
    site: HypercornSite,
) -> None:
    async with two_followers(site) as (one, two, stream_id):
        site.stopping.set()
        assert re.search(rb"\r\nretry: \d+\n\n\r\n0\r\n\r\n$", await one.rest())
        while not two.closed:
            await two.receive()
        assert two.bodies[stream_id].count(b"retry: ") == 1
        await site.stopped.wait()


async def test_hypercorn_waits_for_an_http1_client_that_does_not_read_even_when_it_stops() -> None:
    async with (
        hypercorn_site(limits=Limits(write_timeout=0.05, heartbeat=0.05)) as site,
        raw_peer(site.port) as one,
        raw_peer(site.port) as reader,
    ):
        await get(one, FOLLOW)
        await get(reader, FOLLOW)
        await site.followed(2)
        for number in range(300):
            site.hub.publish("a", f"{number} {'x' * 32_768}")
            await reader.until(b"\ndata: %d " % number)
        for _ in range(10):  # heartbeats: many times write_timeout
            await reader.until(b"\r\n:\n\n\r\n")
        assert site.application.statistics().dropped == 0
        site.stopping.set()
        await reader.rest()
        assert not site.stopped.is_set()
        await trio.aclose_forcefully(one.stream)
        await site.stopped.wait()


async def test_hypercorn_takes_all_there_is_for_a_stream_whose_window_is_shut() -> None:
    async with (
        hypercorn_site() as site,
        http2_stranger(site.port) as stranger,
        raw_peer(site.port) as reader,
    ):
        shut = await stranger.ask(FOLLOW)
        stranger.stalled.add(shut)
        await get(reader, FOLLOW)
        await site.followed(2)
        for number in range(300):
            site.hub.publish("a", f"{number} {'x' * 32_768}")
            await reader.until(b"\ndata: %d " % number)
        # It stands at the head of the log: each event was handed over and taken.
        await site.followed(2)
        assert site.application.statistics().dropped == 0
