"""The page of a load test's report, as Chromium lays it out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import load_runs

sys.path.insert(0, str(Path(__file__).parents[2]))  # loadtests is not a part of what is installed

from loadtests.report.__main__ import main

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCENARIOS = ("steady", "ramp", "storm", "compare", "burst", "slow", "restart", "idle")

SPOILT = """() => {
  const found = [];
  document.querySelectorAll('details').forEach(fold => fold.open = true);
  for (const chart of document.querySelectorAll('svg')) {
    const paper = chart.getBoundingClientRect();
    if (!paper.width) continue;
    const texts = [...chart.querySelectorAll('text')].map(
      text => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([words, box], index) => {
      if (box.left < paper.left - 1 || box.right > paper.right + 1 || box.bottom > paper.bottom + 1)
        found.push('cut off: ' + words);
      for (const [others, other] of texts.slice(index + 1))
        if (box.left < other.right - 1 && other.left < box.right - 1
            && box.top + 2 < other.bottom - 2 && other.top + 2 < box.bottom - 2)
          found.push(words + ' lies on ' + others);
    });
  }
  return found;
}"""

WIDER = """() => [document.documentElement, ...document.querySelectorAll('.table')]
  .filter(part => part.scrollWidth > part.clientWidth).map(part => part.textContent)"""

COLOURS = """() => [...document.querySelectorAll('svg .line:not(.faint)')].map(
  line => [getComputedStyle(line).stroke, getComputedStyle(line.parentElement).color])"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of the report of each scenario."""
    results = tmp_path_factory.mktemp("results")
    made = {name: getattr(load_runs, name)(results) for name in SCENARIOS}
    assert main([], results) == 0
    return {name: (folder / "report.html").as_uri() for name, folder in made.items()}


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_words_of_a_chart_lie_on_others_and_nothing_is_pushed_sideways(
    page: Page, pages: dict[str, str], scenario: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(pages[scenario])
    assert page.evaluate(SPOILT) == []
    assert page.evaluate(WIDER) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_have_the_colours_of_their_markers_by_day_and_by_night(
    page: Page, pages: dict[str, str], scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(pages["compare"])
    colours = page.evaluate(COLOURS)
    assert len({stroke for stroke, _ in colours}) >= 4
    assert [stroke for stroke, _ in colours] == [colour for _, colour in colours]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = int(ground.removeprefix("rgb(").split(",")[0])
    assert (brightness < 64) is (scheme == "dark")
