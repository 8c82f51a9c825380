"""Reports of load tests say what the data says, first of all what is wrong with it."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import load_runs

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.charts import STYLE  # noqa: E402
from loadtests.report.__main__ import main  # noqa: E402
from loadtests.report.html import SHEET  # noqa: E402


def reported(results: Path, folder: Path) -> str:
    """The Markdown that is made of a folder, without the backslashes."""
    assert main([], results) == 0
    return (folder / "report.md").read_text().replace("\\", "")


def row(text: str, name: str) -> str:
    """The row of the summary about a variant."""
    return next(line for line in text.splitlines() if line.startswith(f"| {name} |"))


def test_planted_figures_stand_in_the_summary(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.steady(tmp_path))
    summary = row(text, "trio-sse, HTTP/1.1")
    for figure in ("30,000", "3.60 million", "155 ms", "341 ms", "310 ms", "9.39 µs"):
        assert f" {figure} |" in summary
    assert "| 3.03 KiB | 2.25 KiB | passed |" in summary


def test_the_first_chart_says_when_the_last_client_was_served(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.steady(tmp_path))
    assert "The last of 30,000 clients was served 310 ms after an event was due (median)" in text


def test_what_was_found_is_said_in_words_before_anything_else(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.compare(tmp_path))
    found = text[: text.index("##")]
    assert (
        "- trio-sse HTTP/2 beside HTTP/1.1: the last client was served after 14.0 ms, not 310 ms: "
        "22.1 times faster; a delivery cost 0.424 µs of CPU, not 9.39 µs: 22.1 times cheaper."
    ) in found
    assert (
        "- hypercorn HTTP/1.1 beside trio-sse: the last client was served after 2.15 s, "
        "not 310 ms: 6.94 times slower" in found
    )
    assert "hypercorn HTTP/2" not in found, "it failed: there is nothing to compare"


def test_a_ramp_is_not_told_by_what_its_steps_took_together(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.ramp(tmp_path))
    # 30,000 clients at 10.3 µs each, and 0.9 ms.
    assert " | 308 ms | 9.40 µs | " in row(text, "trio-sse, HTTP/1.1")
    assert "With 30,000 clients, the last was served after 27.7 ms by trio-sse HTTP/2" in text
    assert "median of the events" not in text[: text.index("![")]
    steps = text[text.index("## The steps of the ramp") :]
    assert "| trio-sse, HTTP/1.1 | 1,000 | 18 | 5.60 ms |" in steps
    assert not (tmp_path / "2026-01-04-ramp-both" / "completion.svg").exists()


def test_where_protocols_had_different_numbers_of_clients_each_is_told_its_own(
    tmp_path: Path,
) -> None:
    text = reported(tmp_path, load_runs.ramp(tmp_path, most_over_http1=10_000))
    assert (
        "The last of 30,000 clients was served after 27.7 ms by trio-sse HTTP/2, of 10,000 after "
        "103 ms by trio-sse HTTP/1.1." in text
    )
    assert "With 30,000 clients, 99 % of all deliveries took at most" in text
    assert "; with 10,000, " in text


@pytest.mark.parametrize(
    "scenario", [load_runs.storm, load_runs.slow, load_runs.restart, load_runs.burst]
)
def test_where_something_was_done_to_a_run_its_timeline_is_the_first_chart(
    tmp_path: Path, scenario: Any
) -> None:
    text = reported(tmp_path, scenario(tmp_path))
    assert re.findall(r"\((.*?)\.svg\)", text)[0] == "timeline-1"


def test_a_run_without_events_is_told_by_its_memory(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.idle(tmp_path))
    assert "**Every client stayed connected; no event was published.**" in text
    assert "| trio-sse, HTTP/2 | 30,000 | 1.06 KiB | 66.0 B | passed |" in text
    assert "A subscriber took 1.13 KiB of memory with trio-sse HTTP/2, 29.8 KiB with" in text


def test_a_run_that_went_well_says_so_and_warns_of_nothing(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.steady(tmp_path))
    assert "**Every client received every event, once and in order.**" in text
    assert "Before you believe" not in text


def test_what_failed_was_skipped_or_is_in_doubt_is_said_before_the_charts(tmp_path: Path) -> None:
    text = reported(tmp_path, load_runs.compare(tmp_path))
    before = text[: text.index("![")]
    assert "1 of 8 variants failed; 1 of 8 were skipped; some times are in doubt" in before
    assert "The server was killed after 41 s." in before
    assert "Only 29,876 of 30,000 clients were connected." in before
    assert "client 17: event 40 is followed by 43" in before
    assert "This Hypercorn ends an HTTP/2 stream after 5 s" in before
    assert "A client process was busy 93 % of the time" in before
    assert "The machine is busy (load 1.34)" in before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"piled_reads": 90_000}, "2.5 % of the reads held more than one event"),
        ({"publisher": {"published": 120, "late_max_us": 400_000, "errors": 2}}, "late by up to"),
        ({"faults": {"reordered": 3}}, "Clients found events wrong: 3 reordered."),
        ({"connected": 29_999}, "Only 29,999 of 30,000 clients were connected."),
        ({"deliveries": 3_599_999}, "1 of 3.60 million deliveries are missing."),
    ],
    ids=["piled reads", "late publisher", "faults", "not connected", "missing"],
)
def test_each_reason_not_to_believe_a_figure_is_said(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    spoilt = [(load_runs.variant("trio-sse, HTTP/1.1"), load_runs.run(**changes))]
    text = reported(tmp_path, load_runs.folder(tmp_path, "2026-01-01-steady-x", spoilt))
    assert said in text[: text.index("![")]


def test_a_gap_is_no_fault_where_it_was_expected(tmp_path: Path) -> None:
    raw = load_runs.run(faults={"gap": 30_000})
    for number, settings in enumerate(({}, {"expect_gap": True})):
        variant = load_runs.variant("trio-sse, HTTP/1.1", settings=settings)
        folder = load_runs.folder(tmp_path, f"2026-01-0{number + 1}-restart-x", [(variant, raw)])
        text = reported(tmp_path, folder)
        failed = "failed" in row(text, "trio-sse, HTTP/1.1")
        assert failed is (not settings)
        assert ("30,000 gap events, as expected" in text) is bool(settings)


def test_titles_do_not_praise_what_failed(tmp_path: Path) -> None:
    fast, slow = load_runs.run(1_000, faults={"lost": 7}), load_runs.run(310_000)
    folder = load_runs.folder(
        tmp_path,
        "2026-01-01-compare-x",
        [
            (load_runs.variant("loses, HTTP/1.1"), fast),
            (load_runs.variant("trio-sse, HTTP/1.1"), slow),
        ],
    )
    titles = re.findall(r"!\[(.*)\]\((?!timeline)", reported(tmp_path, folder))
    assert titles
    assert not [title for title in titles if "loses" in title]


class Requests(HTMLParser):
    """Collects what a page would ask others for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v for name, v in attrs if name in {"src", "href", "srcset"} and v]
        if tag in {"script", "iframe", "object", "embed"}:
            self.found.append(tag)


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    folder = load_runs.compare(tmp_path)
    reported(tmp_path, folder)
    page = (folder / "report.html").read_text()
    requests = Requests()
    requests.feed(page)
    assert requests.found == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page


