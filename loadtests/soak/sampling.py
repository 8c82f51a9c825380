"""What is looked at every few seconds: what the server holds and uses, how canaries fare."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from statistics import median

from ..abuse.subjects import REPORT_SECONDS, Canary
from ..bench.subjects import TrioSse
from .attacks import Attacks
from .crowds import Crowds
from .judging import opening
from .record import Holdings, Sample

__all__ = ["Sampler", "holdings", "progress"]

MIB = 1 << 20


class Sampler:
    """Looks at a server, its crowds, canaries and attackers."""

    def __init__(
        self,
        server: TrioSse,
        crowds: Crowds,
        canaries: Mapping[str, Canary],
        attacks: Attacks,
    ) -> None:
        """`canaries` by protocol. The samples' time begins now."""
        self._server = server
        self._crowds = crowds
        self._canaries = canaries
        self._attacks = attacks
        self._faults: Counter[str] = Counter()
        self._began = self._at = time.monotonic()
        self._used = self._usage()

    def sample(self) -> Sample:
        """Look once. Waits until the canaries have all that was published to them."""
        orders = {name: each.ask_for_report() for name, each in self._canaries.items()}
        figures = holdings(self._server)
        seen = {}
        for name, canary in self._canaries.items():
            report = canary.collect(orders[name], REPORT_SECONDS)
            seen[name] = {"opened": report["opened"], "delays": report["delays"]}
            for fault, count in report["faults"].items():
                self._faults[f"{fault} (canary, {name})"] += count
        now, used = time.monotonic(), self._usage()
        passed = now - self._at
        server, clients = (after - before for before, after in zip(self._used, used, strict=True))
        self._at, self._used = now, used
        return Sample(
            now - self._began,
            figures,
            server / passed,
            clients / passed,
            self._attacks.lately(),
            seen,
        )

    def take_faults(self) -> dict[str, int]:
        """Return what the canaries have found wrong since the last call."""
        taken, self._faults = dict(self._faults), Counter()
        return taken

    def _usage(self) -> tuple[float, float]:
        canaries = sum(each.scheduled()[0] for each in self._canaries.values())
        return self._server.cpu(), self._crowds.cpu() + canaries


def holdings(server: TrioSse) -> Holdings:
    """Return what a server holds now."""
    figures = server.figures()
    return Holdings(
        tasks=figures["tasks"],
        files=figures["files"],
        resident=figures["rss"],
        connections=figures["server"]["connections"],
        audiences=figures["hub"]["audiences"],
    )


def progress(samples: list[Sample]) -> str:
    """Say in a line what was seen in a minute; there is at least one sample."""
    last = samples[-1].holdings
    server = sum(each.server_cpu for each in samples) / len(samples)
    clients = sum(each.clients_cpu for each in samples) / len(samples)
    opened = ", ".join(
        f"{name} {median(map(opening(name, 'p50'), samples)):.1f} and "
        f"{median(map(opening(name, 'p99'), samples)):.1f}"
        for name in samples[-1].canaries
    )
    attacks = len({name for sample in samples for name in sample.attacks})
    return (
        f"{last.resident / MIB:.1f} MiB, {last.tasks} tasks, {last.connections} connections; "
        f"CPU {100 * server:.0f} %, clients' {100 * clients:.0f} %; "
        f"streams open in (p50 and p99, ms) {opened}; {attacks} attacks"
    )
