"""The users of one process and their crowd: who comes, who leaves, what the conductor orders.

Users are many and do nothing; one greenlet turns the crowd whenever its epoll has something, one
tells once a second what has been received. A crew lasts as long as a test.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.hub import get_hub
from locust.env import Environment

from . import crowds, statistics
from .crowds import Client, Crowd, Protocol
from .seam import Content, runner_of, send, send_statistics
from .settings import Settings

__all__ = ["Crew", "Seats", "crew_of", "disband", "muster"]

TURN_SECONDS = 0.01
"""A crowd that has much to read lets others run after so long."""

IDLE_SECONDS = 0.1
"""A crowd with nothing to read is looked at so often: users may have asked for connections."""

TELL_SECONDS = 1.0
LOOK_SECONDS = 0.1
"""How often it is asked whether everyone has the last event."""

CLOSE_SECONDS = 10.0

READ = 1
"""libev's EV_READ."""

NAMES = {"connect": "connect", "first event": "first event", "recovery": "back again"}


_crews: dict[Environment, Crew] = {}


def muster(environment: Environment, settings: Settings, protocol: Protocol) -> None:
    """Make the crew of this process for a test."""
    disband(environment)
    _crews[environment] = Crew(environment, settings, protocol)


def crew_of(environment: Environment) -> Crew:
    """Return the crew of this process."""
    return _crews[environment]


def disband(environment: Environment) -> None:
    """End the crew of this process, if there is one."""
    if crew := _crews.get(environment):
        crew.close()


@dataclass(slots=True)
class Seats:
    """One connection, and those who share it."""

    taken: int = 0
    client: Client | None = field(default=None)


