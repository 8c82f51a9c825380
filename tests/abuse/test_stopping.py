"""SIGTERM in the middle of attacks: the server drains, and ends as it does in peace."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from running import PATIENCE, command, drained, listening

sys.path.insert(0, str(Path(__file__).parents[2]))

from loadtests.abuse.attack import Attack
from loadtests.abuse.case import Case, Protocol
from loadtests.abuse.cases import CASES
from loadtests.bench.subjects import TrioSse

AMID = ("requests taken back", "a body byte by byte")
"""Those that the command is to be stopped in the middle of; a server that embeds, of all."""

SECONDS = 15.0
"""For which they attack at most; it is over when nobody is there any more."""


class Attacker(threading.Thread):
    """Attacks until nobody is there any more."""

    def __init__(self, case: Case, attack: Attack) -> None:
        super().__init__(daemon=True)
        self._case = case
        self.attack = attack

    def run(self) -> None:
        with contextlib.suppress(OSError):
            self._case.attack(self.attack)
        self.attack.close()


@contextlib.contextmanager
def attacked(cases: Iterable[Case], port: int, tls_port: int | None) -> Iterator[None]:
    """Attack in all these ways at once. Afterwards all is over."""
    attackers = [Attacker(case, Attack(port, tls_port, SECONDS)) for case in cases]
    for attacker in attackers:
        attacker.start()
    for attacker in attackers:
        while not attacker.attack.connections:
            attacker.join(0.01)
    yield
    for attacker in attackers:
        attacker.attack.stop()
        attacker.join()


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.name in AMID], ids=lambda c: c.name
)
def test_a_hub_that_is_attacked_stops_when_it_is_told_to(case: Case) -> None:
    with command("serve", "--port", "0", "--drain-timeout", "1") as server:
        port = int(listening(server).rpartition(":")[2])
        with attacked([case], port, None):
            assert drained(server) == 0


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_a_server_that_is_attacked_in_every_way_at_once_stops_when_it_is_told_to(
    protocol: Protocol,
) -> None:
    cases = [each for each in CASES if each.protocol == protocol]
    limits = {"drain_timeout": 1.0, "stop_timeout": 1.0}
    with (
        TrioSse(os.sched_getaffinity(0), limits) as server,
        attacked(cases, server.port, server.tls_port),
    ):
        assert server.stop(PATIENCE) == 0
