"""The demo's page as somebody sees it who has just started the demo."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from running import HUB, Running

if TYPE_CHECKING:
    from playwright.sync_api import Page

DEMO = Path(__file__).parents[2] / "examples" / "demo"

# What a test waits for, as selectors: the page's policy forbids playwright to poll by `eval`.
OPEN = "html[data-stream='open']"
TEN_EVENTS = "#events:text-matches('[1-9][0-9]')"
FIVE_LIT = "#lamps .lit >> nth=4"
ALL_LIT = "#lamps .lit >> nth=99"
STREAMS = "#server [data-count='streams']"
CONNECTIONS = "#server [data-count='connections']"


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo and its two addresses."""

    process: Running
    https: str
    http: str

    @property
    def hub(self) -> str:
        """Where one publishes."""
        return self.http.rstrip("/") + HUB


def start_demo(port: int = 0, tls_port: int = 0) -> Demo:
    ports = ["--port", str(port), "--tls-port", str(tls_port)]
    process = Running([sys.executable, str(DEMO), *ports])
    https = process.expect(r"HTTP/2 +(https://\S+)", "out")[1]
    return Demo(process, https, process.expect(r"HTTP/1.1 +(http://\S+)", "out")[1])


@pytest.fixture(scope="module")
def demo(chromium: str) -> Iterator[Demo]:
    demo = start_demo()
    with demo.process:
        yield demo
        demo.process.signal(signal.SIGTERM)
        assert demo.process.finish() == 0


@pytest.fixture(params=["https", "http"])
def address(demo: Demo, request: pytest.FixtureRequest) -> str:
    """The demo's address, over TLS and in clear text."""
    return str(getattr(demo, request.param))


def visit(page: Page, address: str) -> None:
    """Open the page and wait until its stream is open."""
    page.goto(address)
    page.wait_for_selector(OPEN)


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def lit(page: Page) -> int:
    return page.locator("#lamps .lit").count()


def test_nothing_is_wrong_in_the_console(page: Page, complaints: list[str], address: str) -> None:
    visit(page, address)
    page.click("#toggle")
    page.wait_for_selector("#lamps .lit")
    page.wait_for_selector(TEN_EVENTS)
    assert complaints == []


def test_only_the_page_itself_may_run_and_load(page: Page, address: str) -> None:
    response = page.goto(address)
    assert response is not None
    assert response.headers["content-security-policy"].startswith("default-src 'self';")
    hosts = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert hosts
    assert all(host.startswith(address) for host in hosts)


