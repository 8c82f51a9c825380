"""One attack at a time, all the time: every one once in an order drawn by chance, then again.

They come from a process of their own and from addresses that nobody else has, a new one for each,
so that what the server holds against an attacker's address is held against no one else. An
attacker's process that dies, or doesn't come to an end, is a fault of the run; another one follows.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .. import ROOT
from ..abuse import application
from ..abuse.case import Case
from ..abuse.cases import CASES
from ..processes import Child, ChildFailed
from .record import Tally

__all__ = ["Attacker", "Attacks", "Pace", "names"]

OVERDUE_SECONDS = 90.0
"""What an attack may take on top, for the deadlines of its last connections."""

STARTUP_SECONDS = 30.0

FROM_OUTSIDE = [number for number, case in enumerate(CASES) if case not in application.CASES]
"""Not what the program behind the server does wrong: its handlers' errors would be faults of the
run, and who publishes without end leaves honest clients no history to come back to."""


class Attacker(Child):
    """The process."""

    def __init__(self, port: int, tls_port: int, cpus: Iterable[int]) -> None:
        argv = [sys.executable, "-m", "loadtests.soak.attacker", str(port), str(tls_port)]
        super().__init__(argv, cpus, cwd=str(ROOT))

    def greet(self) -> None:
        """Wait until it takes orders."""
        self.read(STARTUP_SECONDS)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds each attack goes on."""

    seconds: float
    waiting: float
    """For attacks that only end when the server's patience does."""


@dataclass(frozen=True, slots=True)
class _Current:
    """The attack that is being made."""

    number: int
    ticket: int
    overdue: float
    """By time.monotonic()."""


class Attacks:
    """Has one made after the other, and counts what came of them."""

    def __init__(self, broken: list[str], seed: int = 1) -> None:
        """Adds to `broken` a sentence for what ended as it should not."""
        self._broken = broken
        self._tallies: dict[str, Tally] = {}
        self._order = _drawn(random.Random(seed))
        self._sources = _sources()
        self._start: Callable[[], Child] | None = None
        self._pace = Pace(0.0, 0.0)
        self._attacker: Child | None = None
        self._current: _Current | None = None
        self._lately: list[str] = []

    def begin(self, start: Callable[[], Child], pace: Pace, tallies: dict[str, Tally]) -> None:
        """Make attacks from now on, with what `start` starts; adds to `tallies` by name."""
        self._start = start
        self._pace = pace
        self._tallies = tallies
        self.attend()

    def attend(self) -> None:
        """See whether the current attack is over; then begin the next."""
        if self._current is not None and self._is_over(self._current):
            self._current = None
        if self._current is None and self._start is not None:
            self._next(self._start)

    def lately(self) -> list[str]:
        """Return the names of attacks that were made since the last call, the current one too."""
        named, self._lately = self._lately, []
        if self._current is not None:
            self._lately.append(names(CASES[self._current.number]))
        return named

    def finish(self) -> None:
        """Begin no more, and wait for the current one to end."""
        self._start = None
        while self._current is not None:
            time.sleep(0.05)
            self.attend()
        self._attacker = None

    def _next(self, start: Callable[[], Child]) -> None:
        number = next(self._order)
        seconds = self._pace.waiting if CASES[number].waits else self._pace.seconds
        self._lately.append(names(CASES[number]))
        try:
            if self._attacker is None:
                self._attacker = start()
            ticket = self._attacker.order(
                "attack", number=number, seconds=seconds, source=next(self._sources)
            )
        except ChildFailed as failure:
            self._failed(number, failure)
        else:
            overdue = time.monotonic() + seconds + OVERDUE_SECONDS
            self._current = _Current(number, ticket, overdue)

    def _is_over(self, current: _Current) -> bool:
        assert self._attacker is not None
        try:
            if self._attacker.has_answered(current.ticket):
                self._count(current, self._attacker)
                return True
            if time.monotonic() > current.overdue:
                raise self._attacker.failure("did not come to an end")
        except ChildFailed as failure:
            self._failed(current.number, failure)
            return True
        return False

    def _count(self, current: _Current, attacker: Child) -> None:
        answer = attacker.collect(current.ticket, 0)
        name = names(CASES[current.number])
        tally = self._tallies.setdefault(name, Tally(name))
        tally.times += 1
        tally.connections += answer["connections"]
        tally.sent += answer["sent"]
        for end, number in answer["ends"].items():
            tally.ends[end] = tally.ends.get(end, 0) + number

    def _failed(self, number: int, failure: ChildFailed) -> None:
        why = f"{failure.what}: {failure.last}" if failure.last else failure.what
        self._broken.append(f"the attacker's process, in “{names(CASES[number])}”, {why}")
        self._attacker = None


def names(case: Case) -> str:
    """Return what an attack is called."""
    return f"{case.protocol}: {case.name}"


def _drawn(chance: random.Random) -> Iterator[int]:
    """Yield numbers of attacks for ever: all in an order drawn by chance, then in another."""
    while True:
        yield from chance.sample(FROM_OUTSIDE, len(FROM_OUTSIDE))


def _sources() -> Iterator[str]:
    """Yield addresses of loopback that neither the swarms nor the canaries have."""
    while True:
        yield from (f"127.0.{high}.{low}" for high in range(1, 250) for low in range(1, 250))
