"""The plot of a soak: memory, tasks and connections, and the canaries' waiting, along the run.

A run is cut into as many pieces as can be told apart on a page. Of what is held, the highest
sample of a piece is drawn, and of what the canaries waited the median one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from ..charts import Curves, Line, Linear, Log, Look, Panel
from ..charts.numbers import count, digits
from ..charts.scales import whole
from .judging import opening
from .record import Record, Sample

__all__ = ["extent", "plot"]

PIECES = 120
MIB = 1 << 20
CANARY_HUES = (3, 1)

Read = Callable[[Sample], float]


def extent(record: Record) -> tuple[str, str]:
    """Say how long a run was to last, and how many attacks were made."""
    attacks = sum(tally.times for tally in record.tallies.values())
    return _counted(record.seconds / 60, "minute"), _counted(attacks, "attack")


def _counted(number: float, what: str) -> str:
    return f"{number:,g} {what}{'' if number == 1 else 's'}"


def plot(record: Record) -> Curves:
    """Return the chart of a run, whose samples are at least two."""
    run = record.samples
    pieces = _cut(run)
    memory = [_line("memory", pieces, lambda s: s.holdings.resident / MIB, max, Look(0))]
    if record.before is not None:
        level = record.before.resident / MIB
        ends = [(line_end, level) for line_end in (0.0, run[-1].at / 60)]
        memory.append(Line("after warm-up", ends, Look(0, faint=True)))
    held = [
        _line("tasks", pieces, lambda s: s.holdings.tasks, max, Look(2)),
        _line("connections", pieces, lambda s: s.holdings.connections, max, Look(0)),
    ]
    waited = [
        _line(f"{name}, {figure}", pieces, opening(name, figure), median, Look(hue, faint=faint))
        for name, hue in zip(run[0].canaries, CANARY_HUES, strict=False)
        for figure, faint in (("p99", False), ("p50", True))
    ]
    panels = [
        Panel("resident memory of the server, MiB", _linear(memory), memory, 150),
        Panel("tasks and connections of the server", _linear(held, step=True), held, 150),
        Panel(
            "a new stream of the canary opened after, ms (logarithmic)",
            Log.over([value for line in waited for _, value in line.points], digits),
            waited,
            190,
        ),
    ]
    return Curves(
        _title(record),
        "Clients come, stall and leave all the time, beside one attack after the other. Of each "
        f"{_seconds(pieces)} s: the most memory, tasks and connections in any sample, and the "
        "median of what the samples say that a canary waited. The dotted line beside memory is "
        "what it was after the warm-up, when all had left.",
        Linear(run[-1].at / 60, digits),
        "minutes since the warm-up was over",
        panels,
    )


def _title(record: Record) -> str:
    start, before, after = record.start, record.before, record.after
    told = " beside ".join(extent(record))
    if start is None or before is None or after is None:
        return f"{told}, but the run did not come to its end"
    kept = "nothing" if (start.tasks, start.files) == (after.tasks, after.files) else "something"
    return (
        f"{told}: memory was {before.resident / MIB:.0f} MiB after the warm-up and "
        f"{after.resident / MIB:.0f} MiB at the end, and {kept} was left behind"
    )


def _cut(run: Sequence[Sample]) -> list[Sequence[Sample]]:
    size = -(-len(run) // PIECES)
    return [run[start : start + size] for start in range(0, len(run), size)]


def _seconds(pieces: Sequence[Sequence[Sample]]) -> str:
    return f"{(pieces[-1][-1].at - pieces[0][0].at) / len(pieces):.0f}"


def _line(
    name: str,
    pieces: Iterable[Sequence[Sample]],
    read: Read,
    chosen: Callable[[Iterable[float]], float],
    look: Look,
) -> Line:
    points = [(piece[-1].at / 60, chosen(map(read, piece))) for piece in pieces]
    return Line(name, points, look)


def _linear(lines: Sequence[Line], *, step: bool = False) -> Linear:
    values = [value for line in lines for _, value in line.points]
    return Linear.over(values, count, whole) if step else Linear.over(values, digits)
