"""Who attacks is sent away with the right words and counted, costs little, and no canary notices.

The attacks are those of `python -m loadtests.abuse`, which measures what they cost at full
strength. Here each is made once: nothing in this file depends on how fast a machine is, as what
an attack costs in CPU is compared to what honest clients cost in the same run.
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

from abuse.costs import Costs

HASTY = {name: 0.5 if name.endswith(("timeout", "interval")) else LIMITS[name] for name in LIMITS}

NOBODYS = 0
"""Whoever attacks TLS has no port to say it in clear text."""

PER_ADDRESS = "max_connections_per_address"

MIB = 1 << 20
MOST_GROWTH = 10 * MIB
"""Of the server's memory by one attack, and by all of them together once they are over."""

AT_ONCE = 1_000
"""Requests that a client may make and spoil before it is sent away; or anything cheaper."""
MOST_VISITS = 4.0
"""What an attack may cost, by what as many bytes cost of a client that asks for a page."""
SPARE_VISITS = 20.0
"""For what is no attacker's doing: Python may look for garbage just then."""

MOST_PER_BYTE = 3.0
"""What a byte may cost that the server has read, by what one costs of requests for a page."""


class Site:
    """A server and a canary, each a process."""

    def __init__(self, server: TrioSse, canary: Canary, costs: Costs) -> None:
        self.server = server
        self.canary = canary
        self.costs = costs

    def suffers(self, case: Case) -> dict[str, int]:
        """Make the attack once; see that it ends, counts and costs as it should.

        Returns the faults that the canary has met.
        """
        tls_port, is_tls = self.server.tls_port, case.protocol == "TLS"
        self.canary.report(tls_port if is_tls else None)
        before = self.statistics()
        attack = Attack(NOBODYS if is_tls else self.server.port, tls_port, seconds=0)
        cost = self.costs.of(lambda: case.attack(attack))
        seen = self.canary.report()
        assert attack.connections
        for end in attack.ends:
            end = re.sub(r"[0-9,]+ x ", "", end)
            assert any(fnmatch.fnmatch(end, each) for each in case.ends), end
        after = self.statistics()
        assert case.offence == "failed" or after["failed"] == before["failed"]
        counts(case, before, after, attack.connections)
        assert cost.growth < MOST_GROWTH
        visit = self.costs.visits[case.protocol]
        visits = min(attack.connections + attack.sent / visit.sent, AT_ONCE * attack.connections)
        others = seen["opened"]["count"] + seen["delays"]["count"]
        assert cost.cpu / visit.cpu < MOST_VISITS * (visits + others) + SPARE_VISITS
        faults: dict[str, int] = seen["faults"]
        return faults

    def statistics(self) -> dict[str, Any]:
        statistics: dict[str, Any] = self.server.figures()["server"]
        return statistics


def counts(case: Case, before: dict[str, Any], after: dict[str, Any], connections: int) -> None:
    """See that an attack is counted as what it is, and as nothing if it is nothing bad."""
    if case.offence is None:
        assert after["offences"] == before["offences"]
        return
    names = (case.offence,) if isinstance(case.offence, str) else case.offence
    risen = {name: count(after, name) - count(before, name) for name in names}
    assert max(risen.values()) >= 1, risen
    # Others than the attacker may be idle, but nobody else does this.
    assert all(risen[name] <= connections for name in names if name not in after), risen


def count(statistics: dict[str, Any], what: str) -> int:
    found: int = statistics[what] if what in statistics else statistics["offences"].get(what, 0)
    return found


@contextmanager
def opened(limits: dict[str, float]) -> Iterator[Site]:
    cpus = os.sched_getaffinity(0)
    with TrioSse(cpus, limits) as server:
        costs = Costs(server.pid, server.port, server.tls_port)
        before = at_rest(server)
        with Canary(server.port, cpus) as canary:
            yield Site(server, canary, costs)
        after = at_rest(server)
    assert (after["tasks"], after["files"]) == (before["tasks"], before["files"])
    assert after["rss"] - before["rss"] < MOST_GROWTH


def at_rest(server: TrioSse) -> dict[str, Any]:
    """Return what a server holds once everyone has left."""
    server.wait_until_empty()
    server.ask("collect")
    return server.figures()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Its limits are the defaults, but for how many may come from one address."""
    with opened({PER_ADDRESS: LIMITS[PER_ADDRESS]}) as site:
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
    assert site.suffers(case) == {}


@pytest.mark.parametrize("case", [each for each in CASES if each.pieces is not None], ids=named)
def test_what_a_flood_costs_a_byte_is_what_requests_cost(site: Site, case: Case) -> None:
    """In CPU. All that is counted was read: a PING after each kilobyte has been answered."""
    assert case.pieces is not None
    per_byte = site.costs.of_flood(case.pieces())
    assert per_byte < MOST_PER_BYTE * site.costs.per_byte


@pytest.mark.parametrize("case", [each for each in CASES if each.waits], ids=named)
def test_the_attacker_tries_the_server_s_patience_for_so_long(hasty_site: Site, case: Case) -> None:
    faults = hasty_site.suffers(case)
    assert not faults.keys() & {"events lost", "events out of order", "events damaged"}
