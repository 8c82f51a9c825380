"""When an event was complete: the first, the median and the last client that had it."""

from __future__ import annotations

from statistics import median

from ...charts import Curves, Line, Linear, Log, Look, Panel, Point, Span, Spans
from ...charts.numbers import digits, duration
from ..runs import Run
from ..variants import Event, Variant
from .actions import marks
from .looks import crowd, looks, named, reason, told

__all__ = ["completion", "events"]

MANY = 3
"""Panels from which on each is low."""


def completion(run: Run) -> Spans | None:
    """A row a variant: medians over its events; None for a ramp, whose events differ in kind."""
    lasts = {v: v.last_client for v in run.measured if v.last_client is not None and not v.steps}
    if not lasts:
        return None
    title = told(
        lasts,
        duration,
        alone=f"The last of {crowd(run)} clients was served {{low}} after an event was due "
        "(median)",
        several="The last client was served {low} after an event was due with {first}, {high} "
        "with {last} (medians)",
        alike="The last client was served {low} after an event was due with every variant "
        "(medians)",
    )
    spans = [
        Span(named(variant), _points(variant.events), look)
        if variant.events
        else Span(variant.name, (), look, reason(variant), warn=True)
        for variant, look in looks(run).items()
    ]
    return Spans(
        title,
        f"Medians over the events; {crowd(run)} clients. Counted from when an event was due to "
        "its receipt by the clients' kernel, and at last by the slowest client's program.",
        Log.over([p.value for span in spans for p in span.points], duration),
        "time since the event was due (logarithmic)",
        spans,
    )


def _points(events: tuple[Event, ...]) -> list[Point]:
    values = {
        "first client": median(event.first for event in events),
        "median client": median(event.median for event in events),
        "last client": median(event.last for event in events),
        "last application": median(event.last_application for event in events),
    }
    return [Point(name, value, duration(value)) for name, value in values.items()]


def events(run: Run) -> Curves | None:
    """A panel a variant: each of its events over the time at which it was due."""
    shown = [variant for variant in run.measured if len(variant.events) > 1]
    if not shown:
        return None
    title = told(
        {v: max(event.last for event in v.events) for v in shown},
        duration,
        alone="No event took longer than {low} to reach its last client",
        several="The slowest event reached its last client after {low} with {first}, after {high} "
        "with {last}",
        alike="The slowest event reached its last client after {low} with every variant",
    )
    done = [marks(variant, short=True) for variant in shown]
    # One axis for all panels, so that they can be compared.
    times = [t for v in shown for e in v.events for t in (e.first, e.median, e.last)]
    scale = Log.over(times, duration)
    begins, ends = zip(*((_dues(v)[0], _dues(v)[-1]) for v in shown), strict=True)
    alone = len(run.variants) == 1
    panels = [
        Panel(
            "time since the event was due (logarithmic)"
            if alone
            else f"{named(variant)}: time since the event was due (logarithmic)",
            scale,
            [
                Line(name, list(zip(_dues(variant), values, strict=True)), look)
                for name, values, look in (
                    ("first client", [event.first for event in variant.events], Look(2)),
                    ("median client", [event.median for event in variant.events], Look(3)),
                    ("last client", [event.last for event in variant.events], Look(1)),
                )
            ],
            200 if len(shown) < MANY else 110,
        )
        for variant in shown
    ]
    return Curves(
        title,
        "Each event in the order in which they were due, and when its first, its median and its "
        "last client had it in the kernel. Rising lines mean that the server falls behind.",
        Linear(max(ends) + 1e-3, digits, min(0.0, *begins)),
        "time at which the event was due, in seconds since measuring began",
        panels,
        done[0] if all(each == done[0] for each in done) else (),
        named_at_ends=len(shown) < MANY,
    )


def _dues(variant: Variant) -> list[float]:
    return [event.due - variant.begin for event in variant.events]
