"""Ten minutes of clients that come, stall, come back and leave at random.

    python -m loadtests.soak [--minutes 10] [--output FOLDER]

On both protocols, in clear text and with TLS, some of them dropped by the server because they
read nothing. Every event is checked all the time. At the end all leave, and the server must
have as many tasks, open files and (all but) as much memory as before; memory is compared
with that of an idle server that has had the same crowd once, and whose log is full.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

from . import ROOT, machine
from .bench.stage import QUICK, Site, Stage
from .bench.subjects import Swarm
from .payload import SIZE
from .processes import ChildFailed

__all__ = ["main"]

LARGE = 64 * 1024
"""Size of every twentieth event: it fills the buffers of those who do not read."""

SMALL_ONES = 19
INTERVAL = 0.05
WRITE_TIMEOUT = 4.0
HISTORY = 10_000
"""Events that the log holds."""

WARM_UP_SECONDS = 200.0
"""Until the crowd is as large as it gets, and memory with it."""

ROUNDS_UNTIL_RETURN = 10
"""A round is a second or so: who is still stalled by then has been dropped."""

GROWTH = 1.1
"""How much memory may have grown: what Python's allocator keeps varies."""

KINDS: tuple[tuple[int, dict[str, Any]], ...] = (
    (400, {}),
    (20, {"protocol": "http2", "streams": 10, "windows": "default"}),
    (80, {"tls": True}),
    (10, {"protocol": "http2", "streams": 20, "tls": True}),
)
"""How many connections of which kind there are, more or less."""

EXPECTED = {"dropped"}
"""Not a fault: the server drops who stalls."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a server holds that it might forget to let go of."""

    tasks: int
    files: int
    resident: int
    connections: int
    audiences: int


