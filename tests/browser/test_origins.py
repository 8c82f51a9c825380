"""Pages of one origin and a hub of another: what CORS lets through, and what it keeps out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from trio_sse import Cors, Limits
from trio_sse.mercure import PATH
from trio_sse.tls import self_signed

from .hub_site import HubSite, hub_site

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser


@pytest.fixture
def origins(chromium: str) -> Iterator[tuple[HubSite, HubSite]]:
    """A page's own server, and on another port a hub that allows its `localhost` and no other."""
    certificate = self_signed()
    with hub_site(tls=certificate) as own:
        allowed = Cors([own.url("localhost")])
        with hub_site(tls=certificate, cors=allowed, limits=Limits(retry=0.02)) as hub:
            yield own, hub


CROSS = """([url, withCredentials]) => new Promise((resolve) => {
    window.source = new EventSource(url, { withCredentials });
    source.onmessage = (event) => resolve(event.data);
    source.onerror = () => resolve(`error, ready state ${source.readyState}`);
})"""


@pytest.mark.parametrize("credentials", [True, False])
def test_cookies_cross_to_an_allowing_origin_if_the_page_says_so(
    page: Page, context: BrowserContext, origins: tuple[HubSite, HubSite], credentials: bool
) -> None:
    own, hub = origins
    # To the same name: Chromium's private profiles keep cookies from other sites altogether.
    context.add_cookies([{"name": "user", "value": "me", "url": hub.url()}])
    page.goto(own.url())
    assert page.evaluate(CROSS, [f"{hub.url()}/cookies", credentials]) == "noted"
    assert hub.cookies == [{"user": "me"} if credentials else {}]


def test_a_page_of_an_origin_that_is_not_allowed_gets_an_error(
    page: Page, origins: tuple[HubSite, HubSite]
) -> None:
    own, hub = origins
    page.goto(own.url("127.0.0.1"))
    url = f"{hub.url('localhost')}{PATH}?topic=weather"
    assert page.evaluate(CROSS, [url, False]) == "error, ready state 2"
    hub.until(lambda: hub.server.statistics().streams == 0)


def test_a_page_of_another_origin_stops_reconnecting_after_204(
    page: Page, origins: tuple[HubSite, HubSite]
) -> None:
    own, hub = origins
    page.goto(own.url("localhost"))
    page.evaluate(
        "(url) => { window.source = new EventSource(url); }", f"{hub.url('127.0.0.1')}/brief"
    )
    page.wait_for_function("source.readyState === EventSource.CLOSED")
    assert len(hub.asked) == 3


PUBLISH = """(url) => fetch(url, { method: "POST", body: new URLSearchParams("topic=a&data=b") })
    .then((response) => response.status, () => "not for this page to see")"""


def test_a_page_publishes_from_an_allowed_origin_only(
    page: Page, origins: tuple[HubSite, HubSite]
) -> None:
    own, hub = origins
    page.goto(own.url("127.0.0.1"))
    assert page.evaluate(PUBLISH, hub.url("localhost") + PATH) == "not for this page to see"
    assert hub.hub.statistics().published == 0
    page.goto(own.url("localhost"))
    assert page.evaluate(PUBLISH, hub.url("127.0.0.1") + PATH) == 200
    assert hub.hub.statistics().published == 1
