"""What it cost the server, and what came of it: bars for the variants, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...charts import Bar, Bars
from ...charts.numbers import count, digits, size
from ..runs import Run
from ..variants import Variant
from .looks import crowd, looks, named, reason, sound, told

__all__ = ["cpu", "memory", "throughput"]

SAME = 1.02
"""Rates that differ by less than this factor are the same."""


def cpu(run: Run) -> Bars | None:
    """CPU a delivery."""
    found = {
        variant: (value,)
        for variant in run.measured
        if (value := variant.cpu_a_delivery) is not None
    }
    if not found:
        return None
    title = told(
        {variant: parts[0] for variant, parts in found.items()},
        _microseconds,
        alone="A delivery cost the server {low} of CPU",
        several="A delivery cost the server {low} of CPU with {first}, {high} with {last}",
        alike="A delivery cost the server {low} of CPU with every variant",
    )
    return Bars(
        title,
        "All CPU time of all server processes while measuring, user and system, by the operating "
        "system's accounting, divided by the events that clients received. µs; shorter is better.",
        _bars(run, found, lambda parts: _microseconds(parts[0])),
    )


def throughput(run: Run) -> Bars | None:
    """Deliveries a second."""
    found = {
        variant: (variant.deliveries / variant.seconds,)
        for variant in run.measured
        if variant.deliveries and variant.seconds > 0
    }
    if not found:
        return None
    figures = {variant: parts[0] for variant, parts in found.items()}
    several = "{high} events a second were delivered by {last}, {low} by {first}"
    alike = "All variants delivered {high} events a second: what was offered"
    rates = sound(figures).values()
    if max(rates) <= min(rates) * SAME:
        several = alike
    title = told(
        figures,
        count,
        alone="{low} events a second were delivered",
        several=several,
        alike=alike,
    )
    return Bars(
        title,
        f"Events received by all of {crowd(run)} clients together, a second, over the time of "
        "measuring. The load is offered on schedule: this shows who kept up, not who could more.",
        _bars(run, found, lambda parts: f"{count(parts[0])} a second"),
    )


def memory(run: Run) -> Bars | None:
    """Memory a subscriber: resident, and in the kernel."""
    found = {}
    for variant in run.measured:
        resident = variant.cost("rss_per_subscriber")
        kernel = variant.cost("kernel_per_subscriber")
        if resident is not None:
            found[variant] = (resident,) if kernel is None else (resident, kernel)
    if not found:
        return None
    title = told(
        {variant: sum(parts) for variant, parts in found.items()},
        size,
        alone="A subscriber took {low} of memory, the kernel's share included",
        several="A subscriber took {low} of memory with {first}, {high} with {last}",
        alike="A subscriber took {low} of memory with every variant",
    )
    return Bars(
        title,
        "What each of the clients added. Solid: resident memory of the server's processes. Light: "
        "the kernel's, slab and socket buffers, for both ends of the connections as client and "
        "server are on one machine.",
        _bars(run, found, _memory),
    )


def _memory(parts: tuple[float, ...]) -> str:
    if len(parts) == 1:
        return size(parts[0])
    return f"{size(parts[0])} + {size(parts[1])} kernel"


def _microseconds(value: float) -> str:
    return f"{digits(value)} µs"


def _bars(
    run: Run,
    found: Mapping[Variant, tuple[float, ...]],
    written: Callable[[tuple[float, ...]], str],
) -> list[Bar]:
    return [
        Bar(named(variant), found[variant], written(found[variant]), look)
        if variant in found
        else Bar(variant.name, (), reason(variant), look, warn=True)
        for variant, look in looks(run).items()
    ]
