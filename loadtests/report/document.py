"""A report as parts in their order, whatever they are written in afterwards.

What was found comes first, in words, then what is not to be believed of it; how it was measured
comes after the charts. Of a run to which something was done, the timelines are the first charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..charts import Chart
from ..charts.numbers import count, duration
from . import pictures
from .findings import findings
from .judging import Verdict, doubts, failures, outcome, sentence, verdict
from .runs import Run
from .tables import Table, distributions, ramp, settings, summary, traffic
from .variants import Variant

__all__ = ["Code", "Document", "Figure", "Fold", "Heading", "Items", "Part", "Prose", "report"]


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section."""

    words: str


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph; one that warns is set off."""

    words: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list; each item may begin with words that stand out."""

    items: Sequence[tuple[str, str]]
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """What one types."""

    words: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and what its file is called."""

    file: str
    chart: Chart


@dataclass(frozen=True, slots=True)
class Fold:
    """What only some want to see, behind a line that says what it is."""

    words: str
    parts: Sequence[Part]


FEW = 2
"""Timelines up to which all are shown without being asked for."""

MANY = 10
"""Distributions from which on they are shown when asked for."""

Part = Heading | Prose | Items | Code | Figure | Fold | Table


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a line below it, a sentence on how it ended, and the rest."""

    title: str
    line: str
    outcome: str
    sound: bool
    parts: Sequence[Part]


def report(run: Run) -> Document:
    """Put a run into words, tables and charts."""
    parts: list[Part] = [Items([("", words) for words in findings(run)])]
    parts += [*_warnings(run), *_summary(run)]
    drawn = [Figure(f"{picture.name}.svg", picture.chart) for picture in pictures.first(run)]
    charts: list[Part] = [Heading("What was measured"), *drawn] if drawn else []
    seconds = _seconds(run)
    parts += [*seconds, *charts] if pictures.disturbed(run) else [*charts, *seconds]
    steps = ramp(run)
    if steps:
        parts += [Heading("The steps of the ramp"), steps]
    parts += [*_distributions(run), *_how(run)]
    ended = {verdict(variant) for variant in run.variants}
    return Document(
        run.title,
        f"{run.scenario}, {run.date}, commit {run.machine.get('commit', 'unknown')}",
        outcome(run),
        ended == {Verdict.PASSED},
        parts,
    )


def _warnings(run: Run) -> list[Part]:
    said: list[tuple[str, str]] = []
    for variant in run.variants:
        if variant.skipped is not None:
            said.append((f"{variant.name}: skipped.", sentence(variant.skipped)))
        if failed := failures(variant):
            said.append((f"{variant.name}: failed.", " ".join(failed)))
    for variant in run.variants:
        if doubtful := doubts(variant):
            said.append((f"{variant.name}:", " ".join(doubtful)))
    said += [("The machine:", words) for words in run.warnings]
    if not said:
        return []
    return [Heading("Before you believe these figures"), Items(said, warns=True)]


def _summary(run: Run) -> list[Part]:
    told = "Latency is from when an event was due to its receipt by the client's kernel"
    if any(variant.largest for variant in run.measured):
        told += "; latency and CPU are those of the largest step"
    return [Heading("In figures"), summary(run), Prose(f"{told}.")]


def _distributions(run: Run) -> list[Part]:
    known = distributions(run)
    if known is None:
        return []
    told = Prose(
        "Read from histograms with three digits that were kept by each client process and merged, "
        "never averaged. Latency counts from when an event was due."
    )
    heading = Heading("All distributions")
    if len(known.rows) > MANY:
        return [heading, told, Fold(f"{len(known.rows)} distributions", [known])]
    return [heading, told, known]


def _seconds(run: Run) -> list[Part]:
    timelines = [Figure(f"{picture.name}.svg", picture.chart) for picture in pictures.later(run)]
    if not timelines:
        return []
    heading = Heading("Second by second")
    if len(timelines) <= FEW:
        return [heading, *timelines]
    told = "of a variant: connections, events, errors, the server's CPU and memory"
    return [
        heading,
        Prose("The same run as a timeline, one for each variant."),
        Fold(f"{len(timelines)} timelines, each {told}", timelines),
    ]


def _how(run: Run) -> list[Part]:
    parts: list[Part] = [
        Heading("How it was measured"),
        Prose(
            "Each event carries the time at which it was due. A client takes the kernel's time of "
            "receipt (SO_TIMESTAMPNS), so that a client busy with ten thousand others does not "
            "blame the server; the time at which the client program read it is given beside it, "
            "as the application's. An event that was published late counts from when it was due. "
            "Server and clients share this machine and its clock. Every client checks order, "
            "loss, repetition and content of every event."
        ),
        Code(run.command),
    ]
    for variant in run.measured:
        if told := _offered(variant):
            parts.append(Prose(f"{variant.name}: {told}"))
    if rows := traffic(run):
        parts.append(rows)
    if rows := settings(run):
        parts.append(Fold("Settings of each variant", [rows]))
    parts += [
        Heading("What it was measured on"),
        Table(("", ""), [[name, value] for name, value in run.machine.items()]),
    ]
    return parts


def _offered(variant: Variant) -> str:
    measured = variant.measured
    said = [f"{count(variant.users)} clients"]
    streams = measured.get("streams_per_connection")
    if variant.protocol == "http2" and streams:
        said[0] += f", {count(streams)} streams a connection"
    if variant.rate:
        said.append(
            f"{variant.rate:g} events a second of {count(measured.get('event_bytes') or 0)} bytes"
        )
    if variant.seconds > 0:
        said.append(f"measured for {duration(variant.seconds * 1e6)}")
    processes = variant.cost("processes")
    if processes:
        said.append(
            "one server process" if processes == 1 else f"{count(processes)} server processes"
        )
    busy = [busy for _, _, busy in measured.get("client_cpu") or ()]
    if busy:
        crowd = "one client process" if len(busy) == 1 else f"{count(len(busy))} client processes"
        said.append(f"{crowd}, the busiest at {max(busy) * 100:.0f} % CPU")
    return "; ".join(said) + "."
