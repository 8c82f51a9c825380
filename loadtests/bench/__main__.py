"""The command: which rows, how large, and where the results go.

    python -m loadtests.bench [--quick] [--only http1,http2] [--peers] [--note TEXT]

Stops by itself: every wait has an end, and after ten minutes no further row is begun.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import FrameType

from .. import ROOT, machine
from ..processes import ChildFailed
from .figures import CannotMeasure, Row
from .peers import PEERS
from .report import as_text, write
from .rows import ROWS
from .stage import FULL, QUICK, Site, Sizes, Stage

__all__ = ["main"]

BUILD = ROOT / "loadtests" / "build"

LATEST_START = 9.5 * 60
"""Seconds after which no row is begun."""


def main(argv: list[str]) -> int:
    """Run the benchmark; return 1 if clients received anything wrong or a server failed."""
    options = _parse(argv)
    rows = dict(PEERS if options.peers else ROWS)
    if options.only:
        unknown = set(options.only) - set(rows)
        if unknown:
            sys.stderr.write(f"No such row: {', '.join(unknown)}. There are: {', '.join(rows)}\n")
            return 2
        rows = {name: row for name, row in rows.items() if name in options.only}
    # To unwind, so that the children are ended.
    signal.signal(signal.SIGTERM, _stop)
    described, warnings = (
        machine.describe(" ".join(["python -m loadtests.bench", *argv])),
        machine.warnings(),
    )
    for warning in warnings:
        print(warning)
    try:
        site = _site(QUICK if options.quick else FULL)
        measured, failed = _measure(rows, site, judge=not options.quick)
    except KeyboardInterrupt:
        print("\nStopped; nothing is written.")
        return 130
    write(options.output, measured, described, warnings, judge=not options.quick)
    print(f"\nWritten to {options.output}")
    return 1 if failed else 0


def _measure(
    rows: dict[str, Callable[[Stage], Row]], site: Site, *, judge: bool
) -> tuple[list[Row], bool]:
    start = time.monotonic()
    measured: list[Row] = []
    failed = False
    for number, (name, row) in enumerate(rows.items(), 1):
        begun = time.monotonic()
        print(f"\n[{number}/{len(rows)}] {name} …", flush=True)
        if begun - start > LATEST_START:
            result = Row(name, name, not_measured="the time was up: use --only")
        else:
            try:
                with Stage(site) as stage:
                    result = row(stage)
            except CannotMeasure as reason:
                result = Row(name, name, not_measured=str(reason))
            except ChildFailed as failure:
                result = Row(name, name, not_measured=f"something failed: {failure}")
                failed = True
        result = replace(result, seconds=time.monotonic() - begun)
        measured.append(result)
        failed = failed or bool(result.faults)
        print(f"{as_text(result, judge=judge)}\n  {result.seconds:.0f} s", flush=True)
    return measured, failed


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small, in less than a minute")
    parser.add_argument("--peers", action="store_true", help="other servers instead of ours")
    parser.add_argument("--only", type=lambda text: text.split(","), help="rows, with commas")
    parser.add_argument("--note", default="", help="a few words for the name of the results")
    parser.add_argument("--output", type=Path, help="a folder for the results")
    options = parser.parse_args(argv)
    if options.output is None:
        what = options.note.replace(" ", "-")
        if not what:
            what = "some" if options.only else "peers" if options.peers else "full"
        results = BUILD / "quick" if options.quick else ROOT / "results"
        options.output = results / f"{date.today().isoformat()}-bench-{what}"
    return options


def _site(sizes: Sizes) -> Site:
    cpus = sorted(os.sched_getaffinity(0))
    server, clients = (cpus[0],), tuple(cpus[1:]) or (cpus[0],)
    # What publishes to others by POST, and prints this, is beside the clients.
    os.sched_setaffinity(0, clients)
    return Site(sizes, server, clients, _compile(), BUILD)


def _compile() -> Path:
    source, program = ROOT / "loadtests" / "bare_loop.c", BUILD / "bare_loop"
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
    except FileNotFoundError:
        sys.exit("There is no C compiler: the reference cannot be built (apt-get install gcc).")
    return program


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
