"""The folder of results: its index, what `make report` leaves there, and data that is broken."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import load_runs

ROOT = Path(__file__).parent.parent

DATA = {"manifest.json", "raw.json.gz", "bench.json", "abuse.json", "conformance.md", "soak.json"}
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.bench.figures import Figure, Goal, Row, Series  # noqa: E402
from loadtests.bench.report import read, write  # noqa: E402
from loadtests.report.__main__ import main  # noqa: E402


def reported(results: Path, folder: Path) -> str:
    """The Markdown that is made of a folder, without the backslashes."""
    assert main([], results) == 0
    return (folder / "report.md").read_text().replace("\\", "")


SCENARIOS = ("steady", "ramp", "storm", "compare", "burst", "slow", "restart", "idle")

OTHERS = [
    ("2026-01-12-profiles", "http1.txt", ""),
    ("2026-01-13-conformance", "conformance.md", "# Conformance\n"),
    ("2026-01-14-soak", "soak.json", '{"wrong": ["1 lost"]}'),
    ("2026-01-14-soak", "soak.md", "# Soak\n"),
]
"""Folders whose pages are not made from data: file by file."""


def write_others(results: Path) -> None:
    for name, file, content in OTHERS:
        (results / name).mkdir(exist_ok=True)
        (results / name / file).write_text(content)


def copied(results: Path, copy: Path) -> None:
    """Copy what pages are made from, and no page."""
    for path in results.glob("*/*"):
        if path.suffix == ".txt" or path.name in DATA:
            (copy / path.parent.name).mkdir(exist_ok=True)
            (copy / path.parent.name / path.name).write_bytes(path.read_bytes())


def files(results: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a folder of every kind, reported: made once, and only looked at."""
    results = tmp_path_factory.mktemp("every")
    for name in SCENARIOS:
        getattr(load_runs, name)(results)
    bench(results)
    write_others(results)
    assert main([], results) == 0
    return results


def test_links_of_reports_and_index_point_to_files_that_exist(every: Path) -> None:
    for page in (every / "README.md", *every.rglob("report.md")):
        targets = re.findall(r"\]\(([^)]+)\)", page.read_text())
        assert targets
        for target in targets:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_chart_is_left_over_from_an_earlier_report(tmp_path: Path) -> None:
    folder = load_runs.steady(tmp_path)
    (folder / "older.svg").write_text("<svg/>")
    text = reported(tmp_path, folder)
    assert {path.name for path in folder.glob("*.svg")} == set(re.findall(r"\]\((.*svg)\)", text))


def test_the_same_data_makes_the_same_bytes(every: Path, tmp_path: Path) -> None:
    copied(every, tmp_path)
    write_others(tmp_path)
    for _ in range(2):
        assert main([], tmp_path) == 0
        assert files(tmp_path) == files(every)


def test_the_index_begins_with_the_newest_comparison_and_goes_back_in_time(tmp_path: Path) -> None:
    load_runs.compare(tmp_path, "2026-01-02-compare-older")
    load_runs.compare(tmp_path)
    load_runs.steady(tmp_path)
    load_runs.folder(
        tmp_path,
        "2026-01-08-idle-newest",
        [(load_runs.variant("trio-sse, HTTP/1.1"), load_runs.run())],
    )
    assert main([], tmp_path) == 0
    text = (tmp_path / "README.md").read_text()
    order = re.findall(r"\((.*?)/report\.md\)", text)
    assert order == [
        "2026-01-06-compare-servers",
        "2026-01-08-idle-newest",
        "2026-01-06-compare-servers",
        "2026-01-03-steady-http1",
        "2026-01-02-compare-older",
    ]


def test_the_index_of_the_committed_results_is_what_their_data_makes(tmp_path: Path) -> None:
    results = ROOT / "results"
    copied(results, tmp_path)
    assert main([], tmp_path) == 0
    for name, content in files(tmp_path).items():
        assert (results / name).read_bytes() == content, f"{name}: run `make report`"


