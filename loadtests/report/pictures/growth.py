"""How a run grows with its clients: completion time and server CPU, over clients, on log axes."""

from __future__ import annotations

from statistics import median

from ...charts import Curves, Line, Log, Panel
from ...charts.numbers import count, digits, duration
from ..runs import Run
from ..variants import Variant
from .looks import looks, named, told

__all__ = ["growth"]

Points = list[tuple[float, float]]


def growth(run: Run) -> Curves | None:
    """Draw the steps of a ramp; None if there are no two."""
    lasts = {variant: _lasts(variant) for variant in run.measured}
    lasts = {variant: points for variant, points in lasts.items() if len(points) > 1}
    if not lasts:
        return None
    most = count(max(points[-1][0] for points in lasts.values()))
    few, brief = next(iter(lasts.values()))[0]
    title = told(
        {variant: points[-1][1] for variant, points in lasts.items()},
        duration,
        alone=f"From {count(few)} to {most} clients, the last one's wait went from "
        f"{duration(brief)} to {{low}}",
        several=f"With {most} clients, the last was served after {{low}} by {{first}}, after "
        "{high} by {last}",
        alike=f"With {most} clients, the last was served after {{low}} by every variant",
        unlike="The last of {few} clients was served after {low} by {first}, of {many} after "
        "{high} by {last}",
        clients={variant: points[-1][0] for variant, points in lasts.items()},
    )
    colours = looks(run)
    alone = len(run.variants) == 1

    def panel(caption: str, drawn: dict[Variant, Points], *, time: bool) -> Panel:
        values = [y for points in drawn.values() for _, y in points]
        return Panel(
            caption,
            Log.over(values, duration if time else digits),
            [
                Line("" if alone else named(variant), points, colours[variant])
                for variant, points in drawn.items()
                if points
            ],
            220 if time else 160,
        )

    panels = [
        panel("last client served, after an event was due (median of the events)", lasts, time=True)
    ]
    costs = {variant: _costs(variant) for variant in lasts}
    if any(costs.values()):
        panels.append(panel("server CPU a delivery, µs", costs, time=False))
    sizes = [x for points in lasts.values() for x, _ in points]
    return Curves(
        title,
        "Each point is one step of the ramp, held for as long as the others. All axes are "
        "logarithmic: ten times the clients and ten times the time are the same distance.",
        Log(min(sizes), max(sizes), count),
        "clients connected",
        panels,
    )


def _lasts(variant: Variant) -> Points:
    return [
        (float(step.users), median(event.last for event in step.events))
        for step in variant.steps
        if step.events
    ]


def _costs(variant: Variant) -> Points:
    return [
        (float(step.users), cost)
        for step in variant.steps
        if (cost := step.cost(variant.cpu_between(step.begin, step.end))) is not None
    ]
