"""The course of a soak: a warm-up, all leave, the run, all leave; and what is noted on the way.

The server has its default limits, but that it loses patience in seconds, so that attacks which
wait for that end, and that an address may have a thousand connections.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack

from .. import ROOT
from ..abuse.subjects import LIMITS, Canary
from ..bench.stage import Stage
from ..processes import ChildFailed
from .attacks import Attacker, Attacks, Pace
from .crowds import Crowds
from .record import Holdings, Record, Sample, Tally
from .sampling import Sampler, holdings, progress

__all__ = ["soak"]

PATIENCE_SECONDS = 4.0
"""Each timeout of the server: the clients have one processor for all of them, and may be late."""

SETTINGS = {
    name: PATIENCE_SECONDS if name.endswith(("timeout", "interval")) else value
    for name, value in LIMITS.items()
} | {"max_connections_per_address": 1_000}
"""A swarm has an address, as has an attack."""

WARMING = Pace(seconds=2.0, waiting=6.0)
"""In the warm-up there is to be time for every attack."""

PACE = Pace(seconds=4.0, waiting=12.0)
"""Who is sent a PING and doesn't answer is dropped after twice the server's patience and some."""

SAMPLE_SECONDS = 5.0
FEWEST_SAMPLES = 20
MINUTE = 60.0

CANARIES = {"HTTP/1.1": ("--topic", "canary-1"), "HTTP/2": ("--topic", "canary-2", "--http2")}


def soak(stage: Stage, record: Record) -> None:
    """Do it all. A process that breaks ends the run; it is noted, and so is what was seen."""
    try:
        course = _Course(stage, record)
    except ChildFailed as failure:
        record.broken.append(_told(failure))
        return
    try:
        course.run()
    except ChildFailed as failure:
        record.broken.append(_told(failure))
    course.note()


ERRORS = re.compile(r"^(?:ERROR|CRITICAL): (.*(?:\n(?![A-Z]+: ).*)*)", re.MULTILINE)
"""What a server says of an error, with the traceback."""


class _Course:
    """A server and all its visitors."""

    def __init__(self, stage: Stage, record: Record) -> None:
        self._stage = stage
        self._record = record
        self._server = stage.trio_sse(**SETTINGS)
        record.start = holdings(self._server)
        self._crowds = Crowds(stage, self._server)
        self._attacks = Attacks(record.broken)

    def run(self) -> None:
        """Warm up, and go on for as long as the record says. Raises ChildFailed."""
        self._crowds.fill_log()
        record = self._record
        record.before = self._visited(record.warm_up, record.warming, WARMING, {})
        print(f"  after the warm-up, when all had left: {record.before}", flush=True)
        record.after = self._visited(record.seconds, record.samples, PACE, record.tallies)

    def note(self) -> None:
        """Add what only the end shows to the record: faults, errors, the server's statistics."""
        record = self._record
        record.events, record.returned = self._crowds.events, self._crowds.returned
        said = self._server.said().decode(errors="replace")
        record.errors = ERRORS.findall(said)
        try:
            record.faults |= self._crowds.faults()
            record.server = self._server.figures()["server"]
        except ChildFailed as failure:
            if (said := _told(failure)) not in record.broken:
                record.broken.append(said)

    def _visited(
        self, seconds: float, samples: list[Sample], pace: Pace, tallies: dict[str, Tally]
    ) -> Holdings:
        """Have everyone come and go for so long; return what is held when all have left.

        Adds what is seen meanwhile to `samples`, and what came of attacks to `tallies`.
        """
        with ExitStack() as visitors:
            server, cpus = self._server, self._stage.client_cpus
            canaries = {
                name: visitors.enter_context(Canary(server.port, cpus, *arguments))
                for name, arguments in CANARIES.items()
            }
            self._attacks.begin(
                lambda: visitors.enter_context(Attacker(server.port, server.tls_port, cpus)),
                pace,
                tallies,
            )
            print(f"  {seconds:.0f} s of clients that come and go, and of attacks", flush=True)
            sampler = Sampler(server, self._crowds, canaries, self._attacks)
            self._churn(sampler, seconds, samples)
            self._attacks.finish()
            samples.append(self._look(sampler))
        self._crowds.leave()
        self._server.wait_until_empty()
        self._server.ask("collect")
        return holdings(self._server)

    def _look(self, sampler: Sampler) -> Sample:
        """Take a sample, and note what has been found wrong since the last."""
        sample = sampler.sample()
        known = self._record.faults
        found = self._crowds.faults()
        for fault, count in sampler.take_faults().items():
            found[fault] = known.get(fault, 0) + count
        for fault, count in found.items():
            if more := count - known.get(fault, 0):
                beside = ", ".join(sample.attacks) or "no attack"
                said = f"{more:,} {fault} after {sample.at:.0f} s, beside {beside}"
                self._record.noticed.append(said)
                print(f"  {said}", flush=True)
        known |= found
        return sample

    def _churn(self, sampler: Sampler, seconds: float, samples: list[Sample]) -> None:
        every = min(SAMPLE_SECONDS, seconds / FEWEST_SAMPLES)
        began = time.monotonic()
        due = began + every
        minute = 0
        while time.monotonic() < began + seconds:
            minute += 1
            until = min(began + minute * MINUTE, began + seconds)
            first = len(samples)
            while time.monotonic() < until:
                self._crowds.stir(self._attacks.attend)
                if time.monotonic() >= due:
                    samples.append(self._look(sampler))
                    due = time.monotonic() + every
            self._crowds.settle()
            if samples[first:]:
                print(f"  minute {minute}: {progress(samples[first:])}", flush=True)


def _told(failure: ChildFailed) -> str:
    """Print all of it, and return a line without the places of this machine, to be published."""
    print(failure, flush=True)
    first = str(failure).splitlines()[0]
    line = f"{first}: {failure.last}" if failure.last else first
    return line.replace(sys.executable, "python").replace(f"{ROOT}/", "")
