"""The table of a run: abuse.json with all figures, abuse.md for people."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import machine
from .case import Case
from .measuring import Figures

__all__ = ["Line", "slow", "write", "wrong"]

KINDS_SHOWN = 3
MIB = 1 << 20
MOST_MEMORY = 10 * MIB
"""What an attack may take, and what it may leave, but for those that keep memory."""
SLOW_SECONDS = 0.05
ENDED = "the server's process ended"


@dataclass(frozen=True, slots=True)
class Line:
    """One attack on one server."""

    server: str
    case: Case
    figures: Figures

    def __str__(self) -> str:
        figures = self.figures
        return (
            f"{self.server:9} {self.case.protocol:8} {self.case.name:52.52} {ended(figures):44.44} "
            f"{figures.connections / figures.seconds:5.0f}/s, "
            f"opens p99 {1e3 * figures.opened_p99:6.0f} ms, "
            f"memory + {memory(figures.growth):>5} MiB {faulty(figures)}"
        )


def ended(figures: Figures) -> str:
    """Say how its connections ended, the most frequent ends first."""
    if figures.died:
        return ENDED
    if not figures.ends:
        return "went on until time was over"
    kinds = sorted(figures.ends.items(), key=lambda each: -each[1])
    shown = [f"{end} ({n:,})" for end, n in kinds[:KINDS_SHOWN]]
    return "; ".join(shown) + ("; …" if len(kinds) > KINDS_SHOWN else "")


def faulty(figures: Figures) -> str:
    """Say what the canary found wrong."""
    return ", ".join(f"{count} {fault}" for fault, count in figures.faults.items())


def memory(size: int | None) -> str:
    """Say how many MiB these are, if it is known."""
    return "-" if size is None else f"{size / MIB:.1f}"


def wrong(line: Line) -> list[str]:
    """Say what should not have been, not counting what depends on the machine."""
    name = f"{line.case.protocol}: {line.case.name}"
    found = [f"{name}: the canary: {faulty(line.figures)}"] if line.figures.faults else []
    found += [
        f"{name}: {more} {what} were left" for what, more in line.figures.held.items() if more > 0
    ]
    if line.figures.died:
        found.append(f"{name}: {ENDED}: {line.figures.died}")
    if not line.case.keeps_memory:
        taken = {"taken": line.figures.growth, "left": line.figures.left}
        found += [
            f"{name}: {memory(size)} MiB of memory were {what}"
            for what, size in taken.items()
            if size is not None and size >= MOST_MEMORY
        ]
    for end in line.figures.ends:
        plain = re.sub(r"[0-9,]+ x ", "", end)
        if not any(fnmatch.fnmatch(plain, each) for each in line.case.ends):
            found.append(f"{name}: a connection ended with {end}")
    return found


def slow(line: Line) -> list[str]:
    """Say what took the canary 50 ms or more at p99: a figure, as it depends on the machine."""
    name = f"{line.case.protocol}: {line.case.name}"
    waits = {"streams opened": line.figures.opened_p99, "events came": line.figures.delays_p99}
    return [
        f"{name}: {what} within {1e3 * seconds:.0f} ms (p99)"
        for what, seconds in waits.items()
        if seconds >= SLOW_SECONDS
    ]


def write(folder: Path, lines: Sequence[Line], command: str, warnings: Sequence[str]) -> None:
    """Write both files; `warnings` are what made the figures worse."""
    folder.mkdir(parents=True, exist_ok=True)
    described = machine.describe(command)
    content = {
        "machine": described,
        "warnings": list(warnings),
        "attacks": [
            {
                "server": line.server,
                "protocol": line.case.protocol,
                "name": line.case.name,
                "reference": line.case.reference,
                "wrong": wrong(line) if line.server == "trio-sse" else [],
            }
            | asdict(line.figures)
            for line in lines
        ],
    }
    (folder / "abuse.json").write_text(json.dumps(content, indent=1) + "\n")
    page = ["# Attacks, and what a canary noticed of them", ""]
    page += [f"`{described['command']}`, commit {described['commit']}", "", *HOW_TO_READ, ""]
    page += [each for warning in warnings for each in (f"**{warning}**", "")]
    for server in dict.fromkeys(line.server for line in lines):
        page += [f"## {server}", "", *_table([each for each in lines if each.server == server]), ""]
    page += [f"- {name}: {value}" for name, value in described.items()]
    (folder / "abuse.md").write_text("\n".join(page) + "\n")


HOW_TO_READ = (
    "Each attack goes on for some seconds: one attacker, who comes back as soon as it is sent "
    "away. Meanwhile the canary opens a stream every 50 ms and follows another, to which it "
    "publishes ten events a second. How often a connection ended in which way is in brackets. "
    "Beside attacks on TLS it opens every other stream over TLS.",
    "",
    "Ours runs with its default limits, except that all timeouts are 2 s and that an address may "
    "have 200 connections; Hypercorn with its "
    "default settings and a small ASGI application, for scale. The attacker shares a processor "
    "with the canary, so that a part of what the canary waits is the attacker's doing. CPU is the "
    "server's while the attack went on, the canary's requests included. Where the server's process "
    "ended, neither that nor memory is known: both are the next one's.",
)


def _table(lines: Sequence[Line]) -> list[str]:
    head = (
        "attack",
        "known as",
        "how it ended",
        "connections a s",
        "streams open, p99 ms",
        "worst",
        "events, p99 ms",
        "canary's faults",
        "CPU",
        "sent MiB",
        "memory + MiB",
        "left",
        "tasks, files left",
    )
    rows = [head, ("---",) * len(head)]
    for line in lines:
        figures = line.figures
        rows.append(
            (
                f"{line.case.protocol}: {line.case.name}",
                line.case.reference,
                ended(figures),
                f"{figures.connections / figures.seconds:,.0f}",
                f"{1e3 * figures.opened_p99:.0f}",
                f"{1e3 * figures.opened_worst:.0f}",
                f"{1e3 * figures.delays_p99:.0f}",
                faulty(figures) or "none",
                "-" if figures.cpu is None else f"{100 * figures.cpu / figures.seconds:.0f} %",
                memory(figures.sent),
                memory(figures.growth),
                memory(figures.left),
                ", ".join(str(more) for more in figures.held.values()) or "?",
            )
        )
    return ["| " + " | ".join(row) + " |" for row in rows]
