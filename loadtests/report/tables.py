"""The figures of a run as rows of text, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..charts.numbers import count, digits, duration, part, size
from .judging import verdict
from .runs import Run
from .variants import Latencies, Variant

__all__ = ["Table", "distributions", "ramp", "settings", "summary", "traffic"]

NONE = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """A head and rows; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def summary(run: Run) -> Table:
    """One row a variant: what a reader wants to know first; of a ramp, its largest step.

    Columns in which no variant has a figure are left out.
    """
    head = (
        "variant",
        "clients",
        "deliveries",
        "p50",
        "p99",
        "max",
        "last client, median",
        "CPU a delivery",
        "memory a subscriber",
        "and in the kernel",
        "outcome",
    )
    rows = [_summary_row(variant) for variant in run.variants]
    kept = [n for n in range(len(head)) if any(row[n] not in (NONE, "0") for row in rows)]
    return Table([head[n] for n in kept], [[row[n] for n in kept] for row in rows])


def _summary_row(variant: Variant) -> list[str]:
    if variant.raw is None:
        return [variant.name, count(variant.users), *[NONE] * 8, verdict(variant).value]
    step = variant.largest
    kernel = step.kernel if step else variant.kernel
    last, cpu = variant.last_client, variant.cpu_a_delivery
    faults = [f"{count(number)} {name}" for name, number in variant.faults.items()]
    return [
        variant.name,
        count(variant.measured.get("connected", variant.users)),
        count(variant.deliveries),
        duration(kernel.at(0.5)) if kernel else NONE,
        duration(kernel.at(0.99)) if kernel else NONE,
        duration(kernel.highest) if kernel else NONE,
        duration(last) if last is not None else NONE,
        f"{digits(cpu)} µs" if cpu is not None else NONE,
        _size(variant.cost("rss_per_subscriber")),
        _size(variant.cost("kernel_per_subscriber")),
        ": ".join([verdict(variant).value, *[", ".join(faults)][: len(faults)]]),
    ]


def _size(octets: float | None) -> str:
    return NONE if octets is None else size(octets)


def distributions(run: Run) -> Table | None:
    """Every distribution in full, for those who want the digits; None if there is not one."""
    rows = []
    for variant in run.measured:
        for name, found in (
            ("latency, kernel", variant.kernel),
            ("latency, application", variant.application),
            ("connecting", variant.distribution("connect")),
            ("first event", variant.distribution("first_event")),
            ("recovery", variant.distribution("recovery")),
        ):
            if found:
                rows.append([variant.name, name, count(found.count), *_percentiles(found)])
    head = ("variant", "what", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max")
    return Table(head, rows) if rows else None


def _percentiles(found: Latencies) -> list[str]:
    written = [
        # Of fewer than a thousand, the last thousandth is not known.
        duration(found.at(p)) if round(found.count * (1 - p), 6) >= 1 else NONE
        for p in (0.5, 0.9, 0.99, 0.999, 0.9999)
    ]
    return [*written, duration(found.highest)]


def traffic(run: Run) -> Table | None:
    """What went over the wire, one row a variant; None if nothing was measured."""
    rows = []
    for variant in run.measured:
        measured, seconds = variant.measured, variant.seconds
        connected = variant.connected_after
        published = (measured.get("publisher") or {}).get("published")
        reads, piled = measured.get("reads") or 0, measured.get("piled_reads") or 0
        rows.append(
            [
                variant.name,
                count(variant.users / connected) if connected else NONE,
                count(len(variant.events) if published is None else published),
                count(variant.deliveries / seconds) if seconds > 0 else NONE,
                f"{size((measured.get('bytes') or 0) / seconds)}" if seconds > 0 else NONE,
                count(reads),
                part(piled / reads) if reads else NONE,
            ]
        )
    head = ("variant", "clients connected a second", "events published")
    over = ("deliveries a second", "bytes a second", "reads", "reads with several events")
    return Table((*head, *over), rows) if rows else None


def ramp(run: Run) -> Table | None:
    """One row a step of a ramp; None if there was none."""
    rows = []
    for variant in run.measured:
        for step in variant.steps:
            lasts = sorted(event.last for event in step.events)
            known = step.kernel
            rows.append(
                [
                    variant.name,
                    count(step.users),
                    count(len(step.events)),
                    duration(known.at(0.5)) if known else NONE,
                    duration(known.at(0.99)) if known else NONE,
                    duration(known.highest) if known else NONE,
                    duration(lasts[len(lasts) // 2]) if lasts else NONE,
                    _busy(variant, step.begin, step.end),
                ]
            )
    head = ("variant", "clients", "events", "p50", "p99", "max", "last client, median")
    return Table((*head, "server busy"), rows) if rows else None


def _busy(variant: Variant, begin: float, end: float) -> str:
    used = variant.cpu_between(begin, end)
    return NONE if used is None or end <= begin else f"{part(used / (end - begin))}"


def settings(run: Run) -> Table | None:
    """What each variant was run with; None if nothing was written down."""
    rows = [
        [variant.name, ", ".join(f"{name} {value}" for name, value in variant.settings.items())]
        for variant in run.variants
        if variant.settings
    ]
    return Table(("variant", "settings"), rows) if rows else None
