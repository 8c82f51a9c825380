"""A variant second by second: connections, events, errors, the server's CPU and its memory."""

from __future__ import annotations

from itertools import pairwise

from ...charts import Curves, Line, Linear, Look, Panel, binary, whole
from ...charts.numbers import count, digits, duration, size
from ..runs import Run
from ..variants import Variant
from .actions import marks

__all__ = ["timeline"]

Points = list[tuple[float, float]]


def timeline(run: Run, variant: Variant) -> Curves | None:
    """Draw it; None if there are no two seconds."""
    rows = variant.measured.get("timeline") or []
    if len(rows) < 2:
        return None
    begin = variant.begin

    def column(number: int) -> Points:
        return [(row[0] - begin, float(row[number])) for row in rows]

    connected, events = column(1), column(2)
    errors, reconnects = column(4), column(5)
    panels = [
        _panel("clients connected", [Line("", connected, Look(0), stepped=True)], 110),
        _panel("events received by all clients, a second", [Line("", events, Look(2))], 110),
        _panel(
            "errors and reconnections, a second",
            [Line("errors", errors, Look(1)), Line("reconnections", reconnects, Look(3, True))],
            80,
        ),
    ]
    samples = variant.samples
    busy = [
        (after[0] - begin, (after[1] - before[1]) / (after[0] - before[0]) * 100)
        for before, after in pairwise(samples)
        if after[0] > before[0]
    ]
    if busy:
        caption = "server CPU, % of one processor, all its processes together"
        panels.append(_panel(caption, [Line("", busy, Look(5))], 90))
        resident = [(sample[0] - begin, float(sample[2])) for sample in samples]
        kernel = [(sample[0] - begin, float(sample[3] + sample[4])) for sample in samples]
        lines = [Line("server, resident", resident, Look(7)), Line("kernel", kernel, Look(4, True))]
        panels.append(_panel("memory", lines, 90, sizes=True))
    times = [x for panel in panels for line in panel.lines for x, _ in line.points]
    name = "" if len(run.variants) == 1 else f"{variant.name}: "
    title = name + _told(variant, connected, events, sum(y for _, y in errors))
    return Curves(
        title if name else title[0].upper() + title[1:],
        "Once a second, from all client processes; memory is that of the whole server and of the "
        "whole machine's kernel for sockets.",
        Linear(max(times), digits, min(times)),
        "seconds since measuring began",
        panels,
        marks(variant),
    )


def _told(variant: Variant, connected: Points, events: Points, errors: float) -> str:
    measured = [(x, y) for x, y in connected if x >= 0] or connected
    users = max(y for _, y in measured)
    when, least = min(measured, key=lambda point: point[1])
    if variant.steps:
        told = f"{count(least)} clients became {count(users)}"
    elif least >= users:
        told = f"all of {count(users)} clients stayed connected"
    else:
        left = f"{count(least)} were left" if least else "none was left"
        told = f"of {count(users)} clients, {left}"
        back = next((x for x, y in measured if x > when and y >= users), None)
        told += " and not all came back"
        if back is not None:
            before = max((x for x, y in measured if x < when and y >= users), default=when)
            told = told.removesuffix(" and not all came back")
            told += f", and all were back after {duration((back - before) * 1e6)}"
    told += f"; up to {count(max(y for _, y in events))} events a second arrived"
    return told + (f", with {count(errors)} errors" if errors else ", without an error")


def _panel(caption: str, lines: list[Line], height: float, *, sizes: bool = False) -> Panel:
    values = [y for line in lines for _, y in line.points]
    scale = Linear.over(values, size, binary) if sizes else Linear.over(values, count, whole)
    return Panel(caption, scale, lines, height)
