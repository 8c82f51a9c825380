"""Charts: axes that a person can read, words that keep apart, and files that stand alone."""

from __future__ import annotations

import math
import re
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.charts import (  # noqa: E402
    Bar,
    Bars,
    Chart,
    Curves,
    Line,
    Linear,
    Log,
    Look,
    Mark,
    Nines,
    Panel,
    Point,
    Span,
    Spans,
    binary,
    whole,
)
from loadtests.charts.labels import spread, width_of, wrapped  # noqa: E402
from loadtests.charts.numbers import count, digits, duration, part, plain, size  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"

MEBI = 2**20

CURVES = Curves(
    "Twice as many <clients> & more",
    "How to read it.",
    Log(1_000, 100_000, count),
    "clients",
    [
        Panel(
            "time",
            Log.over([900, 310_000], duration),
            [Line("one", [(1_000, 900), (100_000, 310_000)]), Line("two", [(1_000, 1_000)])],
        ),
        Panel("memory", Linear.over([0, 200 * MEBI], size, binary), [Line("", [(2_000, 5)])]),
    ],
    [Mark(10_000, "all dropped")],
)

BARS = Bars("Bars", "µs", [Bar("one", (9.4, 1.0), "10.4 µs"), Bar("two", (), "skipped: why")])

SPANS = Spans(
    "Spans",
    "How to read it.",
    Log.over([10, 1_000], duration),
    "time",
    [
        Span("one", [Point("first", 12, "12.0 µs"), Point("last", 900, "900 µs")], Look(2)),
        Span("two", (), missing="failed", warn=True),
    ],
)

ALL = pytest.mark.parametrize("chart", [CURVES, BARS, SPANS], ids=["curves", "bars", "spans"])


@ALL
@pytest.mark.parametrize("width", [350.0, 860.0])
def test_a_file_is_well_formed_and_has_both_colour_schemes(chart: Chart, width: float) -> None:
    drawn = chart.draw(width).standalone()
    root = ElementTree.fromstring(drawn)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == chart.title
    assert root.get("width") == f"{width:g}"
    style = root.find(f"{SVG}style")
    assert style is not None
    day, night = (style.text or "").split("@media (prefers-color-scheme: dark)")
    for name in re.findall(r"--[a-z]+|\.k\d", day):
        assert name in night, f"{name} has no colour by night"


@ALL
def test_a_file_asks_for_nothing(chart: Chart) -> None:
    drawn = chart.draw(860).standalone()
    assert not re.search(r"url\(|href|<script|@import|@font-face", drawn)
    assert drawn.count("http") == 1  # the namespace


@ALL
@pytest.mark.parametrize("width", [350.0, 860.0])
def test_no_words_reach_over_the_paper(chart: Chart, width: float) -> None:
    drawing = chart.draw(width)
    for text in ElementTree.fromstring(drawing.standalone()).iter(f"{SVG}text"):
        x, taken = (
            float(text.get("x", 0)),
            width_of(text.text or "", float(text.get("font-size", 0))),
        )
        left = (
            x - {"start": 0.0, "middle": taken / 2, "end": taken}[text.get("text-anchor", "start")]
        )
        assert left >= -1, text.text
        assert left + taken <= width + 1, text.text
        assert float(text.get("y", 0)) <= drawing.height


def test_the_points_of_a_line_lie_where_its_axes_say() -> None:
    line = Line("", [(1_000, 900), (100_000, 310_000)])
    panel = Panel("time", Log.over([900, 310_000], duration), [line])
    drawn = Curves("", "", Log(1_000, 100_000, count), "clients", [panel]).draw(860).standalone()
    root = ElementTree.fromstring(drawn)
    paths = [p.get("d", "") for p in root.iter(f"{SVG}path") if p.get("class") == "line"]
    (x0, y0, x1, y1) = map(float, re.findall(r"[\d.]+", paths[0]))
    places = {text.text: text for text in root.iter(f"{SVG}text")}

    def at(words: str, axis: str) -> float:
        return float(places[words].get(axis, 0)) - (4 if axis == "y" else 0)

    assert x0 == pytest.approx(at("1,000", "x"), abs=0.2)
    assert x1 == pytest.approx(at("100,000", "x"), abs=0.2)
    decade = at("1 ms", "y") - at("10 ms", "y")
    assert y0 == pytest.approx(at("1 ms", "y") - decade * math.log10(0.9), abs=0.3)
    assert y1 == pytest.approx(at("1 ms", "y") - decade * math.log10(310), abs=0.3)


