"""The headlines of a run in words, before any table or chart.

Of one variant, what its charts say in their titles. Of several, the protocols side by side for
each server, and each other server beside the first; failed variants are compared with nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..charts import Chart
from ..charts.numbers import digits, duration
from .judging import Verdict, verdict
from .pictures import completions, costs, delays, disturbed, growth, seconds, steps
from .pictures.looks import spoken
from .runs import Run
from .variants import Variant

__all__ = ["findings"]

PROTOCOLS = {"http1": "HTTP/1.1", "http2": "HTTP/2"}


def findings(run: Run) -> list[str]:
    """Return them as sentences."""
    return [*_titles(run), *_protocols(run), *_servers(run)]


def _titles(run: Run) -> Iterator[str]:
    several = len(run.variants) > 1
    first = [seconds.timeline(run, variant) for variant in run.measured if disturbed(run)]
    charts: list[Chart | None] = [
        *first,
        growth.growth(run),
        completions.completion(run),
        delays.recovery(run),
        steps.percentiles(run),
    ]
    if not several:
        ramp = growth.growth(run) is not None
        charts += [
            None if ramp else delays.cumulative(run),
            costs.cpu(run),
            None if ramp else costs.throughput(run),
        ]
    charts.append(costs.memory(run))
    return (f"{chart.title}." for chart in charts if chart is not None)


def _sound(run: Run) -> list[Variant]:
    kept = (Verdict.PASSED, Verdict.SPOILT)
    return [variant for variant in run.measured if verdict(variant) in kept]


def _protocols(run: Run) -> Iterator[str]:
    """HTTP/2 beside HTTP/1.1 of the same server."""
    for one in _sound(run):
        for other in _sound(run):
            if (
                (one.server, one.tls) == (other.server, other.tls)
                and (one.protocol, other.protocol) == ("http1", "http2")
                and (said := _compared(other, one))
            ):
                yield f"{spoken(other)} beside {PROTOCOLS[one.protocol]}: {said}."


def _servers(run: Run) -> Iterator[str]:
    """Other servers beside the first, with the same protocol and the same encryption."""
    for one in _sound(run):
        if one.server != run.variants[0].server:
            continue
        for other in _sound(run):
            if (
                other.server != one.server
                and (one.protocol, one.tls) == (other.protocol, other.tls)
                and (said := _compared(other, one))
            ):
                yield f"{spoken(other)} beside {one.server}: {said}."


def _compared(one: Variant, other: Variant) -> str:
    said = []
    if one.last_client and other.last_client:
        said.append(
            f"the last client was served after {duration(one.last_client)}, not "
            f"{duration(other.last_client)}: "
            f"{_ratio(one.last_client, other.last_client, ('faster', 'as fast', 'slower'))}"
        )
    mine, theirs = one.cpu_a_delivery, other.cpu_a_delivery
    if mine and theirs:
        said.append(
            f"a delivery cost {digits(mine)} µs of CPU, not {digits(theirs)} µs: "
            f"{_ratio(mine, theirs, ('cheaper', 'as cheap', 'dearer'))}"
        )
    return "; ".join(said)


def _ratio(one: float, other: float, words: tuple[str, str, str]) -> str:
    """Say which is less, and how many times."""
    times = digits(max(one, other) / min(one, other))
    if times == "1.00":
        return words[1]
    return f"{times} times {words[0] if one < other else words[2]}"
