"""The graceful stop, as those see it who are connected meanwhile."""

from __future__ import annotations

import pytest
import trio

from trio_sse import Limits
from trio_sse.mercure import PATH

from .curl import curl_stream
from .http2_stranger import http2_stranger
from .programs import needs
from .raw import RawPeer, raw_peer
from .site import Site, open_site, until

CONNECTION_REFUSED = 7  # curl(1), EXIT CODES
CURL_VERSIONS = ["--http1.0", "--http1.1", "--http2-prior-knowledge"]

UNFINISHED = b"POST /tell HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe"


async def hold(peer: RawPeer) -> None:
    """Ask for a stream that the drain has to wait for."""
    await peer.send(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await peer.until(b"held\n\n")


async def test_an_idle_connection_is_closed_at_once(site: Site) -> None:
    async with raw_peer(site.port) as holding, raw_peer(site.port) as idle:
        await hold(holding)
        await idle.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await idle.until(b"A page.\n")
        site.server.drain()
        assert await idle.rest() == b""
        assert site.held == 1


async def test_a_request_half_sent_is_told_when_to_come_back() -> None:
    async with (
        open_site(limits=Limits(reconnect_spread=3)) as site,
        raw_peer(site.port) as holding,
        raw_peer(site.port) as idle,
        raw_peer(site.port) as late,
    ):
        await late.send(UNFINISHED)
        await idle.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await idle.until(b"A page.\n")
        await hold(holding)
        site.server.drain()
        await idle.rest()
        await late.send(b"llo")
        head = (await late.until(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 503 ")
        assert "connection: close" in head
        assert 1 <= int(head.partition("retry-after: ")[2].partition("\r\n")[0]) <= 4
        assert await late.rest() == b"This server is about to stop.\n"


async def test_a_request_whose_rest_never_comes_does_not_hold_up_the_end() -> None:
    async with (
        open_site(limits=Limits(drain_timeout=0.1, body_timeout=600)) as site,
        raw_peer(site.port) as late,
    ):
        await late.send(UNFINISHED)
        await until(lambda: site.server.statistics().connections == 1)
        site.server.drain()
        await late.rest()


async def test_http2_followers_end_before_goaway_and_handlers_may_finish(site: Site) -> None:
    async with http2_stranger(site.port) as stranger:
        followers = [await stranger.ask(f"{PATH}?topic=weather") for _ in range(50)]
        held = await stranger.ask("/hold")
        await site.followed(50)
        await stranger.until(lambda: b"held" in stranger.bodies[held])
        site.server.drain()
        await stranger.until(lambda: stranger.goaway == 0)
        assert set(followers) <= stranger.ended
        farewells = {bytes(stranger.bodies[each]).split()[-1] for each in followers}
        # Each client is told to come back at another time.
        assert len(farewells) > 30
        assert site.held == 1
        site.release.set()
        await stranger.answer(held)
        while not stranger.closed:
            await stranger.receive()


async def test_an_upload_over_http2_is_told_when_to_come_back() -> None:
    async with (
        open_site(limits=Limits(reconnect_spread=3)) as site,
        http2_stranger(site.port) as stranger,
    ):
        stream_id = await stranger.ask("/tell", method="POST", end=False)
        # Answered, so the request before it has been read.
        await stranger.answer(await stranger.ask("/page"))
        site.server.drain()
        await stranger.until(lambda: stranger.goaway == 0)
        await stranger.upload(stream_id, b"hello")
        status, _ = await stranger.answer(stream_id)
        assert status == "503"
        assert 1 <= int(stranger.heads[stream_id]["retry-after"]) <= 4
        while not stranger.closed:
            await stranger.receive()


async def test_an_upload_over_http2_that_is_broken_off_does_not_hold_up_the_end() -> None:
    async with (
        open_site(limits=Limits(drain_timeout=600)) as site,
        http2_stranger(site.port) as stranger,
    ):
        stream_id = await stranger.ask("/tell", method="POST", end=False)
        await stranger.answer(await stranger.ask("/page"))
        site.server.drain()
        await stranger.until(lambda: stranger.goaway == 0)
        await stranger.reset(stream_id)
        while not stranger.closed:
            await stranger.receive()


@needs("curl")
@pytest.mark.parametrize("version", CURL_VERSIONS)
async def test_a_drain_ends_followers_properly_and_says_when_to_return(version: str) -> None:
    async with open_site(limits=Limits(reconnect_spread=5.0)) as site:
        async with curl_stream(version, site.hub_url("weather")) as stream:
            await site.followed()
            site.hub.publish("weather", "the last")
            site.server.drain()
            events = await stream.rest()
        assert [event.data for event in events if event.data is not None] == ["the last"]
        farewell = int(stream.raw.rpartition(b"retry: ")[2])
        assert 0 <= farewell <= 5000


@needs("curl")
@pytest.mark.parametrize("version", CURL_VERSIONS)
async def test_a_handler_may_finish_while_nobody_new_is_let_in(site: Site, version: str) -> None:
    async with curl_stream(version, f"{site.url}/hold") as stream:
        await stream.event()
        site.server.drain()
        refused = ["--http1.1", "-sS", "-o", "/dev/null", f"{site.url}/page"]
        done = await trio.run_process(["curl", *refused], capture_stderr=True, check=False)
        assert done.returncode == CONNECTION_REFUSED
        assert site.held == 1
        site.release.set()
        await stream.rest()
