"""How long deliveries took, all of them together, and how long other things made clients wait.

The kernel's time of receipt is the headline; the client program's own is drawn beside it, thin,
where the lines stay few enough to be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from ...charts import Curves, Line, Linear, Log, Nines, Panel, Point, Span, Spans
from ...charts.numbers import count, duration
from ..runs import Run
from ..variants import Latencies, Variant
from .looks import looks, named, reason, told

__all__ = [
    "ON_SCHEDULE",
    "PER_CENT",
    "connecting",
    "cumulative",
    "percentiles",
    "recovery",
    "shares",
    "tail",
]

WITH_APPLICATION = 3
"""Variants up to which application times are drawn too."""

ON_SCHEDULE = "From when an event was due, late or not, to its receipt by the client's kernel"

PER_CENT = Linear(1.0, lambda value: f"{value * 100:.0f} %")

SHARES = (*(n / 100 for n in range(1, 100)), 0.995, 0.999, 0.9999, 1.0)

STEPS_A_NINE = 8

Measured = Mapping[Variant, Latencies]


def cumulative(run: Run) -> Curves | None:
    """Which part of the deliveries was made within which time."""
    found = _kernel(run)
    if not found:
        return None
    slower = duration(max(known.at(0.99) for known in found.values()))
    title = told(
        {variant: known.at(0.5) for variant, known in found.items()},
        duration,
        alone=f"Half of all deliveries took at most {{low}}, 99 % at most {slower}",
        several="Half of all deliveries took at most {low} with {first}, {high} with {last}",
        alike="Half of all deliveries took at most {low} with every variant",
    )
    return _cumulative(
        run,
        found,
        title,
        f"{ON_SCHEDULE}. A curve further left is faster, a steeper one more even.",
        "deliveries received, % of all",
        "time since the event was due (logarithmic)",
    )


def recovery(run: Run) -> Curves | None:
    """How long clients needed from being dropped until they had caught up."""
    found = _distributions(run, "recovery")
    if not found:
        return None
    clients = count(max(known.count for known in found.values()))
    title = told(
        {variant: known.highest for variant, known in found.items()},
        duration,
        alone=f"All of {clients} clients that fell behind had caught up after {{low}}",
        several=f"All of {clients} clients that fell behind had caught up after {{low}} with "
        "{first}, after {high} with {last}",
        alike=f"All of {clients} clients that fell behind had caught up after {{low}} with every "
        "variant",
        unlike="All of {few} clients that fell behind had caught up after {low} with {first}, of "
        "{many} after {high} with {last}",
        clients={variant: float(known.count) for variant, known in found.items()},
    )
    return _cumulative(
        run,
        found,
        title,
        "From the moment at which a client was cut off, or stopped reading, until it had received "
        "everything it missed. The wait before it connects again, which each client draws for "
        "itself, is part of it.",
        "clients that had caught up, % of those that fell behind",
        "time since the client fell behind (logarithmic)",
    )


def _cumulative(
    run: Run, found: Measured, title: str, subtitle: str, caption: str, across: str
) -> Curves:
    lines = _lines(run, found, shares)
    return Curves(
        title,
        subtitle,
        Log.over([x for line in lines for x, _ in line.points], duration),
        across,
        [Panel(caption, PER_CENT, lines, 240)],
        named_at_ends=False,
    )


def percentiles(run: Run) -> Curves | None:
    """The slow end: how long the slowest tenth, hundredth, thousandth took."""
    found = _kernel(run)
    if not found:
        return None
    slowest = duration(max(known.highest for known in found.values()))
    title = told(
        {variant: known.at(0.99) for variant, known in found.items()},
        duration,
        alone=f"One delivery in a hundred took longer than {{low}}; the slowest of all {slowest}",
        several="One delivery in a hundred took longer than {low} with {first}, than {high} with "
        "{last}",
        alike="One delivery in a hundred took longer than {low} with every variant",
    )
    most = max(known.count for known in found.values())
    highest = min(max(1 - 1 / most, 0.9), 0.99999)
    lines = _lines(run, found, lambda known: tail(known, highest))
    return Curves(
        title,
        f"{ON_SCHEDULE}. At p99, 99 % of the deliveries were made within the time on the left; "
        "each further nine is a step to the right.",
        Nines(highest),
        "part of the deliveries, percentile",
        [
            Panel(
                "time since the event was due (logarithmic)",
                Log.over([y for line in lines for _, y in line.points], duration),
                lines,
                240,
            )
        ],
        named_at_ends=len(found) <= WITH_APPLICATION,
    )


def shares(known: Latencies) -> list[tuple[float, float]]:
    """Return the points of a cumulative distribution: a time, and which part took no longer."""
    return [(known.at(p), p) for p in SHARES]


def tail(known: Latencies, highest: float) -> list[tuple[float, float]]:
    """Return the points of a percentile curve, from the median up to a highest part of 1."""
    # No further than where a single delivery stands for the rest.
    own = min(highest, max(1 - 1 / known.count, 0.5))
    first, last = -math.log10(0.5), -math.log10(1 - own)
    steps = max(1, math.ceil((last - first) * STEPS_A_NINE))
    shares = [1 - 10 ** -(first + (last - first) * n / steps) for n in range(steps + 1)]
    return [(share, known.at(share)) for share in shares]


def connecting(run: Run) -> Spans | None:
    """How long clients waited for the connection, and then for their first event."""
    connects, firsts = (_distributions(run, name) for name in ("connect", "first_event"))
    if not connects:
        return None
    title = told(
        {variant: known.at(0.99) for variant, known in connects.items()},
        duration,
        alone="99 % of the clients were connected within {low}",
        several="99 % of the clients were connected within {low} with {first}, within {high} with "
        "{last}",
        alike="99 % of the clients were connected within {low} with every variant",
    )
    spans = [
        Span(
            named(variant),
            [
                Point(f"{what} {name}", known.at(p), duration(known.at(p)))
                for what, known in (
                    ("connected", connects[variant]),
                    ("first event", firsts.get(variant)),
                )
                if known is not None
                for name, p in (("p50", 0.5), ("p99", 0.99))
            ],
            look,
        )
        if variant in connects
        else Span(variant.name, (), look, reason(variant), warn=True)
        for variant, look in looks(run).items()
    ]
    return Spans(
        title,
        "Connected: from the client's first packet to the head of the response, while all others "
        "connect as well. First event: from that head to the first event a client received.",
        Log.over([p.value for span in spans for p in span.points], duration),
        "time (logarithmic)",
        spans,
    )


def _kernel(run: Run) -> Measured:
    return {variant: variant.kernel for variant in run.measured if variant.kernel}


def _distributions(run: Run, name: str) -> Measured:
    found = {variant: variant.distribution(name) for variant in run.measured}
    return {variant: known for variant, known in found.items() if known}


def _lines(
    run: Run, found: Measured, points: Callable[[Latencies], list[tuple[float, float]]]
) -> list[Line]:
    """Draw each distribution; beside the kernel's, thin, the application's if few are drawn."""
    colours = looks(run)
    beside = {v: v.application for v, known in found.items() if known is v.kernel}
    many = len(found) > WITH_APPLICATION
    alone = len(run.variants) == 1
    lines = []
    for variant, known in found.items():
        application = None if many else beside.get(variant)
        name = named(variant)
        if alone:
            name = "client's kernel" if variant in beside else "clients"
        lines.append(Line(name, points(known), colours[variant]))
        if application:
            name = "client's application" if alone else f"{named(variant)}: application"
            look = replace(colours[variant], faint=True)
            lines.append(Line(name, points(application), look))
    return lines