def test_every_chart_is_well_formed_and_says_what_it_shows(tmp_path: Path) -> None:
    for scenario in (load_runs.steady, load_runs.ramp, load_runs.compare, load_runs.idle):
        scenario(tmp_path)
    assert main([], tmp_path) == 0
    drawn = sorted(tmp_path.rglob("*.svg"))
    assert len(drawn) > 30
    for file in drawn:
        root = ElementTree.fromstring(file.read_text())
        assert root.get("aria-label"), file
        assert "prefers-color-scheme: dark" in file.read_text()


def test_the_styles_of_the_page_leave_charts_alone() -> None:
    page = re.sub(r"\{.*?\}", "", SHEET.read_text(), flags=re.S)
    classes = set(re.findall(r"\.([a-z][a-z0-9]*)", page))
    assert "outcome" in classes
    assert not classes & set(re.findall(r"\.([a-z][a-z0-9]*)", re.sub(r"\{.*?\}", "", STYLE)))


def test_what_the_data_says_cannot_become_markup(tmp_path: Path) -> None:
    name = "<b>|x|</b>, HTTP/1.1"
    folder = load_runs.folder(
        tmp_path, "2026-01-01-steady-x", [(load_runs.variant(name), load_runs.run())]
    )
    assert main([], tmp_path) == 0
    for file in folder.glob("report.*"):
        assert "<b>" not in file.read_text().replace("\\<b", "")


def test_marks_say_how_many_connections_stopped_reading(tmp_path: Path) -> None:
    settings = [{"stall": "100@10:20"}, {"stall": "1@10:20"}]
    names = ["trio-sse, HTTP/1.1", "trio-sse, HTTP/2"]
    stalled = [
        (load_runs.variant(name, settings=each), load_runs.run())
        for name, each in zip(names, settings, strict=True)
    ]
    folder = load_runs.folder(tmp_path, "2026-01-01-slow-x", stalled)
    assert main([], tmp_path) == 0
    assert "100 connections stop reading" in (folder / "timeline-1.svg").read_text()
    assert "1 connection stops reading" in (folder / "timeline-2.svg").read_text()
    # Both in one chart, which says what they have in common.
    assert "some stop reading" in (folder / "events.svg").read_text()