def test_a_folder_without_a_run_is_said_and_the_others_are_still_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = load_runs.steady(tmp_path / "results")
    assert main([str(tmp_path / "nothing"), str(good)], tmp_path / "results") == 1
    assert "is not the folder of a run: there is no manifest.json" in capsys.readouterr().err
    assert (good / "report.html").exists()


def test_a_folder_whose_data_is_broken_is_named_and_left_out_of_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = load_runs.ramp(tmp_path), load_runs.steady(tmp_path)
    raw = broken / "raw.json.gz"
    raw.write_bytes(raw.read_bytes()[:1_000])
    assert main([], tmp_path) == 1
    assert f"The data in {broken} cannot be read" in capsys.readouterr().err
    index = (tmp_path / "README.md").read_text()
    assert good.name in index
    assert broken.name not in index


def test_the_index_lists_every_run(every: Path) -> None:
    text = (every / "README.md").read_text()
    folders = [path for path in every.iterdir() if path.is_dir()]
    assert len(folders) == len(SCENARIOS) + 1 + 3
    for folder in folders:
        assert f"({folder.name}/" in text
    assert "| 1 lost |" in text


def bench(results: Path) -> Path:
    """A folder of the benchmark, with a goal that is met, one that is not, and a plot."""
    rows = [
        Row(
            "http1",
            "HTTP/1.1, 10 connections",
            (
                Figure("CPU", 10.4, "µs", {"C loop": 8.0}, (Goal("at most", 1.25, "C loop"),)),
                Figure("last client served", 96.9, "ms", goals=(Goal("at most", 100.0),)),
            ),
        ),
        Row(
            "growth",
            "Growth to 100,000",
            series=(
                Series("HTTP/1.1: server CPU a delivery, µs", ((1_000, 11.1), (15_000, 10.2))),
                Series("HTTP/2: server CPU a delivery, µs", ((1_000, 0.95), (100_000, 0.23))),
                Series("HTTP/1.1: time to the last client, ms", ((1_000, 9.4), (15_000, 144.0))),
                Series("HTTP/2: time to the last client, ms", ((1_000, 0.95), (100_000, 18.9))),
            ),
        ),
    ]
    folder = results / "2026-01-11-bench-some-words"
    machine = {"command": "python -m loadtests.bench", "commit": "0123abc"}
    write(folder, rows, machine, ["The machine is busy (load 1.3)."], judge=True)
    return folder


def test_a_run_of_the_benchmark_can_be_made_again_from_its_data(tmp_path: Path) -> None:
    folder = bench(tmp_path)
    made = files(tmp_path)
    assert read(folder).rows[1].series[1].points[1] == (100_000, 0.23)
    for name in ("bench.md", "growth.svg"):
        (folder / name).write_text("spoilt")
    assert main([], tmp_path) == 0
    again = files(tmp_path)
    index = again.pop("README.md").decode()
    assert again == made
    assert "[2026-01-11, some words]" in index
    assert "1 of 2 goals met (missed in: http1); no client saw a fault; " in index


def test_the_plot_of_the_benchmark_has_both_quantities_of_both_protocols(tmp_path: Path) -> None:
    folder = bench(tmp_path)
    drawn = (folder / "growth.svg").read_text()
    words = re.findall(r"<text[^>]*>(.*?)</text>", drawn)
    assert "server CPU a delivery, µs (logarithmic)" in words
    assert "time to the last client, ms (logarithmic)" in words
    assert "subscribers (logarithmic)" in words
    assert words.count("HTTP/1.1") == words.count("HTTP/2") == 2
    text = (folder / "bench.md").read_text()
    assert "](growth.svg)" in text
    assert "HTTP/2: 0.950 µs at 1,000 subscribers, 0.230 µs at 100,000](growth.svg)" in text
    assert "| 100,000 |  | 0.230 |  | 18.9 |" in text


def test_a_benchmark_that_cannot_be_read_is_named_and_left_out_of_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, good = bench(tmp_path), load_runs.steady(tmp_path)
    (broken / "bench.json").write_text('{"rows": [{}]}')
    assert main([], tmp_path) == 1
    assert f"{broken / 'bench.json'} cannot be read" in capsys.readouterr().err
    index = (tmp_path / "README.md").read_text()
    assert good.name in index
    assert broken.name not in index
