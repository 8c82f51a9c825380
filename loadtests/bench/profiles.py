"""Where the server's CPU goes while it fans out: what perf and py-spy see, in µs a delivery.

    python -m loadtests.bench.profiles [--only http1,windows] [--note TEXT] [--output FOLDER]

Server and clients are those of the benchmark; each path is looked at for some seconds. Writes a
text for each path. Needs Linux and `perf` (Debian: linux-perf), and the right to see the kernel's
part; py-spy, which knows the lines of Python, is used if it is there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from .. import ROOT, machine
from ..payload import SIZE
from ..processes import ChildFailed
from . import samples
from .fanout import FanOut, fan_out
from .figures import CannotMeasure
from .stage import FULL, Site, Stage
from .subjects import Swarm, TrioSse

__all__ = ["main"]

SAMPLES_A_SECOND = 2999
"""A prime, so as not to run in step with what happens every millisecond."""

LINES_A_SECOND = 250
"""py-spy stops the program for each look."""

ENDING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Way:
    """From publish to the clients."""

    title: str
    connections: int
    count: int
    interval: float
    """s between events: more than one takes, so that each is a pass of its own."""
    protocol: Literal["http1", "http2"]
    tls: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def streams(self) -> int:
        """How many share a connection."""
        return FULL.streams if self.protocol == "http2" else 1


WAYS = {
    "http1": Way("HTTP/1.1", FULL.http1, 40, 0.3, "http1"),
    "http2": Way("HTTP/2", FULL.http2, 120, 0.12, "http2"),
    "windows": Way(
        "HTTP/2, default windows", FULL.http2, 100, 0.15, "http2", settings={"windows": "default"}
    ),
    "tls-http1": Way("HTTP/1.1 over TLS 1.3", FULL.tls_http1, 60, 0.2, "http1", tls=True),
    "tls-http2": Way("HTTP/2 over TLS 1.3", FULL.http2, 100, 0.15, "http2", tls=True),
}


def main(argv: list[str]) -> int:
    """Take the profiles; return 1 if one could not be taken."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bench.profiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(WAYS))
    parser.add_argument("--note", default="", help="a few words for the name of the results")
    parser.add_argument("--output", type=Path, help="a folder for the results")
    options = parser.parse_args(argv)
    if unknown := set(options.only) - set(WAYS):
        sys.stderr.write(f"No such way: {', '.join(unknown)}. There are: {', '.join(WAYS)}\n")
        return 2
    name = "-".join([date.today().isoformat(), "profiles", *options.note.split()])
    folder: Path = options.output or ROOT / "results" / name
    described = machine.describe(f"python -m loadtests.bench.profiles {' '.join(argv)}".strip())
    failed = False
    for name in options.only:
        print(f"{name} …", flush=True)
        try:
            told = _profile(WAYS[name], described)
        except (CannotMeasure, ChildFailed) as reason:
            print(reason, file=sys.stderr)
            failed = True
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(told)
        print(folder / f"{name}.txt")
    return 1 if failed else 0


def _profile(way: Way, described: dict[str, str]) -> str:
    if shutil.which("perf") is None:
        raise CannotMeasure("perf is not installed (apt-get install linux-perf)")
    first, *others = sorted(os.sched_getaffinity(0))
    site = Site(FULL, (first,), tuple(others) or (first,), Path(), Path())
    with Stage(site) as stage, tempfile.TemporaryDirectory(prefix="trio-sse-perf-") as folder:
        stage.needs(way.connections)
        server = stage.trio_sse()
        settings = way.settings | ({"tls": True} if way.tls else {})
        port = server.tls_port if way.tls else server.port
        swarm = stage.swarm(port, protocol=way.protocol, streams=way.streams, **settings)
        swarm.connect(way.connections)
        # The first event is another: clients learn from it what the others will be like.
        swarm.wait(server.publish(1, 0, SIZE))
        unseen = _fan_out(way, server, swarm)
        data = Path(folder, "perf.data")
        with _recording(_perf(server.pid, data)):
            seen = _fan_out(way, server, swarm)
        functions = samples.functions(_report(data, "--no-children", "--sort=dso,symbol"))
        callers = samples.callers(_report(data, "--children", "--sort=symbol"))
        lines = samples.lines(_lines(way, server, swarm, Path(folder, "lines")))
    return "\n".join(
        [
            f"Where the server's CPU goes: {way.title}",
            "",
            *(f"{name}: {described[name]}" for name in ("command", "commit", "processor")),
            *(f"{name}: {described[name]}" for name in ("kernel", "load before", "Python")),
            f"OpenSSL: {described['OpenSSL']}" if way.tls else "clear text",
            f"{way.connections:,} connections x {way.streams}, {way.count} events of {SIZE} bytes, "
            f"one every {way.interval:g} s",
            f"CPU a delivery: {seen.cpu:.3g} µs with perf looking on, {unseen.cpu:.3g} µs before",
            f"faults: {seen.faults or 'none'}",
            "",
            *samples.told(functions, callers, lines, seen.cpu),
        ]
    )


def _fan_out(way: Way, server: TrioSse, swarm: Swarm) -> FanOut:
    return fan_out(server, swarm, way.count, way.interval, SIZE)


def _perf(pid: int, data: Path) -> list[str]:
    rate = str(SAMPLES_A_SECOND)
    return ["perf", "record", "-e", "cpu-clock", "-F", rate, "-g", "-o", str(data), "-p", str(pid)]


def _lines(way: Way, server: TrioSse, swarm: Swarm, data: Path) -> str:
    """Return what py-spy sees, as stacks with their counts; nothing without it."""
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=Path(sys.executable).parent)
    if spy is None:
        return ""
    rate = str(LINES_A_SECOND)
    options = ["--format", "raw", "--rate", rate, "--duration", "unlimited", "--output", str(data)]
    with _recording([spy, "record", *options, "--pid", str(server.pid)]):
        _fan_out(way, server, swarm)
    return data.read_text()


@contextlib.contextmanager
def _recording(argv: Sequence[str]) -> Iterator[None]:
    """Have a program look on; it writes what it saw when it is interrupted."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _report(data: Path, *options: str) -> str:
    command = ["perf", "report", "-i", str(data), "--stdio", "-g", "none", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
