"""Streams of honest clients beside a bad one: they must not notice it."""

from __future__ import annotations

import gc
import itertools
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from trio_sse import Bind, Limits
from trio_sse.mercure import PATH

from .http2_stranger import Http2Stranger, http2_stranger
from .raw import RawPeer, raw_peer
from .site import Site, open_site, until

__all__ = ["CANARY_CONNECTIONS", "canary", "is_cut", "watched_site"]

CANARY_CONNECTIONS = 2


class Canary:
    """A follower over HTTP/1.1 and one over HTTP/2."""

    def __init__(self, site: Site, first: RawPeer, second: Http2Stranger, stream_id: int) -> None:
        self._site = site
        self._first = first
        self._second = second
        self._stream_id = stream_id
        self._songs = itertools.count()

    async def sings(self) -> None:
        """Publish an event, and wait until both have it."""
        song = f"song {next(self._songs)}"
        self._site.hub.publish("canary", song)
        await self._first.until(f"data: {song}\n\n".encode())
        body = self._second.bodies[self._stream_id]
        await self._second.until(lambda: f"data: {song}\n\n".encode() in body)


@asynccontextmanager
async def canary(site: Site) -> AsyncIterator[Canary]:
    """Follow in clear text for the length of the block, and sing at its end."""
    port = site.server.addresses[-1].port
    async with raw_peer(port) as first:
        # At once: a site may be hasty.
        await first.send(f"GET {PATH}?topic=canary HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with http2_stranger(port) as second:
            stream_id = await second.ask(f"{PATH}?topic=canary")
            await site.followed(2)
            bird = Canary(site, first, second, stream_id)
            await bird.sings()
            yield bird
            await bird.sings()


@asynccontextmanager
async def watched_site(
    caplog: pytest.LogCaptureFixture, *binds: Bind, limits: Limits | None = None
) -> AsyncIterator[Site]:
    """Serve beside a canary. The last of `binds` is in clear text.

    In the end all other connections are gone, no socket has been lost, and nobody's mistake
    was worth a warning.
    """
    caplog.set_level(logging.DEBUG, "trio_sse")
    async with open_site(*binds, limits=limits) as site:
        files = len(os.listdir("/proc/self/fd"))
        async with canary(site):
            yield site
            await until(lambda: site.server.statistics().connections == CANARY_CONNECTIONS)
            assert site.server.statistics().streams == CANARY_CONNECTIONS
        await site.emptied()
        assert len(os.listdir("/proc/self/fd")) == files
        # A socket that is dropped without being closed warns, and so fails the test.
        gc.collect()
        assert site.server.statistics().failed == 0
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def is_cut(site: Site, said: bytes, how: str, *, streaming: bool) -> None:
    """Say something, and be gone by FIN or RST; if a stream has begun, while an event comes."""
    async with raw_peer(site.port) as peer:
        await peer.send(said)
        if streaming:
            await peer.until(b"\n\n")
            site.hub.publish("canary", "to whom it concerns")
        if how == "RST":
            peer.reset()
        else:
            await peer.stream.aclose()
        await until(lambda: site.server.statistics().accepted == CANARY_CONNECTIONS + 1)
