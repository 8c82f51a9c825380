"""SIGTERM in the middle of an attack: the hub drains, and ends as it does in peace."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

import pytest

from running import command, drained, listening

sys.path.insert(0, str(Path(__file__).parents[2]))

from loadtests.abuse.attack import Attack
from loadtests.abuse.case import Case
from loadtests.abuse.cases import CASES

AMID = (
    "requests taken back",
    "PING, reading no answer",
    "a reader that stops with 100 streams",
    "an upload that never ends",
    "a body byte by byte",
    "requests after one that follows",
    "a crowd that says nothing",
)

FOR_EVER = 600.0


class Attacker(threading.Thread):
    """Attacks until nobody is there any more."""

    def __init__(self, case: Case, attack: Attack) -> None:
        super().__init__()
        self._case = case
        self._attack = attack

    def run(self) -> None:
        with contextlib.suppress(OSError):
            self._case.attack(self._attack)
        self._attack.close()


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.name in AMID], ids=lambda c: c.name
)
def test_a_hub_that_is_attacked_stops_when_it_is_told_to(case: Case) -> None:
    with command("serve", "--port", "0", "--drain-timeout", "1") as server:
        port = int(listening(server).rpartition(":")[2])
        attack = Attack(port, None, FOR_EVER)
        attacker = Attacker(case, attack)
        attacker.start()
        while not attack.connections:
            attacker.join(0.01)
        assert drained(server) == 0
    attacker.join()
