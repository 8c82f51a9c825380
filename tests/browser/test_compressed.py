"""Compressed streams in Chromium, which decodes them before its EventSource sees them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from trio_sse import Cors, Limits
from trio_sse.mercure import PATH
from trio_sse.tls import self_signed

from .hub_site import HubSite, hub_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

LIMITS = Limits(compress_above=200, retry=0.02, reconnect_spread=0.05)

TABLE = json.dumps([{"station": number, "temperature": number % 7} for number in range(120)])
"""About 4 KiB that compress well."""

FOLLOW = """(url) => {
    window.opened = 0;
    window.seen = [];
    window.source = new EventSource(url);
    source.onopen = () => opened++;
    source.onmessage = (event) => seen.push(event.data);
}"""


@pytest.fixture(params=["http", "https"])
def site(request: pytest.FixtureRequest, page: Page) -> Iterator[HubSite]:
    """A server that compresses, over HTTP/1.1 or over TLS and HTTP/2, and the page open on it."""
    tls: ssl.SSLContext | None = self_signed() if request.param == "https" else None
    with hub_site(tls=tls, limits=LIMITS, cors=Cors(["https://app.example.org"])) as site:
        page.goto(site.url())
        yield site


def follow(page: Page) -> None:
    """Follow a topic, and wait until the stream is open."""
    page.evaluate(FOLLOW, f"{PATH}?topic=weather")
    page.wait_for_function("opened === 1")


def test_chromium_asks_for_it_and_is_given_it(page: Page, site: HubSite) -> None:
    told = page.evaluate(
        """async (url) => {
            const control = new AbortController();
            const { headers } = await fetch(url, { signal: control.signal });
            control.abort();
            return [headers.get("content-encoding"), headers.get("vary")];
        }""",
        f"{PATH}?topic=weather",
    )
    assert told == ["deflate", "origin, accept-encoding"]


def test_each_event_arrives_as_it_is_published(page: Page, site: HubSite) -> None:
    follow(page)
    published = [TABLE, "rain", TABLE + "!", "日本 \N{SNOWMAN}" * 100, "wind"]
    for number, data in enumerate(published, 1):
        site.publish("weather", data)
        page.wait_for_function(f"seen.length === {number}")  # before there is another
    assert page.evaluate("seen") == published


def test_a_page_resumes_in_a_compressed_stream_and_misses_nothing(
    page: Page, site: HubSite, complaints: list[str]
) -> None:
    follow(page)
    site.publish("weather", f"0 {TABLE}")
    page.wait_for_function("seen.length === 1")
    # A compressed stream that ends in order, with last words, and then one that breaks off.
    site.restart(gently=True, meanwhile=lambda: site.hub.publish("weather", f"1 {TABLE}"))
    page.wait_for_function("seen.length === 2")
    site.restart(gently=False, meanwhile=lambda: site.hub.publish("weather", f"2 {TABLE}"))
    page.wait_for_function("seen.length === 3")
    assert page.evaluate("seen") == [f"{number} {TABLE}" for number in range(3)]
    assert page.evaluate("opened") == 3
    assert not [each for each in complaints if "DECODING" in each]