class Crew:
    """What one process loads with."""

    def __init__(self, environment: Environment, settings: Settings, protocol: Protocol) -> None:
        self._environment = environment
        self.settings = settings
        index = getattr(runner_of(environment), "worker_index", 0)
        self.crowd: Crowd = crowds.make(settings, protocol, f"process {index + 1}", index)
        self.publisher: Callable[[Content], None] | None = None
        """Takes orders, if the publisher is in this process."""
        self._filling = Seats()
        """Seats that are not all taken, so that nobody has connected yet."""
        self._spawning = True
        self._cpu: list[tuple[float, float]] = []
        """(time, CPU seconds) at the beginning and the end of what is measured."""
        self._awaited = 0
        # What users are made of stays as long as they do; to look for garbage in it again and
        # again takes a fifth of the time in which fifty thousand are spawned.
        gc.disable()
        self._greenlets = [self._do(self._attend), self._do(self._count_on)]

    # -- users ----------------------------------------------------------------------------

    def join(self) -> Seats:
        """Give a user a place: on a connection of its own, or on one that others share."""
        seats = self._filling
        seats.taken += 1
        if seats.taken == self.settings.streams:
            self._seat()
        return seats

    def end_spawning(self) -> None:
        """Let those who wait for others to share with connect, once all who were to come have."""
        # On a busy machine Locust says that spawning is over before it is.
        self._spawning = False
        self._seat_the_rest()

    def _seat_the_rest(self) -> None:
        runner = runner_of(self._environment)
        if not self._spawning and runner.user_count >= runner.target_user_count:
            self._seat()

    def _seat(self) -> None:
        seats = self._filling
        if seats.taken:
            self._filling = Seats()
            seats.client = self.crowd.open(seats.taken)

    def leave(self, seats: Seats) -> None:
        """Let a user go; the connection ends when the last of those who share it goes."""
        seats.taken -= 1
        if not seats.taken and seats.client is not None:
            self.crowd.close(seats.client)

    def close(self) -> None:
        """End all connections, then all users, who have nothing left to do.

        Locust would make a greenlet to end each of them, while the crowd reads on: minutes.
        """
        gc.enable()
        gevent.killall(self._greenlets)
        self.crowd.close_all()
        users = runner_of(self._environment).user_greenlets
        users.kill(block=False)
        users.join(CLOSE_SECONDS)

    # -- its own greenlets ----------------------------------------------------------------

    def _attend(self) -> None:
        crowd = self.crowd
        hub = get_hub()
        watcher = hub.loop.io(crowd.fileno(), READ)
        while True:
            due = crowd.due()
            idle = IDLE_SECONDS if due is None else min(IDLE_SECONDS, due - time.monotonic())
            # It waits a little even if there is much to do, so that others come to run.
            gevent.with_timeout(max(0.0005, idle), hub.wait, watcher, timeout_value=None)
            crowd.turn(TURN_SECONDS)

    def _count_on(self) -> None:
        while True:
            gevent.sleep(TELL_SECONDS - time.time() % TELL_SECONDS)
            self._count()
            self._seat_the_rest()

    def _count(self) -> None:
        crowd = self.crowd
        taken = crowd.receipts.take()
        stats = runner_of(self._environment).stats
        statistics.log(stats, "SSE", "event (kernel)", taken["kernel"], taken["bytes"])
        for kind, name in NAMES.items():
            statistics.log(stats, "SSE", name, taken[kind], 0)
        statistics.log_faults(stats, "SSE", "event (kernel)", self.settings.faults(taken["faults"]))
        counts = (crowd.connected, crowd.events, crowd.bytes, crowd.errors, crowd.reconnects)
        self.tell("counts", {"row": [time.time(), *counts]})

    def tell(self, kind: str, content: Content) -> None:
        """Send news to the conductor."""
        send(self._environment, "sse_news", {"kind": kind} | content)

    def _do(self, act: Callable[[], None], *, after: float = 0.0) -> gevent.Greenlet[[], None]:
        """Act in a greenlet, after so many seconds; if that fails, the run does."""

        def acting() -> None:
            try:
                act()
            except Exception as error:
                self.tell("failed", {"reason": repr(error)})
                raise

        return gevent.spawn_later(after, acting)

    # -- orders ---------------------------------------------------------------------------

    def obey(self, order: Content) -> None:
        """Do what the conductor says."""
        match order["do"]:
            case "grow":
                self._spawning = True
                gc.disable()
            case "measure":
                self._measure(order)
            case "await":
                number = order["number"]
                self._do(lambda: self._await(number))
            case "report":
                self._report()
            case "pause" | "resume" | "burst" if self.publisher is not None:
                self.publisher(order)

    def _measure(self, order: Content) -> None:
        gc.collect()
        gc.freeze()
        gc.enable()
        self._cpu = []
        self.crowd.receipts.measure(order["from"], order["to"])
        self._at(order["from"], self._mark)
        self._at(order["to"], self._mark)
        if (at := order.get("drop_all")) is not None:
            self._at(at, self.crowd.drop_all)
        if (stall := order.get("stall")) is not None:
            at, connections, seconds = stall
            self._at(at, lambda: self.crowd.stall(connections, seconds))

    def _at(self, when: int, act: Callable[[], None]) -> None:
        self._do(act, after=max(0.0, (when - time.time_ns()) / 1e9))

    def _mark(self) -> None:
        self._cpu.append((time.time(), time.process_time()))

    def _await(self, number: int) -> None:
        """Say so when everyone has event `number`, and meanwhile how many have not."""
        self._awaited = number
        told = -1
        while self._awaited == number and told != 0:
            behind = self.crowd.behind(number)
            if behind != told:
                self.tell("behind", {"number": number, "clients": behind})
                told = behind
            gevent.sleep(LOOK_SECONDS)

    def _report(self) -> None:
        self.crowd.finish()
        self._mark()
        (began, cpu_before), (ended, cpu_after) = self._cpu[0], self._cpu[1]
        seconds = ended - began
        self._count()
        send_statistics(self._environment)
        cpu = [os.getpid(), seconds, (cpu_after - cpu_before) / seconds]
        self.tell("report", {"report": self.crowd.receipts.report(), "cpu": cpu})
