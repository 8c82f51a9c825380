"""All that a soak has seen: what soak.json holds, and what pages and verdicts are made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Holdings", "Record", "Sample", "Spread", "Tally", "load", "save"]

FILE = "soak.json"
SERIES = ("warming", "samples")
PLACES = 6
"""Decimals of a second that are kept."""

Spread = dict[str, float]
"""Times in seconds, as `count`, `p50`, `p99` and `worst`."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a server holds that it might forget to let go of."""

    tasks: int
    files: int
    resident: int
    """Bytes."""
    connections: int
    audiences: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment, and in the seconds before it."""

    at: float
    """Seconds since the run began, or the warm-up."""
    holdings: Holdings
    server_cpu: float
    """The part of a processor that the server used since the last sample."""
    clients_cpu: float
    """The same of swarms and canaries together, without the attacker."""
    attacks: list[str]
    """Which were on since the last sample."""
    canaries: dict[str, dict[str, Spread]]
    """By protocol: how long its streams took to open (`opened`), and its events (`delays`)."""


@dataclass(slots=True)
class Tally:
    """What came of all attacks of a kind."""

    name: str
    times: int = 0
    connections: int = 0
    sent: int = 0
    """Bytes."""
    ends: dict[str, int] = field(default_factory=dict)
    """How its connections ended, and how many did."""


@dataclass(slots=True, kw_only=True)
class Record:
    """A run, as far as it has come."""

    seconds: float
    """How long it was to last, and how long its warm-up."""
    warm_up: float
    start: Holdings | None = None
    """Before anybody came; after the warm-up, when all had left; and at the end, when all had."""
    before: Holdings | None = None
    after: Holdings | None = None
    warming: list[Sample] = field(default_factory=list)
    """Samples of the warm-up, and of the run."""
    samples: list[Sample] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    """What honest clients and canaries found wrong, and how often."""
    noticed: list[str] = field(default_factory=list)
    """When such were first seen, and beside which attacks, in sentences."""
    broken: list[str] = field(default_factory=list)
    """Processes that ended as they should not, in sentences."""
    errors: list[str] = field(default_factory=list)
    """What the server logged as an error: a defect that was contained."""
    server: dict[str, Any] = field(default_factory=dict)
    """The server's own statistics at the end."""
    events: int = 0
    """Events that were published to the honest clients."""
    returned: int = 0
    """Streams that came back with their last id."""
    machine: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def save(folder: Path, record: Record, wrong: list[str]) -> None:
    """Write soak.json into a folder; each sample is a line."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"wrong": wrong} | asdict(record)
    series = {name: content.pop(name) for name in SERIES}
    lines = [json.dumps(content, indent=1).removesuffix("\n}")]
    for name, samples in series.items():
        each = ",\n  ".join(json.dumps(_rounded(sample)) for sample in samples)
        lines.append(f' "{name}": [\n  {each}\n ]')
    (folder / FILE).write_text(",\n".join(lines) + "\n}\n")


def load(folder: Path) -> Record | None:
    """Read it again; None if it is of a run that took no samples, as the first ones."""
    content = json.loads((folder / FILE).read_text())
    if "samples" not in content:
        return None
    content.pop("wrong")
    for name in ("start", "before", "after"):
        content[name] = content[name] and Holdings(**content[name])
    for name in SERIES:
        content[name] = [
            Sample(**{**each, "holdings": Holdings(**each["holdings"])}) for each in content[name]
        ]
    content["tallies"] = {name: Tally(**each) for name, each in content["tallies"].items()}
    return Record(**content)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, PLACES)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value
