"""What came out of a run: the file that is written, what is said, and whether it went well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from .seam import Content
from .settings import Settings
from .timeline import Row, timeline

__all__ = ["Outcome", "Step"]

SUMS = ("deliveries", "expected", "bytes", "reads", "piled_reads")
LAST = ("faults", "examples", "connect", "first_event", "recovery")
"""What processes count from the start on: the last step has them all."""

EXAMPLES_SAID = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured with a number of users; times in ns since the epoch."""

    users: int
    connected: int
    begin: int
    end: int
    measured: Content
    """As loadtests/swarm merges it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A whole run."""

    settings: Settings
    start: float
    end: float
    steps: Sequence[Step]
    connected: int
    rows: Sequence[Sequence[Row]]
    published: Content | None
    cpu: Sequence[Sequence[float]]

    @property
    def measured(self) -> Content:
        """All steps as one."""
        parts = [step.measured for step in self.steps]
        return (
            {name: sum(part[name] for part in parts) for name in SUMS}
            | {name: parts[-1][name] for name in LAST}
            | {
                "events": [event for part in parts for event in part["events"]],
                "latency": {
                    kind: _added([part["latency"][kind] for part in parts])
                    for kind in ("kernel", "application")
                },
            }
        )

    def content(self) -> Content:
        """Return what is written to the file."""
        settings = self.settings
        return {
            "start": self.start,
            "measured_from": self.steps[0].begin / 1e9,
            "measured_to": self.steps[-1].end / 1e9,
            "users": self.steps[-1].users,
            "connected": self.connected,
            "streams_per_connection": settings.streams,
            "rate": settings.rate,
            "event_bytes": settings.event_bytes,
            **self.measured,
            "timeline": timeline(self.rows, self.start, self.end),
            "steps": [_step(step) for step in self.steps] if settings.is_ramp else None,
            "publisher": self._publisher(),
            "client_cpu": list(self.cpu),
        }

    def write(self) -> None:
        """Write the file, if one is wanted."""
        if self.settings.output:
            path = Path(self.settings.output)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.content()))

    def problems(self) -> list[str]:
        """Return what went wrong, in sentences."""
        found = []
        users = self.steps[-1].users
        if self.connected < users:
            found.append(f"{self.connected:,} of {users:,} clients are connected")
        found += [
            f"{step.connected:,} of {step.users:,} clients were connected when measuring began"
            for step in self.steps[:-1]
            if step.connected < step.users
        ]
        measured = self.measured
        if faults := self.settings.faults(measured["faults"]):
            listed = ", ".join(f"{count:,} {fault}" for fault, count in faults.items())
            found.append(f"events went wrong: {listed}")
            found += measured["examples"][:EXAMPLES_SAID]
        missing = measured["expected"] - measured["deliveries"]
        if missing > 0 and not self.settings.expect_gap:
            found.append(f"{missing:,} of {measured['expected']:,} deliveries are missing")
        if errors := self._publisher()["errors"]:
            reasons = ", ".join((self.published or {}).get("refused", ())) or "no hub took them"
            found.append(f"{errors:,} events could not be published: {reasons}")
        return found

    def summary(self) -> list[str]:
        """Return what a person wants to know first, in lines."""
        measured = self.measured
        lines = [
            f"{measured['deliveries']:,} of {measured['expected']:,} deliveries to "
            f"{self.connected:,} of {self.steps[-1].users:,} clients"
        ]
        for kind, encoded in measured["latency"].items():
            if encoded and (histogram := HdrHistogram.decode(encoded)).get_total_count():
                values = [histogram.get_value_at_percentile(p) / 1000 for p in (50, 99, 100)]
                lines.append(
                    "{}: p50 {:,.1f} ms, p99 {:,.1f} ms, max {:,.1f} ms".format(kind, *values)
                )
        return lines

    def _publisher(self) -> dict[str, int]:
        said = self.published or {"published": 0, "late_max_us": 0, "refused": {}, "waiting": 0}
        return {
            "published": said["published"],
            "late_max_us": said["late_max_us"],
            "errors": sum(said["refused"].values()) + said["waiting"],
        }


def _step(step: Step) -> Content:
    return {
        "users": step.users,
        "from": step.begin / 1e9,
        "to": step.end / 1e9,
        "latency": {"kernel": step.measured["latency"]["kernel"]},
        "events": step.measured["events"],
    }


def _added(encoded: Sequence[Any]) -> str | None:
    """Add encoded histograms to one: exact, for all have the same buckets."""
    present = [each for each in encoded if each]
    if not present:
        return None
    total = HdrHistogram.decode(present[0])
    for other in present[1:]:
        total.add(HdrHistogram.decode(other))
    return str(total.encode().decode())
