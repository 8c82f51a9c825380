"""Every attack at full strength, for some seconds each, and a table of what came of it.

    python -m loadtests.abuse [--seconds 2] [--only TEXT] [--without-hypercorn] [--output FOLDER]

Against trio-sse with its default limits, but for timeouts, which are shortened so that the run
ends in minutes; then the same against Hypercorn with its default settings, for scale: figures,
no verdicts. The server has a processor of its own, the attacker shares the other with the canary.
Ends with 1 if the canary met a fault on trio-sse, a connection ended as it should not, something
was left, or 10 MB of memory were taken. How long the canary waited depends on the machine: attacks
in which that was 50 ms or more are only named.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from .. import ROOT, machine
from ..bench.peers import ALL as PEERS
from ..bench.peers import PeerServer
from ..bench.subjects import TrioSse
from .case import Case
from .cases import CASES
from .measuring import Figures, Server, measure, settled
from .subjects import LIMITS, Canary
from .table import Line, slow, write, wrong

__all__ = ["main"]

WAITING_SECONDS = 6.0
"""For attacks that only end when the server's patience does."""


class Side:
    """A kind of server, of which there is always one: after a death, the next."""

    def __init__(self, start: Callable[[], Server], cpus: Iterable[int]) -> None:
        self._start = start
        self._cpus = cpus
        self._children = ExitStack()
        self._pair: tuple[Server, Canary] | None = None

    def suffer(self, case: Case, seconds: float) -> Figures:
        """Make an attack on it."""
        if self._pair is None:
            server = self._start()
            self._children.enter_context(server)
            canary = self._children.enter_context(Canary(server.port, self._cpus))
            settled(server)
            self._pair = server, canary
        server, canary = self._pair
        figures = measure(server, canary, case, seconds)
        if figures.died or figures.faults:
            # The next case is to find a server and a canary that are well.
            self.close()
        return figures

    def close(self) -> None:
        """End the server and the canary."""
        self._children.close()
        self._pair = None


def main(argv: list[str]) -> int:
    """Run them and write the table."""
    options = _parse(argv)
    cpus = sorted(os.sched_getaffinity(0))
    ours, others = (cpus[0],), tuple(cpus[1:]) or (cpus[0],)
    warnings = machine.warnings()
    os.sched_setaffinity(0, others)
    cases = [each for each in CASES if options.only in f"{each.protocol}: {each.name}"]
    peer = PEERS["hypercorn-trio"]
    sides = {"trio-sse": Side(lambda: TrioSse(ours, LIMITS), others)}
    if not options.without_hypercorn:
        python = Path(sys.executable)
        sides["Hypercorn"] = Side(lambda: PeerServer(peer, ours, python), others)
    lines = []
    try:
        for name, side in sides.items():
            for case in cases:
                if name == "Hypercorn" and (case.protocol == "TLS" or case.is_ours):
                    continue  # it is run in clear text
                seconds = WAITING_SECONDS if case.waits else options.seconds
                line = Line(name, case, side.suffer(case, seconds))
                lines.append(line)
                print(line, flush=True)
            side.close()
    except KeyboardInterrupt:
        print("\nStopped; nothing is written.")
        return 130
    finally:
        for side in sides.values():
            side.close()
    os.sched_setaffinity(0, cpus)  # or the machine would be said to have one
    write(options.output, lines, " ".join(["python -m loadtests.abuse", *argv]), warnings)
    ours_only = [line for line in lines if line.server == "trio-sse"]
    waited = [wait for line in ours_only for wait in slow(line)]
    if waited:
        print("\n".join(["The canary waited 50 ms or more:", *waited]))
    found = [problem for line in ours_only for problem in wrong(line)]
    print("\n".join(found) or "The canary met no fault, and every attacker got its due.")
    return 1 if found else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.abuse",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each attack")
    parser.add_argument("--only", default="", help="attacks with this in their name, such as TLS")
    parser.add_argument("--without-hypercorn", action="store_true", help="only ours")
    parser.add_argument("--output", type=Path, help="a folder for the results")
    options = parser.parse_args(argv)
    if options.output is None:
        options.output = ROOT / "results" / f"{date.today().isoformat()}-abuse"
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
