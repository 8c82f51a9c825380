"""A run second by second, of what each process counted at moments of its own. Pure.

Processes that are busy count late, and each at another moment; what one has counted grows evenly
between two of its moments, as far as anyone knows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

__all__ = ["Row", "timeline"]

Row = Sequence[float]
"""time, connected, and four that only grow: events, bytes, errors, reconnects."""

GROWING = slice(2, 6)


def timeline(processes: Iterable[Sequence[Row]], begin: float, end: float) -> list[list[float]]:
    """Return a row for each second: its beginning, who was connected at its end, and what came."""
    rows = [list(process) for process in processes if process]
    first, last = math.floor(begin), math.ceil(end)
    made = []
    before = [0.0] * 4
    for second in range(first, last):
        states = [_at(process, second + 1) for process in rows]
        grown = [sum(column) for column in zip(*(s[GROWING] for s in states), strict=True)]
        grown = grown or before
        connected = sum(round(state[1]) for state in states)
        came = [round(now) - round(then) for now, then in zip(grown, before, strict=True)]
        made.append([float(second), connected, *came])
        before = grown
    return made


def _at(rows: Sequence[Row], moment: float) -> list[float]:
    """Return what a process would have counted at a moment."""
    index = bisect_right(rows, moment, key=lambda row: row[0])
    if index == 0:
        return [moment, 0, 0, 0, 0, 0]
    if index == len(rows):
        return list(rows[-1])
    before, after = rows[index - 1], rows[index]
    part = (moment - before[0]) / (after[0] - before[0])
    grown = [b + (a - b) * part for b, a in zip(before[GROWING], after[GROWING], strict=True)]
    return [moment, before[1], *grown]
