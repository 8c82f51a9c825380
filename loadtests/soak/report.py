"""The pages of a soak: soak.md and soak.svg, made from soak.json, always the same."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from ..abuse.cases import CASES
from .attacks import names
from .judging import allowed, opening, trends, verdict
from .picture import extent, plot
from .record import Holdings, Record, Sample, Tally, load

__all__ = ["load", "remake", "told"]

ROWS = 10
WIDTH = 800
MIB = 1 << 20
MOST_ENDS = 4
MOST_NOTICED = 20


def remake(folder: Path) -> Path | None:
    """Write the pages of a run; return the path of soak.md, None if it took no samples."""
    record = load(folder)
    if record is None:
        return None
    page = folder / "soak.md"
    page.write_text("\n".join(_page(record)) + "\n")
    if len(record.samples) > 1:
        (folder / "soak.svg").write_text(plot(record).draw(WIDTH).standalone())
    return page


def told(record: Record) -> str:
    """Say in a line how a run ended."""
    return f"{', '.join(extent(record))}. " + (
        "; ".join(verdict(record)) or "Nothing lost, nothing left behind."
    )


def _page(record: Record) -> list[str]:
    machine = record.machine
    lines = [
        "# Soak",
        "",
        f"`{machine['command']}`, commit {machine['commit']}",
        "",
        *(f"**{warning}**\n" for warning in record.warnings),
        told(record),
        "",
        f"{record.events:,} events for every honest client, {record.returned:,} streams that came "
        "back with their last id, each checked for loss, repetition and order.",
    ]
    if record.noticed:
        lines += ["", *(f"- {said}" for said in record.noticed[:MOST_NOTICED])]
    if len(record.samples) > 1:
        lines += ["", f"![{plot(record).title}](soak.svg)"]
    lines += ["", "## What the server held", "", *_held(record)]
    if record.samples:
        lines += ["", *_trends(record), "", "## What the canaries waited", "", *_waited(record)]
    lines += ["", "## What the server counted", "", *_counted(record)]
    lines += ["", "## The attacks", "", *_attacks(record)]
    lines += ["", "## Measured on", "", "| | |", "|---|---|"]
    return [*lines, *(f"| {name} | {value} |" for name, value in machine.items())]


def _held(record: Record) -> list[str]:
    lines = _head(("when", "tasks", "open files", "connections", "audiences", "memory, MiB"))
    rows: list[tuple[str, Holdings | None]] = [
        ("start, before anybody came", record.start),
        ("after the warm-up, all gone", record.before),
    ]
    samples = _some(record.samples)
    rows += [(f"{sample.at / 60:.1f} min", sample.holdings) for sample in samples]
    rows.append(("end, all gone", record.after))
    for when, each in rows:
        if each is not None:
            lines.append(
                f"| {when} | {each.tasks:,} | {each.files:,} | {each.connections:,} | "
                f"{each.audiences} | {each.resident / MIB:.1f} |"
            )
    return lines


def _trends(record: Record) -> list[str]:
    lines = [
        "With everyone there, medians of the run's first quarter and of its last:",
        "",
        *_head(("", "first quarter", "last quarter", "change")),
    ]
    for each in trends(record):
        unit = f" {each.unit}" if each.unit else ""
        lines.append(
            f"| {each.name} | {each.first:,.4g}{unit} | {each.last:,.4g}{unit} | "
            f"{100 * (each.factor - 1):+.1f} % |"
        )
    growth = f"{100 * (allowed(record) - 1):.0f} %"
    return [*lines, "", f"Memory that grows by more than {growth} is a fault."]


def _waited(record: Record) -> list[str]:
    """A row for each part of the run: medians of the samples, and the worst of all."""
    names = [(name, what) for name in record.samples[0].canaries for what in ("opened", "delays")]
    head = ["minutes"]
    head += [f"{name}, {'stream' if what == 'opened' else 'event'}" for name, what in names]
    lines = [
        "In ms, as p50 / p99 / worst: p50 and p99 are medians of the samples, which are of some "
        "seconds each. A canary opens a stream every 50 ms, and publishes ten events a second to "
        "another. It shares a processor with the honest clients and the attacker, and has to "
        "wait for them as well. This is reported, not judged.",
        "",
        *_head((*head, "server's CPU", "clients' CPU")),
    ]
    for part in _parts(record.samples):
        cells = [f"{part[0].at / 60:.1f} to {part[-1].at / 60:.1f}"]
        cells += [_spread(part, name, what) for name, what in names]
        cells += [
            f"{100 * median(each.server_cpu for each in part):.0f} %",
            f"{100 * median(each.clients_cpu for each in part):.0f} %",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *_slowest(record)]


def _slowest(record: Record) -> list[str]:
    """Say beside which attacks streams took longest to open."""
    beside: dict[str, list[float]] = {}
    for sample in record.samples:
        for name in sample.attacks:
            slowest = max(opening(each, "p99")(sample) for each in sample.canaries)
            beside.setdefault(name, []).append(slowest)
    slow = sorted(((median(each), name) for name, each in beside.items()), reverse=True)[:5]
    told = "; ".join(f"{name} ({figure:.0f} ms)" for figure, name in slow)
    return [f"Streams took longest to open (median p99) beside: {told}."]


def _counted(record: Record) -> list[str]:
    server = record.server
    lines = ["Since its start, the warm-up included.", "", *_head(("what", "how often"))]
    lines += [
        f"| {name.replace('_', ' ')} | {value:,} |"
        for name, value in server.items()
        if isinstance(value, int)
    ]
    for named, what in (("drops", "drop"), ("offences", "offence")):
        lines += [
            f"| {what}: {name} | {count:,} |"
            for name, count in sorted(server.get(named, {}).items(), key=lambda each: -each[1])
        ]
    return [*lines, "", f"Errors in its log: {len(record.errors)}."]


def _attacks(record: Record) -> list[str]:
    lines = _head(("attack", "times", "connections", "sent MiB", "how they ended"))
    for tally in sorted(record.tallies.values(), key=lambda tally: tally.name):
        ends = sorted(tally.ends.items(), key=lambda each: -each[1])
        told = "; ".join(f"{end} ({number:,})" for end, number in ends[:MOST_ENDS])
        lines.append(
            f"| {tally.name} | {tally.times} | {tally.connections:,} | {tally.sent / MIB:.1f} | "
            f"{told + ('; …' if len(ends) > MOST_ENDS else '')} |"
        )
    others = [words for tally in record.tallies.values() for words in _unexpected(tally)]
    said = "; ".join(others) or "none"
    return [*lines, "", f"Ends other than those that `make abuse` allows: {said}."]


def _unexpected(tally: Tally) -> list[str]:
    case = next((each for each in CASES if names(each) == tally.name), None)
    if case is None:
        return []
    return [
        f"{tally.name}: {end} ({number:,})"
        for end, number in tally.ends.items()
        if not any(fnmatch.fnmatch(re.sub(r"[0-9,]+ x ", "", end), each) for each in case.ends)
    ]


def _some(run: Sequence[Sample]) -> list[Sample]:
    """Return the last sample of each part."""
    return [part[-1] for part in _parts(run)]


def _parts(run: Sequence[Sample]) -> list[Sequence[Sample]]:
    """Cut the run into about ten parts."""
    ends = [round(len(run) * number / ROWS) for number in range(ROWS + 1)]
    return [run[first:last] for first, last in pairwise(ends) if first < last]


def _spread(part: Sequence[Sample], name: str, what: str) -> str:
    spreads = [sample.canaries[name][what] for sample in part]
    p50, p99 = (median(each[figure] for each in spreads) for figure in ("p50", "p99"))
    worst = max(each["worst"] for each in spreads)
    return " / ".join(f"{1e3 * seconds:.1f}" for seconds in (p50, p99, worst))


def _head(names: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (names, ["---"] * len(names))]
