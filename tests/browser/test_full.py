"""An EventSource that comes when there is no room: for good away, or back when it was told to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from trio_sse import Cors, Limits
from trio_sse.mercure import PATH

from .hub_site import hub_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FOLLOW = """(url) => {
    window.opened = window.errors = 0;
    window.source = new EventSource(url);
    source.onopen = () => opened++;
    source.onerror = () => errors++;
}"""


def holding(url: str) -> socket.socket:
    """Take up the one place that there is."""
    address = urlsplit(url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 80))


def test_it_gives_up_for_good_on_a_503(page: Page) -> None:
    limits = Limits(max_connections=1, head_timeout=60)
    with hub_site() as home, hub_site(cors=Cors([home.url()]), limits=limits) as full:
        page.goto(home.url())
        with holding(full.url()):
            full.until(lambda: full.server.statistics().connections == 1)
            page.evaluate(FOLLOW, f"{full.url()}{PATH}?topic=a")
            page.wait_for_function("errors === 1 && source.readyState === EventSource.CLOSED")


def test_it_comes_back_by_itself_when_it_is_told_when(page: Page) -> None:
    limits = Limits(max_connections=1, head_timeout=60, retry_when_full=0.05, reconnect_spread=0.05)
    with hub_site() as home, hub_site(cors=Cors([home.url()]), limits=limits) as full:
        page.goto(home.url())
        with holding(full.url()):
            full.until(lambda: full.server.statistics().connections == 1)
            page.evaluate(FOLLOW, f"{full.url()}{PATH}?topic=a")
            # It was let in, as far as it knows, and sent away again and again.
            page.wait_for_function("errors > 2 && source.readyState === EventSource.CONNECTING")
            assert full.server.statistics().turned_away > 2
        full.until(lambda: full.server.statistics().streams == 1)
        page.wait_for_function("source.readyState === EventSource.OPEN")