def test_files_are_kept_and_asked_for_each_time(page: Page, address: str) -> None:
    first = page.request.get(f"{address}style.css")
    assert first.headers["cache-control"] == "no-cache"
    again = page.request.get(
        f"{address}style.css", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status == 304
    assert again.body() == b""


def test_over_tls_it_is_http_2_and_in_clear_text_http_1_1(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    assert text(page, "#protocol") == "HTTP/2"
    page.click("#other")
    page.wait_for_url(demo.http)
    page.wait_for_selector(OPEN)
    assert text(page, "#protocol") == "HTTP/1.1"


@pytest.mark.parametrize("chart", ["cpu", "memory", "network", "load", "latency"])
def test_lines_move(page: Page, demo: Demo, chart: str) -> None:
    visit(page, demo.https)
    canvas = page.locator(f"#{chart}-chart")
    canvas.scroll_into_view_if_needed()
    canvas.evaluate(
        """(canvas) => new Promise((moved) => {
            const before = canvas.toDataURL();
            const look = () => {
                if (canvas.toDataURL() !== before) moved();
                else requestAnimationFrame(look);
            };
            look();
        })"""
    )


def test_figures_have_values_and_units(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    page.wait_for_selector("#latency:text-matches('[0-9]')")
    assert re.fullmatch(r"\d{1,3}", text(page, "#cpu"))
    assert re.fullmatch(r"[\d.]+ [MG]iB", f"{text(page, '#memory')} {text(page, '#memory-unit')}")
    assert re.fullmatch(r"\d+\.\d\d", text(page, "#load"))
    assert re.fullmatch(
        r"[\d.]+ [kMG]?B/s", f"{text(page, '#received')} {text(page, '#received-unit')}"
    )
    assert 0 <= float(text(page, "#latency")) < 10_000
    assert text(page, STREAMS) == "1"


def test_a_new_page_is_given_the_last_minute(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    page.wait_for_selector(TEN_EVENTS)
    page.reload()
    page.wait_for_selector("#replayed:text-matches('[1-9][0-9]')")


def test_over_http_2_all_100_lamps_light_on_one_connection(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    page.click("#toggle")
    page.wait_for_selector(ALL_LIT)
    page.wait_for_selector(f"{STREAMS}:text-is('101')")
    assert text(page, CONNECTIONS) == "1"
    page.wait_for_selector("#reached-in:text-matches('[0-9] m?s')")
    page.click("#toggle")
    page.wait_for_selector(f"{STREAMS}:text-is('1')")
    assert lit(page) == 0


def test_over_http_1_1_six_streams_open_with_the_pages_own(page: Page, demo: Demo) -> None:
    visit(page, demo.http)
    page.click("#toggle")
    page.wait_for_selector(FIVE_LIT)
    # Two beats later a sixth would have been there.
    page.wait_for_selector("#lamps .even >> nth=4")
    page.wait_for_selector("#lamps .odd >> nth=4")
    page.wait_for_selector("#lamps .even >> nth=4")
    assert lit(page) == 5
    assert "5 are open, 95 wait" in text(page, "#explanation")
    assert text(page, CONNECTIONS) == "6"


def test_closing_the_streams_frees_the_page_over_http_1_1(page: Page, demo: Demo) -> None:
    visit(page, demo.http)
    page.click("#toggle")
    page.wait_for_selector(FIVE_LIT)
    page.click("#toggle")
    assert page.evaluate("fetch('/start').then((answer) => answer.status)") == 200


def test_the_link_beside_the_lamps_lights_them_over_the_other_protocol(
    page: Page, demo: Demo
) -> None:
    visit(page, demo.http)
    page.click("#toggle")
    page.wait_for_selector("#lamps .lit")
    page.click("#compare")
    page.wait_for_url(f"{demo.https}#streams")
    page.wait_for_selector(ALL_LIT)


def test_what_somebody_publishes_is_shown_as_text(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    assert demo.hub in text(page, "#command")
    said = "<b>hello</b> from the command line"
    answer = page.request.post(demo.hub, form={"topic": "note", "data": said})
    assert answer.ok
    page.wait_for_selector("#notes li")
    assert text(page, "#notes li") == said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_need_not_scroll_sideways(page: Page, demo: Demo, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, demo.https)
    page.request.post(demo.hub, form={"topic": "note", "data": "long" * 50})
    page.wait_for_selector("#notes li")
    page.click("#toggle")
    page.wait_for_selector(ALL_LIT)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_can_be_reached_by_keyboard(page: Page, demo: Demo) -> None:
    visit(page, demo.https)
    page.wait_for_selector("#toggle:enabled")
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["other", "toggle", "compare"]


def test_the_page_comes_back_after_the_server_and_says_what_it_missed(page: Page) -> None:
    first = start_demo()
    with first.process:
        visit(page, first.https)
        first.process.signal(signal.SIGINT)
        assert first.process.finish() == 0
    page.wait_for_selector("html[data-stream='reconnecting']")
    ports = [urlsplit(first.http).port or 0, urlsplit(first.https).port or 0]
    second = start_demo(*ports)
    with second.process:
        page.wait_for_selector("#reconnections:text-is('1')")
        page.wait_for_selector("#gap:visible")
        assert text(page, "#gaps") == "1"
        assert "missed" in text(page, "#gap")


def test_a_port_that_is_taken_is_named_in_a_sentence(demo: Demo) -> None:
    taken = urlsplit(demo.http).port
    with Running([sys.executable, str(DEMO), "--port", str(taken), "--tls-port", "0"]) as late:
        assert late.finish() == 1
    assert f"127.0.0.1:{taken} is in use" in late.err
