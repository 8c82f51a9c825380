"""Compressed streams in the hands of curl and httpx, which do not know that they are streams."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import httpx
import pytest

from trio_sse import Bind, Decoder, Event, Limits

from .curl import curl_stream
from .programs import needs
from .site import PATIENCE, Certificate, Site, open_site

VERSIONS = ["--http1.0", "--http1.1", "--http2-prior-knowledge"]
COMPRESSED = "--compressed"

TABLE = json.dumps([{"station": number, "temperature": number % 7} for number in range(120)])
"""About 4 KiB that compress well."""


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A server that compresses what is longer than 200 bytes."""
    async with open_site(limits=Limits(compress_above=200)) as site:
        yield site


@needs("curl")
@pytest.mark.parametrize("version", VERSIONS)
async def test_curl_has_each_event_as_it_is_published_and_a_proper_end(
    site: Site, version: str
) -> None:
    async with curl_stream(version, COMPRESSED, site.hub_url("weather")) as stream:
        await site.followed()
        for data in (TABLE, "rain", TABLE, "sun\nand wind", os.urandom(400).hex()):
            site.hub.publish("weather", data)
            assert (await stream.event()).data == data
        site.server.drain()
        assert await stream.rest() == []  # curl was content: it ended with 0
    assert b"retry: " in stream.raw.rpartition(b"data: ")[2]


@needs("curl")
@pytest.mark.parametrize("version", VERSIONS)
async def test_curl_resumes_in_a_compressed_stream(site: Site, version: str) -> None:
    ids = [site.hub.publish("weather", f"{number} {TABLE}") for number in range(5)]
    last = ["-H", f"Last-Event-ID: {ids[2]}"]
    async with curl_stream(version, COMPRESSED, *last, site.hub_url("weather")) as stream:
        assert [(await stream.event()).id for _ in range(2)] == ids[3:]
        await site.followed()
        site.hub.publish("weather", TABLE)
        assert (await stream.event()).data == TABLE


@needs("curl")
@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_those_who_ask_for_it_and_those_who_do_not_hear_the_same(
    site: Site, version: str
) -> None:
    url = site.hub_url("weather")
    async with (
        curl_stream(version, "-i", url) as plain,
        curl_stream(version, "-i", COMPRESSED, url) as compressed,
    ):
        await site.followed(2)
        expected = [site.hub.publish("weather", TABLE + str(number)) for number in range(20)]
        for stream in (plain, compressed):
            assert [(await stream.event()).id for _ in expected] == expected
    heads = [
        stream.raw.partition(b"\r\n\r\n")[0].decode().lower().splitlines()
        for stream in (plain, compressed)
    ]
    assert ["content-encoding: deflate" in head for head in heads] == [False, True]
    assert ["vary: accept-encoding" in head for head in heads] == [True, True]


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.filterwarnings("ignore:Async generator 'http(x|core):ResourceWarning")
async def test_httpx_decodes_it_over_tls_to_its_end(certificate: Certificate, version: str) -> None:
    bind = Bind(port=0, tls=certificate.server())
    async with open_site(bind, limits=Limits(compress_above=200)) as site:
        client = httpx.AsyncClient(
            http2=version == "HTTP/2",
            verify=certificate.client(),
            trust_env=False,
            timeout=PATIENCE,
        )
        async with client, client.stream("GET", site.hub_url("weather")) as response:
            assert response.http_version == version
            assert response.headers["content-encoding"] == "deflate"
            decoder, events = Decoder(), list[Event]()
            await site.followed()
            for data in (TABLE, "rain", TABLE):
                site.hub.publish("weather", data)
            ended = False
            async for chunk in response.aiter_bytes():
                events += decoder.feed(chunk)
                if len(events) == 3 and not ended:
                    ended = True
                    site.server.drain()
            assert [event.data for event in events] == [TABLE, "rain", TABLE]