def test_bars_are_as_long_as_their_values() -> None:
    bars = Bars("", "", [Bar("one", (10.0,), "10"), Bar("two", (2.5,), "2.5")])
    lengths = [
        float(n) for n in re.findall(r'd="M[\d.]+ [\d.]+h([\d.]+)v', bars.draw(860).inline())
    ]
    assert lengths[0] == pytest.approx(4 * lengths[1], abs=0.2)


def test_marks_keep_off_the_captions_of_panels() -> None:
    root = ElementTree.fromstring(CURVES.draw(860).standalone())
    reach = [
        tuple(map(float, re.findall(r"[\d.]+", path.get("d", ""))[1:]))
        for path in root.iter(f"{SVG}path")
        if path.get("class") == "mark"
    ]
    captions = [
        float(text.get("y", 0))
        for text in root.iter(f"{SVG}text")
        if text.text in ("time", "memory")
    ]
    assert len(reach) == len(captions) == 2
    assert not [y for y in captions for top, bottom in reach if top <= y <= bottom]


# -- axes ------------------------------------------------------------------------------------


def test_axes_of_bytes_go_in_powers_of_two() -> None:
    axis = Linear.over([150 * MEBI], size, binary)
    assert [words for _, words in axis.ticks(240)] == ["0 B", "64 MiB", "128 MiB"]


def test_axes_of_whole_things_have_no_halves() -> None:
    assert [words for _, words in Linear.over([0], count, whole).ticks(900)] == ["0", "1"]


def test_the_highest_value_is_near_a_mark() -> None:
    for most in (1, 7, 30_000, 61_234, 999):
        marks = [value for value, _ in Linear.over([most], count, whole).ticks(275)]
        assert marks[-1] >= 0.66 * most


def test_logarithmic_axes_begin_and_end_at_a_round_value_beyond_the_rest() -> None:
    axis = Log.over([930, 310_000], duration)
    assert (axis.low, axis.high) == (500, 500_000)
    assert [words for _, words in axis.ticks(900)][::3] == ["500 µs", "5 ms", "50 ms", "500 ms"]


def test_each_nine_of_a_percentile_axis_is_as_far_as_the_last() -> None:
    axis = Nines(0.9999)
    at = [axis.at(p) for p in (0.9, 0.99, 0.999, 0.9999)]
    steps = [after - before for before, after in pairwise(at)]
    assert steps == pytest.approx([steps[0]] * 3)
    assert [words for _, words in axis.ticks(500)] == ["p50", "p90", "p99", "p99.9", "p99.99"]


# -- words -----------------------------------------------------------------------------------


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    lines = wrapped("served after 310 ms by one", width_of("served after 310", 12), 12)
    assert lines == ["served after", "310\u00a0ms by one"]


def test_labels_that_would_meet_are_moved_apart_and_stay_inside() -> None:
    placed = spread([100, 101, 50, 102], 15, 0, 110)
    ordered = sorted(placed)
    assert all(after - before >= 14.99 for before, after in pairwise(ordered))
    assert max(placed) <= 110
    assert placed[0] < placed[1] < placed[3]
    assert placed[2] == 50


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (digits(0.2266), "0.227"),
        (digits(9.999), "10.0"),
        (digits(1282.6), "1,283"),
        (duration(999.7), "1.00 ms"),
        (duration(87.4), "87.4 µs"),
        (duration(150e6), "2.50 min"),
        (size(3_100), "3.03 KiB"),
        (count(30_000), "30,000"),
        (count(3.6e6), "3.60 million"),
        (part(0.9999), "99.9 %"),
        (part(0.00001), "under 0.1 %"),
        (plain("10.0 ms"), "10 ms"),
        (plain("2.50 s"), "2.5 s"),
        (plain("20,000"), "20,000"),
        (plain("100"), "100"),
    ],
)
def test_numbers_have_three_digits_that_count(written: str, expected: str) -> None:
    assert written == expected
