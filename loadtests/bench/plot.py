"""How figures of a row grow with the subscribers, as a chart.

A panel a quantity, a line a protocol; both axes are logarithmic, for a crowd goes from a thousand
subscribers to a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..charts import Curves, Line, Log, Look, Panel
from ..charts.numbers import count, digits
from .figures import Series

__all__ = ["plot"]

HEIGHT = 220.0


def plot(series: Sequence[Series]) -> Curves:
    """Return the chart of some series; there is at least one, and each has a point."""
    quantities = list(dict.fromkeys(each.quantity for each in series))
    lines = list(dict.fromkeys(each.line for each in series))
    panels = []
    for quantity in quantities:
        shown = [each for each in series if each.quantity == quantity]
        values = [value for each in shown for _, value in each.points]
        panels.append(
            Panel(
                f"{quantity} (logarithmic)",
                Log.over(values, digits),
                [Line(each.line, each.points, Look(lines.index(each.line))) for each in shown],
                HEIGHT,
            )
        )
    sizes = [size for each in series for size, _ in each.points]
    return Curves(
        _told(series, quantities[0]),
        "At each size of the crowd the same number of events was published, one at a time. Ten "
        "times as many subscribers and ten times as much are the same distance.",
        Log(min(sizes), max(sizes), count),
        "subscribers (logarithmic)",
        panels,
    )


def _told(series: Sequence[Series], quantity: str) -> str:
    """Say what the first quantity was at both ends of each line."""
    name, _, unit = quantity.rpartition(", ")
    said = []
    for each in series:
        if each.quantity == quantity:
            (few, first), (many, last) = each.points[0], each.points[-1]
            said.append(
                f"{each.line}: {digits(first)} {unit} at {count(few)} subscribers, "
                f"{digits(last)} {unit} at {count(many)}"
            )
    return f"{name[:1].upper()}{name[1:]}, {'; '.join(said)}"
