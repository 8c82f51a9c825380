"""Who attacks is sent away with the right words and counted, and a canary notices nothing.

The attacks are those of `python -m loadtests.abuse`, which measures what they cost at full
strength. Here each is made once: nothing in this file depends on how fast a machine is.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from loadtests.abuse.attack import Attack
from loadtests.abuse.case import Case
from loadtests.abuse.cases import CASES
from loadtests.abuse.subjects import LIMITS, Canary
from loadtests.bench.subjects import TrioSse

HASTY = {name: 1.0 if name.endswith(("timeout", "interval")) else LIMITS[name] for name in LIMITS}


class Site:
    """A server and a canary, each a process."""

    def __init__(self, server: TrioSse, canary: Canary) -> None:
        self.server = server
        self.canary = canary

    def suffers(self, case: Case) -> None:
        """Make the attack once, and see that it ends and counts as it should."""
        before = self.figures()["server"]
        attack = Attack(self.server.port, self.server.tls_port, seconds=0)
        case.attack(attack)
        assert attack.connections
        for end in attack.ends:
            end = re.sub(r"[0-9,]+ x ", "", end)
            assert any(fnmatch.fnmatch(end, each) for each in case.ends), end
        after = self.figures()["server"]
        if case.offence is not None:
            assert counted(after, case.offence) == counted(before, case.offence) + 1
        assert after["failed"] == before["failed"] == 0

    def figures(self) -> dict[str, Any]:
        return self.server.figures()


def counted(statistics: dict[str, Any], what: str) -> int:
    count: int = statistics.get(what) or statistics["offences"].get(what, 0)
    return count


@contextmanager
def opened(limits: dict[str, float]) -> Iterator[Site]:
    cpus = os.sched_getaffinity(0)
    with TrioSse(cpus, limits) as server, Canary(server.port, cpus) as canary:
        yield Site(server, canary)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened({}) as site:
        yield site


@pytest.fixture(scope="module")
def hasty_site() -> Iterator[Site]:
    """Its patience is so short that on a slow machine also the canary may try it."""
    with opened(HASTY) as site:
        yield site


def named(case: Case) -> str:
    return f"{case.protocol}: {case.name}"


@pytest.mark.parametrize("case", [each for each in CASES if not each.waits], ids=named)
def test_the_attacker_is_sent_away_and_the_canary_sings_on(site: Site, case: Case) -> None:
    site.suffers(case)
    seen = site.canary.report()
    assert seen["faults"] == {}
    assert seen["delays"]["count"] > 0


@pytest.mark.parametrize("case", [each for each in CASES if each.waits], ids=named)
def test_the_attacker_tries_the_server_s_patience_for_so_long(hasty_site: Site, case: Case) -> None:
    hasty_site.suffers(case)
    faults = hasty_site.canary.report()["faults"]
    assert not faults.keys() & {"events lost", "events out of order", "events damaged"}
