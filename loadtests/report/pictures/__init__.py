"""Which charts a run deserves, in the order in which a reader wants them.

    looks     which colour and dash a variant has in every chart of its run; sentences over variants
    completions   when an event had reached its first, its median and its last client
    delays    how long deliveries took, all together; connecting; recovering
    growth    the same against the number of clients
    costs     what a delivery and a subscriber cost the server, and what was delivered
    seconds   the run second by second

Every chart says in its title what it shows, with figures, and below it how to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...charts import Chart
from ..runs import Run
from . import completions, costs, delays, growth, seconds

__all__ = ["Picture", "first", "later"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and what its file is called, without its ending."""

    name: str
    chart: Chart


def first(run: Run) -> list[Picture]:
    """Return the charts that compare the variants, or say the most of the only one."""
    drawn: Iterator[tuple[str, Chart | None]] = iter(
        (
            ("growth", growth.growth(run)),
            ("completion", completions.completion(run)),
            ("latency-cdf", delays.cumulative(run)),
            ("latency-percentiles", delays.percentiles(run)),
            ("recovery", delays.recovery(run)),
            ("cpu", costs.cpu(run)),
            ("throughput", costs.throughput(run)),
            ("memory", costs.memory(run)),
            ("connecting", delays.connecting(run)),
            ("events", completions.events(run)),
        )
    )
    return [Picture(name, chart) for name, chart in drawn if chart is not None]


def later(run: Run) -> list[Picture]:
    """Return a timeline of each variant."""
    return [
        Picture(f"timeline-{number}", chart)
        for number, variant in enumerate(run.variants, 1)
        if (chart := seconds.timeline(run, variant)) is not None
    ]
