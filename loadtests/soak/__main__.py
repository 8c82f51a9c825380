"""An hour of honest clients and attacks; nothing may be lost, and nothing left behind.

    python -m loadtests.soak [--minutes 60] [--quick] [--output FOLDER]

Clients of both protocols, in clear text and with TLS, come, stall, come back with their last id
and leave, beside one attack at a time. Every event is checked. At the end all leave, and the
server must have as many tasks and open files as before, and all but as much memory as after the
warm-up, when it had the same crowd and its log was full. Ends with 1 if something was wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import FrameType

from .. import ROOT, machine
from ..bench.stage import QUICK, Site, Stage
from .judging import WARM_UP_SECONDS, trends, verdict
from .record import Record, save
from .report import remake
from .soaking import soak

__all__ = ["main"]

QUICK_MINUTES = 0.5
QUICK_WARM_UP_SECONDS = 12.0
BUILD = ROOT / "loadtests" / "build"


def main(argv: list[str]) -> int:
    """Run the soak; return 1 if anything was lost, wrong, or not let go of."""
    options = _parse(argv)
    signal.signal(signal.SIGTERM, _stop)
    cpus = sorted(os.sched_getaffinity(0))
    ours, others = (cpus[0],), tuple(cpus[1:]) or (cpus[0],)
    site = Site(QUICK, ours, others, BUILD / "none", BUILD)
    seconds = options.minutes * 60
    longest = QUICK_WARM_UP_SECONDS if options.quick else WARM_UP_SECONDS
    record = Record(
        seconds=seconds,
        warm_up=min(longest, seconds),
        machine=machine.describe(" ".join(["python -m loadtests.soak", *argv])),
        warnings=machine.warnings(),
    )
    os.sched_setaffinity(0, others)
    try:
        with Stage(site) as stage:
            soak(stage, record)
    except KeyboardInterrupt:
        print("\nStopped; nothing is written.")
        return 130
    wrong = verdict(record)
    save(options.output, record, wrong)
    print(f"  at the end, when all had left: {record.after}")
    for trend in trends(record):
        print(f"  first and last quarter: {trend}")
    print(remake(options.output))
    print("WRONG: " + "; ".join(wrong) if wrong else "Nothing lost, nothing left behind.")
    return 1 if wrong else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, help="60, after a warm-up of five")
    parser.add_argument("--quick", action="store_true", help="a minute in all")
    parser.add_argument("--output", type=Path, help="a folder for the results")
    options = parser.parse_args(argv)
    if options.minutes is None:
        options.minutes = QUICK_MINUTES if options.quick else 60.0
    if options.output is None:
        results = BUILD / "quick" if options.quick else ROOT / "results"
        name = "quick" if options.quick else f"{options.minutes:g}-minutes"
        options.output = results / f"{date.today().isoformat()}-soak-{name}"
    return options


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
