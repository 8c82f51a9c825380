"""The distributions of a ramp, one line a step: a panel a variant, for steps differ in kind.

What all steps took together would be the latency of no number of clients at all.
"""

from __future__ import annotations

from collections.abc import Callable

from ...charts import Curves, Line, Log, Look, Nines, Panel, Scale
from ...charts.numbers import count, duration
from ..runs import Run
from ..variants import Latencies, Step
from .delays import ON_SCHEDULE, PER_CENT, shares, tail
from .looks import named, told

__all__ = ["cumulative", "percentiles"]

HUES = 8

Points = list[tuple[float, float]]

WAITED = "time since the event was due (logarithmic)"


def cumulative(run: Run) -> Curves | None:
    """Which part of the deliveries of a step was made within which time; None without steps."""
    across = [x for step in _all(run) for x, _ in shares(step.kernel)]
    if not across:
        return None
    return _curves(
        run,
        0.5,
        "half of all deliveries took at most",
        "A curve further left is faster, a steeper one more even.",
        (Log.over(across, duration), WAITED),
        ("deliveries received, % of all", PER_CENT),
        shares,
    )


def percentiles(run: Run) -> Curves | None:
    """The slow end of each step; None without steps."""
    steps = _all(run)
    if not steps:
        return None
    most = max(step.kernel.count for step in steps)
    highest = min(max(1 - 1 / most, 0.9), 0.99999)
    up = [y for step in steps for _, y in tail(step.kernel, highest)]
    return _curves(
        run,
        0.99,
        "99 % of all deliveries took at most",
        "At p99, 99 % of the deliveries were made within the time on the left; each further nine "
        "is a step to the right.",
        (Nines(highest), "part of the deliveries, percentile"),
        (WAITED, Log.over(up, duration)),
        lambda known: tail(known, highest),
    )


def _all(run: Run) -> list[Step]:
    return [step for variant in run.measured for step in variant.steps if step.kernel]


def _curves(
    run: Run,
    part: float,
    said: str,
    read: str,
    across: tuple[Scale, str],
    up: tuple[str, Scale],
    points: Callable[[Latencies], Points],
) -> Curves:
    shown = {v: [step for step in v.steps if step.kernel] for v in run.measured}
    shown = {variant: steps for variant, steps in shown.items() if steps}
    sizes = sorted({step.users for steps in shown.values() for step in steps})
    title = told(
        {variant: steps[-1].kernel.at(part) for variant, steps in shown.items()},
        duration,
        alone=f"With {count(sizes[-1])} clients, {said} {{low}}",
        several=f"With {count(sizes[-1])} clients, {said} {{low}} with {{first}}, {{high}} with "
        "{last}",
        alike=f"With {count(sizes[-1])} clients, {said} {{low}} with every variant",
        unlike=f"With {{few}} clients, {said} {{low}} with {{first}}; with {{many}}, {{high}} with "
        "{last}",
        clients={variant: float(steps[-1].users) for variant, steps in shown.items()},
    )
    caption, scale = up
    panels = [
        Panel(
            caption if len(run.variants) == 1 else f"{named(variant)}: {caption}",
            scale,
            [
                Line(f"{count(step.users)} clients", points(step.kernel), _look(sizes, step))
                for step in steps
            ],
            200,
        )
        for variant, steps in shown.items()
    ]
    return Curves(
        title,
        f"{ON_SCHEDULE}, a line for each step of the ramp. {read}",
        across[0],
        across[1],
        panels,
        named_at_ends=False,
    )


def _look(sizes: list[int], step: Step) -> Look:
    number = sizes.index(step.users)
    return Look(number % HUES, dashed=number >= HUES)
