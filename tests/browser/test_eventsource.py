"""EventSource and fetch in Chromium: what a page sees of a hub, and a hub of its pages."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from trio_sse import Event, Limits
from trio_sse.mercure import PATH
from trio_sse.tls import self_signed

from .hub_site import RETRY, HubSite, hub_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FOLLOW = """(url) => {
    window.seen = [];
    window.source = new EventSource(url);
    const see = (event) => seen.push([event.type, event.data ?? null, event.lastEventId ?? null]);
    for (const type of ["open", "message", "error", "forecast", "trio-sse.gap"])
        source.addEventListener(type, see);
}"""
"""Collect all that happens on a stream in `seen`."""

HUNDRED = """(url) => {
    window.opened = window.heard = 0;
    window.sources = [];
    for (let number = 0; number < 100; number++) {
        const source = new EventSource(`${url}&number=${number}`);
        source.onopen = () => { opened++; sources.push(source); };
        source.onmessage = () => heard++;
    }
}"""
"""Open a hundred streams; those that are open are in `sources`."""


@pytest.fixture(scope="module")
def certificate(chromium: str) -> ssl.SSLContext:
    return self_signed()


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, certificate: ssl.SSLContext) -> ssl.SSLContext | None:
    """Clear text, which is HTTP/1.1 to a browser, and TLS, which is HTTP/2."""
    return certificate if request.param == "https" else None


@pytest.fixture
def site(tls: ssl.SSLContext | None, page: Page) -> Iterator[HubSite]:
    """A server, and the page open on it."""
    with hub_site(tls=tls) as site:
        page.goto(site.url())
        yield site


def follow(page: Page, *topics: str, more: str = "") -> None:
    """Follow topics of the page's own origin, and wait until the stream is open."""
    page.evaluate(FOLLOW, f"{PATH}?{'&'.join(f'topic={topic}' for topic in topics)}{more}")
    page.wait_for_function("seen.some(([type]) => type === 'open')")


def seen(page: Page, *types: str) -> list[tuple[str, str | None]]:
    """What has happened on the stream: types of events and their data."""
    found = page.evaluate("seen")
    return [(kind, data) for kind, data, _ in found if not types or kind in types]


def test_a_stream_opens_before_its_first_event(page: Page, site: HubSite) -> None:
    follow(page, "weather")
    assert seen(page) == [("open", None)]
    site.publish("weather", "rain")
    page.wait_for_function("seen.length === 2")
    assert seen(page)[1] == ("message", "rain")


def test_events_arrive_as_they_were_published(page: Page, site: HubSite) -> None:
    follow(page, "weather", "traffic")
    site.publish("weather", Event("rain\nand wind", type="forecast", id="w 1"))
    site.publish("news", "for others")
    site.publish("traffic", Event("日本 \N{SNOWMAN} {}", id="été"))
    site.publish("weather", Event(""))
    page.wait_for_function("seen.length === 4")
    expected = [["forecast", "rain\nand wind", "w 1"], ["message", "日本 \N{SNOWMAN} {}", "été"]]
    assert page.evaluate("seen.slice(1, 3)") == expected
    assert seen(page)[3] == ("message", "")


def test_a_page_that_closes_is_noticed(page: Page, site: HubSite) -> None:
    follow(page, "weather")
    site.until(lambda: site.server.statistics().streams == 1)
    page.evaluate("source.close()")
    site.until(lambda: site.server.statistics().streams == 0)


def test_nothing_is_lost_or_repeated_while_the_server_restarts(
    page: Page, tls: ssl.SSLContext | None
) -> None:
    limits = Limits(retry=0.02, reconnect_spread=0.05)
    with hub_site(tls=tls, limits=limits) as site:
        page.goto(site.url())
        follow(page, "numbers")
        site.publish_numbers("numbers", 1500)
        for gently in (True, False, True, False):
            # Not before the stream is there again and something has come on it.
            page.evaluate("window.before = seen.length")
            page.wait_for_function("seen.length > before && seen.at(-1)[0] === 'message'")
            site.restart(gently=gently)
        page.wait_for_function("seen.at(-1)[1] === '1499'")
        assert seen(page, "message") == [("message", str(number)) for number in range(1500)]
        assert len(seen(page, "open")) == 5
        assert seen(page, "trio-sse.gap") == []


