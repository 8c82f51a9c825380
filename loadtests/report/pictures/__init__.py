"""Which charts a run deserves, in the order in which a reader wants them.

    looks     which colour and dash a variant has in every chart of its run; sentences over variants
    completions   when an event had reached its first, its median and its last client
    delays    how long deliveries took, all together; connecting; recovering
    growth    the same against the number of clients
    steps     how long deliveries took in each step of a ramp
    costs     what a delivery and a subscriber cost the server, and what was delivered
    seconds   the run second by second

Every chart says in its title what it shows, with figures, and below it how to read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...charts import Chart
from ..runs import Run
from . import actions, completions, costs, delays, growth, seconds, steps

__all__ = ["Picture", "disturbed", "first", "later"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and what its file is called, without its ending."""

    name: str
    chart: Chart


def first(run: Run) -> list[Picture]:
    """Return the charts that compare the variants, or say the most of the only one."""
    ramp = any(variant.steps for variant in run.measured)
    several = len(run.variants) > 1
    drawn: Iterator[tuple[str, Chart | None]] = iter(
        (
            ("growth", growth.growth(run)),
            ("completion", completions.completion(run)),
            ("recovery", delays.recovery(run)),
            ("latency-cdf", steps.cumulative(run) if ramp else delays.cumulative(run)),
            ("latency-percentiles", steps.percentiles(run) if ramp else delays.percentiles(run)),
            # One bar is no comparison; its figure is among the findings.
            ("cpu", costs.cpu(run) if several and not ramp else None),
            ("throughput", costs.throughput(run) if several and not ramp else None),
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


def disturbed(run: Run) -> bool:
    """Tell whether something was done to the run while it went on: its timeline comes first."""
    return any(actions.marks(variant, short=True) for variant in run.measured if not variant.steps)
