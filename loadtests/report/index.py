"""results/README.md: all runs, with the newest comparison on top and the newest runs first.

Runs of the benchmark are listed with what their bench.json holds, attacks with what the canary
met, and profiles are named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bench.report import read
from ..soak import report as soak
from .findings import findings
from .judging import outcome
from .markdown import table, text
from .pictures import first
from .runs import Run
from .tables import summary

__all__ = ["Benchmark", "benchmark", "written"]


CANARY_SECONDS = 0.05
"""What a stream may take to open while another client attacks."""

SHOWN = ("completion", "cpu")
"""Charts of the newest comparison that the index shows."""


@dataclass(frozen=True)
class Benchmark:
    """A folder of the fan-out benchmark."""

    folder: Path
    told: str


def benchmark(folder: Path) -> Benchmark:
    """Read what a run of the benchmark says of itself; raises as `bench.report.read` does."""
    bench = read(folder)
    rows = bench.rows
    judged = [
        (row.name, figure.meets(goal))
        for row in rows
        for figure in row.figures
        for goal in figure.goals
        if bench.judged
    ]
    short = dict.fromkeys(name for name, met in judged if not met)
    missing = sum(row.not_measured is not None for row in rows)
    faulty = sum(bool(row.faults) for row in rows)
    told = [f"{len(rows) - missing} of {len(rows)} rows measured"]
    if judged:
        met = f"{sum(met for _, met in judged)} of {len(judged)} goals met"
        told.append(f"{met} (missed in: {', '.join(short)})" if short else met)
    told.append(f"{faulty} rows with faults" if faulty else "no client saw a fault")
    told += ["the machine was busy"] if any("busy" in w for w in bench.warnings) else []
    return Benchmark(folder, "; ".join(told))


def written(
    runs: list[Run],
    benchmarks: list[Benchmark],
    profiles: Sequence[Path] = (),
    attacks: Sequence[Path] = (),
    conformance: Sequence[Path] = (),
    soaks: Sequence[Path] = (),
) -> str:
    """Return the text of the index."""
    lines = [
        "# Results",
        "",
        "Runs of the load tests and of the benchmark, as they came out. Each folder holds its raw "
        "data, and what `make report` makes from that: `report.md`, and `report.html`, the same as "
        "one page to download and open.",
    ]
    ordered = sorted(runs, key=lambda run: (run.date, run.folder.name), reverse=True)
    newest = next((run for run in ordered if run.scenario.startswith("compare")), None)
    if newest is not None:
        lines += [
            "",
            f"## {text(newest.title)}",
            "",
            f"The newest comparison, of {_day(newest.date)}. {outcome(newest)} "
            f"[The report]({newest.folder.name}/report.md) has charts and all figures.",
            "",
            *(f"- {text(words)}" for words in findings(newest)),
            "",
            *table(summary(newest)),
        ]
        for picture in first(newest):
            if picture.name in SHOWN:
                path = f"{newest.folder.name}/{picture.name}.svg"
                lines += ["", f"![{text(picture.chart.title)}]({path})"]
    if ordered:
        rows = [
            [
                f"[{_day(run.date)}]({run.folder.name}/report.md)",
                text(run.scenario),
                text(run.title),
                text(outcome(run)),
            ]
            for run in ordered
        ]
        lines += ["", "## Load tests", "", *_linked(("run", "scenario", "what", "outcome"), rows)]
    if benchmarks:
        rows = [
            [f"[{_name(each.folder)}]({each.folder.name}/bench.md)", text(each.told)]
            for each in sorted(benchmarks, key=lambda each: each.folder.name, reverse=True)
        ]
        lines += ["", "## Benchmark", "", "Made by `make bench` and `make bench-peers`."]
        lines += ["", *_linked(("run", "outcome"), rows)]
    if attacks:
        rows = [
            [f"[{_day(folder.name)}]({folder.name}/abuse.md)", text(_attacked(folder))]
            for folder in sorted(attacks, key=lambda folder: folder.name, reverse=True)
        ]
        lines += ["", "## Attacks", "", "Made by `make abuse`, beside a canary.", ""]
        lines += _linked(("run", "outcome"), rows)
    if soaks:
        rows = [
            [f"[{_name(folder)}]({folder.name}/soak.md)", _soaked(folder)]
            for folder in sorted(soaks, key=lambda folder: folder.name, reverse=True)
        ]
        lines += ["", "## Soaks", "", "Made by `make soak`: clients come and go, others attack."]
        lines += [""]
        lines += _linked(("run", "outcome"), rows)
    if conformance:
        lines += ["", "## Conformance", "", "Made by `make conformance`.", ""]
        for folder in sorted(conformance, key=lambda folder: folder.name, reverse=True):
            lines.append(f"- [{_day(folder.name)}]({folder.name}/conformance.md)")
    if profiles:
        lines += [
            "",
            "## Profiles",
            "",
            "Where the server's CPU goes; made by `make profiles`.",
            "",
        ]
        for folder in sorted(profiles, key=lambda folder: folder.name, reverse=True):
            texts = sorted(folder.glob("*.txt"))
            links = ", ".join(f"[{each.stem}]({folder.name}/{each.name})" for each in texts)
            lines.append(f"- {_day(folder.name)}: {links}")
    return "\n".join(lines) + "\n"


def _soaked(folder: Path) -> str:
    """Say what a soak found wrong, and where its plot is; the first ones took no samples."""
    record = soak.load(folder)
    if record is not None:
        plot = f" ([plot]({folder.name}/soak.svg))" if len(record.samples) > 1 else ""
        return text(soak.told(record)) + plot
    wrong: list[str] = json.loads((folder / "soak.json").read_text())["wrong"]
    return text("; ".join(wrong) or "Nothing lost, nothing left behind.")


def _attacked(folder: Path) -> str:
    """Say what a run of attacks found of our server."""
    content = json.loads((folder / "abuse.json").read_text())
    ours = [each for each in content["attacks"] if each["server"] == "trio-sse"]
    faulty = sum(bool(each["faults"]) for each in ours)
    slow = sum(each["opened_p99"] > CANARY_SECONDS for each in ours)
    met = f"the canary met a fault in {faulty}" if faulty else "the canary met no fault"
    told = f"{len(ours)} attacks, {met}; its streams' p99 was over 50 ms in {slow}"
    return f"{told}; the machine was busy" if content["warnings"] else told


def _linked(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows)]


def _day(date: str) -> str:
    return date[:10]


def _name(folder: Path) -> str:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)-bench-(.*)", folder.name)
    return f"{found[1]}, {found[2].replace('-', ' ')}" if found else folder.name