def test_a_page_that_was_away_too_long_is_told_of_the_gap(
    page: Page, tls: ssl.SSLContext | None
) -> None:
    with hub_site(tls=tls, limits=Limits(retry=0.02), max_events=10) as site:
        page.goto(site.url())
        follow(page, "numbers")
        site.publish("numbers", "before")
        page.wait_for_function("seen.length === 2")
        site.restart(
            gently=False,
            meanwhile=lambda: [site.hub.publish("numbers", str(number)) for number in range(100)],
        )
        page.wait_for_function("seen.at(-1)[1] === '99'")
        # It may have tried in vain more than once, while there was no server.
        happened = [each for each in seen(page)[1:] if each != ("error", None)]
    assert happened[:2] == [("message", "before"), ("open", None)]
    kind, data = happened[2]
    assert kind == "trio-sse.gap"
    assert json.loads(data or "") == {"lost": 90}
    assert [data for _, data in happened[3:]] == [str(number) for number in range(90, 100)]


def test_a_page_comes_back_when_it_was_told_to_and_not_after_204(
    page: Page, certificate: ssl.SSLContext
) -> None:
    with hub_site(tls=certificate, limits=Limits(retry=None)) as site:
        page.goto(site.url())
        page.evaluate(FOLLOW, "/brief")
        page.wait_for_function("source.readyState === EventSource.CLOSED")
        assert [data for _, data in seen(page, "message")] == ["visit 1", "visit 2"]
    assert len(site.asked) == 3
    for left, back in zip(site.left, site.asked[1:], strict=True):
        assert RETRY / 1000 <= back - left < 2.5


# -- a hundred streams ------------------------------------------------------------------


def test_over_http_1_1_six_of_a_hundred_streams_open(page: Page) -> None:
    with hub_site() as site:
        page.goto(site.url())
        page.evaluate(HUNDRED, f"{PATH}?topic=all")
        page.wait_for_function("opened === 6")
        site.publish("all", "hello")
        page.wait_for_function("heard === 6")
        # One more opens for each that closes, so the others do wait.
        for number in range(1, 4):
            page.evaluate("sources.shift().close()")
            page.wait_for_function(f"opened === {6 + number}")
            site.until(lambda: site.server.statistics().streams == 6)
        assert site.statistics().connections == 6


def test_over_http_2_a_hundred_streams_open_on_one_connection(
    page: Page, certificate: ssl.SSLContext
) -> None:
    with hub_site(tls=certificate) as site:
        page.goto(site.url())
        page.evaluate(HUNDRED, f"{PATH}?topic=all")
        page.wait_for_function("opened === 100")
        assert site.statistics().streams == 100
        assert site.statistics().connections == 1
        site.publish("all", "hello")
        page.wait_for_function("heard === 100")


# -- fetch ------------------------------------------------------------------------------


def test_a_posted_question_is_answered_by_a_stream(page: Page, site: HubSite) -> None:
    page.evaluate(
        """async () => {
            window.received = "";
            window.ended = false;
            const response = await fetch("/question", { method: "POST", body: "why, été?" });
            window.type = response.headers.get("content-type");
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
            (async () => {
                for (;;) {
                    const { done, value } = await reader.read();
                    if (done) break;
                    received += value;
                }
                ended = true;
            })();
        }"""
    )
    page.wait_for_function("received.includes('asked')")
    assert "why, \\u00e9t\\u00e9?" in page.evaluate("received")
    assert page.evaluate("type") == "text/event-stream"
    site.let_go_on()
    page.wait_for_function("ended")
    assert page.evaluate("received").endswith("data: and that is all\n\n")


def test_a_page_that_aborts_its_fetch_is_noticed(page: Page, site: HubSite) -> None:
    page.evaluate(
        """async () => {
            window.control = new AbortController();
            const { signal } = control;
            await fetch("/question", { method: "POST", body: "why?", signal });
        }"""
    )
    site.until(lambda: site.server.statistics().streams == 1)
    page.evaluate("control.abort()")
    site.until(lambda: site.server.statistics().streams == 0)
