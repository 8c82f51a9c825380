"""Chromium for the tests in this folder: found, started once, a fresh page for each test.

Every test that asks for it is marked `browser`, and skipped with the reason where there is no
Chromium or no playwright; with TRIO_SSE_REQUIRE_BROWSER=1 in the environment, as on the machine
that decides, it fails there instead: a skipped test shows nothing.

playwright's synchronous interface runs in the test's own thread. A server on Trio runs beside
it, in a process (`running.Running`) or in a thread (`beside.beside`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Where playwright is not installed, tests are skipped; their collection must not fail.
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page

ARGUMENTS = (
    "--no-sandbox",  # CI runs as root, for whom Chromium's sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing but loopback is contacted.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE_MS = 20_000
"""Milliseconds after which waiting for the page has failed: never reached when all is well."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    missing = None
    if path is None:
        missing = "chromium is not installed"
    elif importlib.util.find_spec("playwright") is None:
        missing = "playwright is not installed"
    if missing is not None and os.environ.get("TRIO_SSE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{missing}, and TRIO_SSE_REQUIRE_BROWSER=1 asks for it", pytrace=False)
    if path is None or missing is not None:
        pytest.skip(missing or "")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests: it takes a second to start."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A profile of its own, with connections of its own, that trusts any certificate."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the page's console says that is not good: errors, warnings, broken policies."""
    found: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    def raised(error: Error) -> None:
        found.append(str(error))

    page.on("console", heard)
    page.on("pageerror", raised)
    return found
