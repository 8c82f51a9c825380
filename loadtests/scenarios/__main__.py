"""The command: which scenario, how large, and where its results go.

    python -m loadtests.scenarios storm [--users N] [--rate R] [--duration S] [--tls]
                                        [--protocol http1|http2] [--servers NAME,NAME]
                                        [--note WORDS] [--output FOLDER]

Starts and stops servers and clients itself, on this machine. `--host URL[,URL]` loads hubs that
run already; if they are on another machine, only with `--allow-remote`. Ends with 1 if a variant
failed, 2 if it could not begin, 130 after Ctrl-C, when nothing is written.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from .. import ROOT, machine
from ..report.__main__ import write as write_report
from ..report.__main__ import write_index
from ..report.judging import Verdict, verdict
from ..report.runs import read
from . import folder
from .clients import LOCUST
from .preflight import Facts, Impossible, plan
from .table import SCENARIOS, Asked, Variant
from .terminal import Progress, closing, complain
from .trial import Place, run

__all__ = ["main"]

PAGES = 8089
"""The port at which people look for Locust's pages."""


def main(
    argv: Sequence[str],
    *,
    results: Path = ROOT / "results",
    locust: Sequence[str] = LOCUST,
) -> int:
    """Run a scenario; return the exit code."""
    options = _parse(argv)
    scenario = SCENARIOS[options.scenario]
    variants = scenario.variants(
        Asked(
            users=options.users,
            rate=options.rate,
            seconds=options.duration,
            tls=options.tls,
            protocol=options.protocol,
            servers=tuple(options.servers),
        )
    )
    if reason := _refusal(variants, options.host, allow_remote=options.allow_remote):
        complain(reason)
        return 2
    described, warnings = machine.describe(_command(argv)), machine.warnings()
    now = datetime.now()
    progress = Progress(len(variants))
    for words in warnings:
        print(words)
    # To unwind, so that everything that was started is ended.
    signal.signal(signal.SIGTERM, _stop)
    try:
        place = _place(options, progress, locust, by_hand=scenario.by_hand)
        if place.pages is not None:
            print(f"Locust's pages: http://127.0.0.1:{place.pages}; Ctrl-C ends all of it.")
        outcomes = []
        for variant in variants:
            progress.next(variant.name)
            outcomes.append(run(variant, place))
    except KeyboardInterrupt:
        print("\nStopped; nothing is written.")
        return 130
    if scenario.by_hand:
        print(f"\nStopped. {' '.join(outcomes[0].problems)}")
        return 1 if outcomes[0].problems else 0
    if not scenario.kept:
        results = Path(tempfile.mkdtemp(prefix="trio-sse-load-"))
    written = folder.write(
        options.output
        or results / folder.named(scenario, variants, options.note, f"{now:%Y-%m-%d}"),
        scenario,
        outcomes,
        machine=described,
        warnings=warnings,
        date=f"{now:%Y-%m-%d %H:%M}",
    )
    made = read(written)
    page = write_report(made)
    if written.parent.resolve() == results.resolve():
        write_index(results)
    print(f"{closing(made)}\n\nThe report: {page} (and report.html)")
    return 1 if Verdict.FAILED in map(verdict, made.variants) else 0


def _command(argv: Sequence[str]) -> str:
    """Return what one types for the same run; where its results went is nobody's business."""
    words = iter(argv)
    told = []
    for word in words:
        if word == "--output":
            next(words)
        elif not word.startswith("--output="):
            told.append(word)
    return f"python -m loadtests.scenarios {shlex.join(told)}"


def _refusal(variants: Sequence[Variant], hosts: Sequence[str], *, allow_remote: bool) -> str:
    """Say why none of it can be run; "" if it can."""
    for host in hosts:
        if not allow_remote and not _is_here(host):
            return (
                f"{host} is not an address of loopback. A load test may bring a server down; if it "
                "is yours and is meant to be loaded, add --allow-remote."
            )
    if not variants:
        return "Nothing is left to measure: no variant has this server, this protocol, or TLS."
    refused = []
    for variant in variants:
        try:
            plan(variant.load, Facts.here(), hubs=len(hosts))
        except Impossible as reason:
            refused.append(f"{variant.name}: {reason}")
    # One that is possible is measured, and the report says why the others are not there.
    return "\n".join(refused) if len(refused) == len(variants) else ""


def _is_here(url: str) -> bool:
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        return urlsplit(url).hostname == "localhost"


def _place(
    options: argparse.Namespace, progress: Progress, locust: Sequence[str], *, by_hand: bool
) -> Place:
    cpus = sorted(os.sched_getaffinity(0))
    more = ["--allow-remote"] if options.allow_remote else []
    place = Place(
        server_cpus=(cpus[0],),
        client_cpus=tuple(cpus[1:]) or (cpus[0],),
        elsewhere=tuple(options.host),
        more=tuple(more),
        pages=options.web_port if by_hand else None,
        locust=locust,
        tell=progress.tell,
    )
    # We look on from beside the clients.
    os.sched_setaffinity(0, place.client_cpus)
    return place


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    listed = "\n".join(f"  {name:14} {each.about}" for name, each in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.scenarios",
        description=f"{__doc__}\nScenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=SCENARIOS, metavar="SCENARIO")
    parser.add_argument("--users", type=_positive, help="clients, of each variant")
    parser.add_argument("--rate", type=float, help="events a second")
    parser.add_argument("--duration", type=float, help="seconds that are measured")
    parser.add_argument("--tls", action="store_true", help="TLS, and only that")
    parser.add_argument("--protocol", choices=("http1", "http2"), help="only this one")
    parser.add_argument(
        "--servers", type=lambda text: text.split(","), default=[], help="only these, with commas"
    )
    parser.add_argument("--note", default="", help="a few words for the name of the folder")
    parser.add_argument("--output", type=Path, help="a folder for the results")
    parser.add_argument(
        "--host", type=lambda text: text.split(","), default=[], help="hubs that run already"
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="they may be on another machine"
    )
    parser.add_argument(
        "--web-port", type=int, default=PAGES, help="of Locust's own pages, in `ui`"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text.replace(",", "").replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("there must be at least one")
    return number


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
