"""How rows are shown: on the terminal as they come, and as JSON, Markdown and a plot.

The Markdown says what was measured on what, with which command, and plainly what could not
be measured and why. It and the plots are made from the JSON, so that they can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .figures import Figure, Goal, Row, Series
from .plot import plot

__all__ = ["UNREADABLE", "Bench", "as_text", "read", "remake", "write"]

UNREADABLE = (OSError, ValueError, KeyError, TypeError)
"""What is raised for a bench.json that is not one."""

WIDTH = 860.0
"""px for which plots are drawn: what a page of Markdown usually leaves."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What bench.json holds."""

    rows: Sequence[Row]
    machine: Mapping[str, str]
    warnings: Sequence[str]
    judged: bool


def as_text(row: Row, *, judge: bool) -> str:
    """Return a row as lines for a terminal."""
    lines = [row.title]
    if row.not_measured is not None:
        lines.append(f"  NOT MEASURED: {row.not_measured}")
    for figure in row.figures:
        shown = f"  {figure.name:<58} {number(figure.value):>8} {figure.unit}"
        for name, value in (figure.beside or {}).items():
            shown += f"   {name} {number(value)}"
        lines.append(shown)
        if judge:
            lines += [f"      {verdict(figure, goal)}" for goal in figure.goals]
    for series in row.series:
        points = ", ".join(f"{x:,.0f}: {number(y)}" for x, y in series.points)
        lines.append(f"  {series.name}: {points}")
    lines += [f"  ({note})" for note in row.notes]
    if row.faults:
        lines.append(f"  WRONG: {_faults(row.faults)}")
    return "\n".join(lines)


def write(
    folder: Path,
    rows: Sequence[Row],
    machine: Mapping[str, str],
    warnings: Sequence[str],
    *,
    judge: bool,
) -> None:
    """Write bench.json, bench.md and, where there are any, plots into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": dict(machine),
        "warnings": list(warnings),
        "judged": judge,
        "rows": [asdict(row) for row in rows],
    }
    (folder / "bench.json").write_text(json.dumps(content, indent=2) + "\n")
    remake(folder)


def remake(folder: Path) -> Path:
    """Write bench.md and the plots again from bench.json; returns the path of the former."""
    bench = read(folder)
    page = folder / "bench.md"
    page.write_text(_markdown(bench))
    for row in bench.rows:
        if row.series:
            drawn = plot(row.series).draw(WIDTH).standalone()
            (folder / f"{row.name}.svg").write_text(drawn)
    return page


def read(folder: Path) -> Bench:
    """Return what bench.json holds; raises one of UNREADABLE."""
    content = json.loads((folder / "bench.json").read_text())
    return Bench(
        [_row(row) for row in content["rows"]],
        content["machine"],
        content["warnings"],
        content.get("judged", True),
    )


def _row(row: dict[str, Any]) -> Row:
    figures = tuple(
        Figure(**{**figure, "goals": tuple(Goal(**goal) for goal in figure["goals"])})
        for figure in row["figures"]
    )
    series = tuple(
        Series(each["name"], tuple((x, y) for x, y in each["points"])) for each in row["series"]
    )
    return Row(**{**row, "figures": figures, "series": series, "notes": tuple(row["notes"])})


def number(value: float) -> str:
    """Write a figure with three digits that count, and no more."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def verdict(figure: Figure, goal: Goal) -> str:
    """Say what a goal asks, what was reached, and whether that is enough."""
    unit = f" {figure.unit}" if goal.beside is None else "x " + goal.beside
    measured, bound = number(figure.measure_of(goal)), f"{goal.bound:,g}"
    met = "met" if figure.meets(goal) else "MISSED"
    return f"{measured}{unit} (goal: {goal.sense} {bound}{unit}): {met}"


def _markdown(bench: Bench) -> str:
    rows, machine, judge = bench.rows, bench.machine, bench.judged
    lines = [
        "# Fan-out benchmark",
        "",
        f"`{machine['command']}`, commit {machine['commit']}",
        "",
        "The server has one processor, the clients the other. CPU is the server's, by the "
        "operating system's accounting; times are from just before `publish` to the client's "
        "read. Every event of every stream was checked for order, loss and repetition. Figures "
        "of others are from the same run, in turn with ours; medians of the rounds.",
        "",
        *(f"> {warning}" for warning in bench.warnings),
        "",
        "| what | trio-sse | beside it |" + (" goal |" if judge else ""),
        "|---|---|---|" + ("---|" if judge else ""),
    ]
    for row in rows:
        lines.append(f"| **{row.title}** | | |" + (" |" if judge else ""))
        if row.not_measured is not None:
            lines.append(f"| not measured: {row.not_measured} | | |" + (" |" if judge else ""))
        lines += [_line(figure, judge=judge) for figure in row.figures]
    lines.append("")
    for row in rows:
        lines += [f"- {row.title}: {note}" for note in row.notes]
        if row.faults:
            lines.append(
                f"- {row.title}: **what clients received was wrong:** {_faults(row.faults)}"
            )
    for row in rows:
        if row.series:
            title = plot(row.series).title
            lines += ["", f"## {row.title}", "", f"![{title}]({row.name}.svg)", ""]
            lines += _series_table(row)
    lines += ["", "## Measured on", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in machine.items()]
    return "\n".join(lines) + "\n"


def _line(figure: Figure, *, judge: bool) -> str:
    beside = ", ".join(f"{name}: {number(value)}" for name, value in (figure.beside or {}).items())
    line = f"| {figure.name} | {number(figure.value)} {figure.unit} | {beside} |"
    if judge:
        line += " " + "; ".join(verdict(figure, goal) for goal in figure.goals) + " |"
    return line


def _series_table(row: Row) -> list[str]:
    """A column a series, a row a size; not every series has every size."""
    sizes = sorted({size for series in row.series for size, _ in series.points})
    lines = [
        "| subscribers | " + " | ".join(series.name for series in row.series) + " |",
        "|---|" + "---|" * len(row.series),
    ]
    for size in sizes:
        values = (dict(series.points).get(size) for series in row.series)
        cells = ("" if value is None else number(value) for value in values)
        lines.append(f"| {size:,.0f} | " + " | ".join(cells) + " |")
    return lines


def _faults(faults: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {fault}" for fault, count in faults.items())
