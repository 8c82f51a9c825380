"""What an attack costs the server, and what the canary notices of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .. import proc
from ..bench.posting import Posting
from ..bench.subjects import TrioSse
from ..processes import ChildFailed
from .attack import Attack
from .case import Case
from .subjects import Canary

__all__ = ["Figures", "Server", "measure", "settled"]

Server = TrioSse | Posting

SAMPLE_SECONDS = 0.05
SETTLE_SECONDS = 10.0
QUIET_SECONDS = 0.5

ANOTHER = "one of its processes ended, and it has started another"


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the table, for one server."""

    ends: dict[str, int]
    """How its connections ended, and how many did."""
    connections: int
    """Connections that the attacker has opened."""
    sent: int
    """Bytes that the attacker has sent."""
    seconds: float
    opened_p99: float
    """How long a new stream took, in s, and the event that took longest, while it went on."""
    opened_worst: float
    delays_p99: float
    faults: dict[str, int]
    """What the canary found wrong."""
    cpu: float | None
    """Seconds that the server used, the canary's part included. None, as is its memory, if its
    process ended: another's begins anew."""
    growth: int | None
    """Bytes of memory more than before, at most, and once all was over."""
    left: int | None
    held: dict[str, int]
    """What there is more of than before, once all is over and beside the canary's."""
    died: str | None = None
    """That the server's process ended, or one of them, with its last words."""


class _Peak:
    """The most memory that a process had."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.most = proc.usage(pid).resident
        self._over = threading.Event()

    def watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.most = max(self.most, proc.usage(self._pid).resident)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self.watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def measure(server: Server, canary: Canary, case: Case, seconds: float) -> Figures:
    """Make one attack for so long. Raises ChildFailed if the canary died."""
    tls_port = server.tls_port if isinstance(server, TrioSse) else None
    canary.report(tls_port if case.protocol == "TLS" else None)
    before, held, living = proc.usage(server.pid), _held(server), proc.living(server.pid)
    attack = Attack(server.port, tls_port, seconds)
    peak = _Peak(server.pid)
    began = time.monotonic()
    with peak.watching():
        try:
            case.attack(attack)
        except OSError as error:
            attack.ends[f"refused: {type(error).__name__}"] += 1
        attack.close()
        took = time.monotonic() - began
        cpu = proc.usage(server.pid).cpu - before.cpu
        seen = canary.report()
    try:
        settled(server)
    except ChildFailed as failure:
        died: str | None = str(failure)
    else:
        # Some servers have a worker, and start another when it dies.
        died = None if living <= proc.living(server.pid) else ANOTHER
    after = proc.usage(server.pid)
    still_held = _held(server, held) if died is None else held
    return Figures(
        dict(attack.ends),
        attack.connections,
        attack.sent,
        took,
        seen["opened"]["p99"],
        seen["opened"]["worst"],
        seen["delays"]["p99"],
        seen["faults"],
        None if died else cpu,
        None if died else max(0, peak.most - before.resident),
        None if died else max(0, after.resident - before.resident),
        {what: still_held[what] - held[what] for what in held},
        died,
    )


def _held(server: Server, expected: dict[str, int] | None = None) -> dict[str, int]:
    """Return how many tasks and files a server of ours has, beside one of each a connection.

    Waits a moment for what is expected, if it is known: what has ended may be on its way out.
    """
    if not isinstance(server, TrioSse):
        return {}
    deadline = time.monotonic() + (0.0 if expected is None else QUIET_SECONDS)
    while True:
        figures = server.figures()
        connections = figures["server"]["connections"]
        held = {what: figures[what] - connections for what in ("tasks", "files")}
        if held == expected or time.monotonic() > deadline:
            return held
        time.sleep(SAMPLE_SECONDS)


def settled(server: Server) -> None:
    """Wait until a server has nobody but the canary. Raises ChildFailed if it does not live."""
    server.check()
    if isinstance(server, TrioSse):
        deadline = time.monotonic() + SETTLE_SECONDS
        # The canary's: one that follows, one that publishes, and now and then one that opens.
        while server.figures()["server"]["connections"] > 3 and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECONDS)
        server.ask("collect")
    time.sleep(QUIET_SECONDS)
