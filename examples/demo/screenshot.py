"""Take the README's pictures of the demo page: `python examples/demo/screenshot.py`.

What they show is real: the demo runs for a minute, in a process of its own, so that the charts
are full, and Debian's Chromium without a window photographs what it draws. Writes docs/demo.png
(100 streams over HTTP/2), docs/demo-dark.png (the same page over HTTP/1.1, at night) and
docs/demo-phone.png.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

DEMO = Path(__file__).parent
DOCS = DEMO.parents[1] / "docs"

HISTORY_SECONDS = 60
"""What the charts show."""

SETTLED_MS = 3500
"""Milliseconds after which the streams are open and have had a few events."""

BEAT_MS = 250
"""Milliseconds after an event at which the lamps still glow with it."""

ARGUMENTS = (
    "--no-sandbox",  # containers run as root, for whom Chromium's sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture to take."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    scale: float


@contextmanager
def running_demo() -> Iterator[dict[str, str]]:
    """Run the demo on free ports; yields its addresses by scheme."""
    argv = [sys.executable, str(DEMO), "--port", "0", "--tls-port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses: dict[str, str] = {}
        while len(addresses) < 2:
            line = process.stdout.readline()
            if not line:
                sys.exit("The demo did not start.")
            for url in re.findall(r"https?://\S+", line):
                addresses[url.partition(":")[0]] = url
        yield addresses
        process.terminate()


def photograph(browser: Browser, address: str, shot: Shot) -> None:
    """Open the page with its 100 streams, and save a picture of it at an event's glow."""
    context = browser.new_context(
        ignore_https_errors=True,
        color_scheme=shot.scheme,
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=shot.scale,
    )
    page: Page = context.new_page()
    page.goto(f"{address}#streams")
    page.wait_for_selector("#lamps .lit >> nth=4")
    page.wait_for_timeout(SETTLED_MS)
    odd = page.locator("#lamps .odd").count() > 0
    page.wait_for_selector(f"#lamps .{'even' if odd else 'odd'}")
    page.wait_for_timeout(BEAT_MS)
    if shot.width < 700:
        page.locator(".streams").evaluate("(panel) => panel.scrollIntoView()")
    file = DOCS / f"{shot.name}.png"
    page.screenshot(path=file)
    print(f"{file.relative_to(DOCS.parent)}: {file.stat().st_size / 1000:.0f} kB")
    context.close()


def main() -> None:
    """Run the demo for as long as the charts are wide, and take the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The pictures are taken with Chromium, which is not installed.")
    with running_demo() as addresses, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        print(f"The charts show {HISTORY_SECONDS} seconds, so this takes a little longer.")
        time.sleep(HISTORY_SECONDS)
        photograph(browser, addresses["https"], Shot("demo", "light", 1280, 960, 1.5))
        photograph(browser, addresses["http"], Shot("demo-dark", "dark", 1280, 960, 1.5))
        photograph(browser, addresses["https"], Shot("demo-phone", "dark", 390, 844, 2))
        browser.close()


if __name__ == "__main__":
    main()