class Soak:
    """A server and its crowds."""

    def __init__(self, stage: Stage) -> None:
        self._server = stage.trio_sse(write_timeout=WRITE_TIMEOUT)
        self._crowds: list[tuple[int, Swarm]] = []
        for size, settings in KINDS:
            port = self._server.tls_port if settings.get("tls") else self._server.port
            self._crowds.append((size, stage.swarm(port, **settings)))
        self._random = random.Random(1)
        self._last = 0
        self._reconnected = 0

    def run(self, seconds: float) -> tuple[Holdings, Holdings, list[Holdings]]:
        """Return what the server held before and after, and once a minute meanwhile."""
        for _ in range(HISTORY // (SMALL_ONES + 1) + 1):
            self._publish(0.0)
        self._churn(min(WARM_UP_SECONDS, seconds))
        self._all_leave()
        before = self._holdings()
        meanwhile = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._churn(min(60.0, end - time.monotonic()))
            meanwhile.append(self._holdings())
            print(f"  {meanwhile[-1]}; {self._reconnected:,} came back so far", flush=True)
        self._all_leave()
        return before, self._holdings(), meanwhile

    def faults(self) -> dict[str, int]:
        """Return what clients found wrong."""
        found: dict[str, int] = {}
        for _, swarm in self._crowds:
            for fault, count in swarm.report()["faults"].items():
                if fault not in EXPECTED:
                    found[fault] = found.get(fault, 0) + count
        return found

    def _publish(self, interval: float) -> None:
        self._server.publish(SMALL_ONES, interval, SIZE)
        self._last = self._server.publish(1, 0, LARGE)

    def _churn(self, seconds: float) -> None:
        """Have clients come and go for a while."""
        end = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < end:
            turn += 1
            for size, swarm in self._crowds:
                self._stir(size, swarm, turn)
            self._publish(INTERVAL)
        for _, swarm in self._crowds:
            self._return(swarm)
        # Who was never sent anything has nothing to go on from, and starts with this one.
        self._publish(0.0)
        for _, swarm in self._crowds:
            swarm.wait(self._last)

    def _stir(self, size: int, swarm: Swarm, turn: int) -> None:
        some = max(1, size // 10)
        here = swarm.report()["connections"]
        swarm.ask("wake", connections=self._random.randint(0, some // 2))
        swarm.connect(self._random.randint(0, max(1, (size - here) // 2)))
        swarm.ask("leave", connections=self._random.randint(0, some))
        swarm.ask("stall", connections=self._random.randint(0, some))
        if turn % ROUNDS_UNTIL_RETURN == 0:
            self._return(swarm)
        # Reports would become long otherwise.
        swarm.mark()

    def _return(self, swarm: Swarm) -> None:
        self._reconnected += swarm.ask("return", seconds=20, within=30)["opened"]

    def _all_leave(self) -> None:
        for _, swarm in self._crowds:
            swarm.ask("leave", connections=1_000_000)
        self._server.wait_until_empty()
        self._server.ask("collect")

    def _holdings(self) -> Holdings:
        figures = self._server.figures()
        return Holdings(
            tasks=figures["tasks"],
            files=figures["files"],
            resident=figures["rss"],
            connections=figures["server"]["connections"],
            audiences=figures["hub"]["audiences"],
        )


def compare(before: Holdings, after: Holdings) -> list[str]:
    """Say what the server has not let go of."""
    wrong = [
        f"{name}: {getattr(before, name)} before, {getattr(after, name)} after"
        for name in ("tasks", "files", "connections", "audiences")
        if getattr(after, name) != getattr(before, name)
    ]
    if after.resident > before.resident * GROWTH:
        wrong.append(f"memory: {before.resident:,} bytes before, {after.resident:,} after")
    return wrong


def main(argv: list[str]) -> int:
    """Run the soak; return 1 if anything was lost, wrong, or not let go of."""
    options = _parse(argv)
    signal.signal(signal.SIGTERM, _stop)
    cpus = sorted(os.sched_getaffinity(0))
    build = ROOT / "loadtests" / "build"
    site = Site(QUICK, (cpus[0],), tuple(cpus[1:]) or (cpus[0],), build / "none", build)
    try:
        with Stage(site) as stage:
            soak = Soak(stage)
            before, after, meanwhile = soak.run(options.minutes * 60)
            faults = soak.faults()
    except ChildFailed as failure:
        print(failure)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is written.")
        return 130
    wrong = compare(before, after) + [f"{count} {fault}" for fault, count in faults.items()]
    _write(options.output, before, after, meanwhile, wrong, argv)
    print(f"before {before}\nafter  {after}")
    print("WRONG: " + "; ".join(wrong) if wrong else "Nothing lost, nothing left behind.")
    return 1 if wrong else 0


def _write(
    folder: Path,
    before: Holdings,
    after: Holdings,
    meanwhile: Sequence[Holdings],
    wrong: Sequence[str],
    argv: list[str],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    described = machine.describe(" ".join(["python -m loadtests.soak", *argv]))
    content = {"machine": described, "wrong": list(wrong)}
    (folder / "soak.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = [
        "# Soak",
        "",
        f"`{described['command']}`, commit {described['commit']}",
        "",
        "; ".join(wrong) or "Nothing lost, nothing left behind.",
        "",
        "| when | tasks | open files | resident MiB | connections | audiences |",
        "|---|---|---|---|---|---|",
    ]
    rows = [("before", before)]
    rows += [(f"minute {minute}", each) for minute, each in enumerate(meanwhile, 1)]
    for when, each in [*rows, ("after", after)]:
        lines.append(
            f"| {when} | {each.tasks} | {each.files} | {each.resident / 2**20:.1f} | "
            f"{each.connections} | {each.audiences} |"
        )
    lines += ["", *(f"- {name}: {value}" for name, value in described.items())]
    (folder / "soak.md").write_text("\n".join(lines) + "\n")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--output", type=Path, help="a folder for the results")
    options = parser.parse_args(argv)
    if options.output is None:
        options.output = ROOT / "results" / f"{date.today().isoformat()}-soak"
    return options


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
