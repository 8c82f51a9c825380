"""Leads a run, in the process that Locust's user talks to: from its first connection to its last
event, through one step or, in a ramp, several.

Each step: wait until all are connected, let them settle, have every process measure the same
span of time, stop publishing, wait until everyone has the last event, collect what was received.
Every wait has an end, after which the run goes on with what it has, and fails.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import gevent
from locust.env import Environment

from .crowds import merge
from .news import News
from .outcome import Outcome, Step
from .seam import Content, runner_of, send, workers_of
from .settings import Settings

__all__ = ["Broken", "Conductor", "longest", "say"]

CONNECT_PATIENCE = 120.0
"""Seconds from the last user's spawning until all must be connected."""

LAST_PATIENCE = 120.0
"""Seconds from the end of measuring until everyone must have everything."""

CATCH_UP_PATIENCE = 60.0
REPORT_PATIENCE = 60.0
PAUSE_PATIENCE = 10.0

LEAD_SECONDS = 0.5
LEAD_SECONDS_A_USER = 1 / 25_000
"""Orders are given so long before they are to be carried out: processes collect the garbage that
their users have made first."""

LOOK_SECONDS = 0.1
PROGRESS_SECONDS = 5.0

FOR_EVER = 2**62
"""ns, as far as processes know that nobody has said how long is measured."""


def say(text: str) -> None:
    """Tell people, and the program that runs this one, how it goes."""
    print(f"sse: {text}", file=sys.stderr, flush=True)


def longest(settings: Settings) -> float:
    """Return how long a run may take at most, in seconds."""
    waits = CONNECT_PATIENCE + CATCH_UP_PATIENCE + _lead(settings.steps[-1])
    waits += PAUSE_PATIENCE + 2 * LAST_PATIENCE + REPORT_PATIENCE
    stall = sum(settings.stall[1:]) if settings.stall else 0.0
    each = waits + settings.settle + stall + (settings.seconds or 0.0)
    return len(settings.steps) * each + settings.steps[-1] / settings.spawn_rate


class Broken(Exception):
    """Why a run cannot go on, in a sentence."""


class Conductor:
    """Of one test. `news` is to be fed with what other processes tell."""

    def __init__(self, environment: Environment, settings: Settings, publishers: int) -> None:
        """`publishers` are users too, but no clients."""
        self._publishers = publishers
        self._environment = environment
        self._settings = settings
        self.news = News()
        self._workers = workers_of(environment)
        self._start = time.time()
        self._steps: list[Step] = []

    def lead(self) -> Outcome | None:
        """Lead the run to its end; None if others are to end it. Raises Broken."""
        for users in self._settings.steps:
            if self._settings.is_ramp:
                self._grow(users)
            if not self._measure(users):
                return None
        return Outcome(
            settings=self._settings,
            start=self._start,
            end=time.time(),
            steps=self._steps,
            connected=min(self._steps[-1].connected, self.news.connected),
            rows=list(self.news.rows.values()),
            published=self.news.published,
            cpu=list(self.news.cpu.values()),
        )

    # -- a step ---------------------------------------------------------------------------

    def _grow(self, users: int) -> None:
        """Have Locust spawn until there are so many."""
        runner, everyone = runner_of(self._environment), users + self._publishers
        if runner.target_user_count != everyone:
            self._order({"do": "grow"})
            gevent.spawn(runner.start, everyone, self._settings.spawn_rate)

    def _measure(self, users: int) -> bool:
        """Measure with so many; False if it goes on until somebody stops it."""
        settings = self._settings
        self._connect(users)
        self._order({"do": "resume", "rate": settings.rate})
        gevent.sleep(settings.settle)
        # What was held up while they connected is not to be measured.
        if self.news.dues and not self._hand_out(self.news.dues[-1][0], CATCH_UP_PATIENCE):
            say("begins to measure while clients have not caught up")
        connected = self.news.connected
        begin = time.time_ns() + _ns(_lead(users))
        end = FOR_EVER if settings.seconds is None else begin + _ns(settings.seconds)
        self._order_measuring(begin, end)
        if settings.seconds is None:
            return False
        say(f"measuring from {begin / 1e9:.3f} for {settings.seconds:g}")
        self._wait(
            math.inf,
            lambda: time.time_ns() > end,
            lambda: (
                f"measured {min(time.time_ns(), end) / 1e9 - begin / 1e9:.0f} of "
                f"{settings.seconds:g} s, {self.news.connected:,} connected"
            ),
        )
        published = self._see_it_through(begin, end)
        # Who was cut off at the end may have everything, and be still on the way back.
        self._wait(LAST_PATIENCE, lambda: self.news.connected >= connected)
        reports = self._collect()
        self._order({"do": "resume", "rate": settings.connecting_rate})
        self._steps.append(Step(users, connected, begin, end, merge(reports, published)))
        return True

    def _connect(self, users: int) -> None:
        spawning = users / self._settings.spawn_rate
        if self._settings.seconds is None:
            # Somebody at the web page decides how many there are.
            runner = runner_of(self._environment)
            self._wait(
                math.inf,
                lambda: self.news.connected >= runner.target_user_count - self._publishers > 0,
            )
            return
        if not self._wait(
            spawning + CONNECT_PATIENCE,
            lambda: self.news.connected >= users,
            lambda: f"{self.news.connected:,} of {users:,} connected",
        ):
            say(f"goes on without {users - self.news.connected:,} that are not connected")
        else:
            say(f"{users:,} of {users:,} connected after {time.time() - self._start:.1f} s")

    def _order_measuring(self, begin: int, end: int) -> None:
        settings = self._settings
        for index, worker in enumerate(self._workers):
            order: Content = {"do": "measure", "from": begin, "to": end}
            if settings.drop_all_at is not None:
                order["drop_all"] = begin + _ns(settings.drop_all_at)
            if settings.stall is not None:
                connections, at, seconds = settings.stall
                share = len(range(index, connections, len(self._workers)))
                order["stall"] = [begin + _ns(at), share, seconds]
            self._order(order, worker)
        if settings.burst is not None:
            events, at = settings.burst
            self._order({"do": "burst", "count": events, "at": begin + _ns(at)})
        self.news.has_paused = False
        self._order({"do": "pause", "at": end})

    def _see_it_through(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Wait until everyone has what was published; return that, as (number, due)."""
        news = self.news
        if news.published is None:
            return []
        if not self._wait(PAUSE_PATIENCE, lambda: news.has_paused):
            say("the publisher has not come to its end")
        published = news.dues_between(begin, end)
        if published:
            stalled_until = sum(self._settings.stall[1:]) if self._settings.stall else 0.0
            patience = LAST_PATIENCE + max(0.0, begin / 1e9 + stalled_until - time.time())
            self._hand_out(max(published)[0], patience)
        return published

    def _hand_out(self, number: int, patience: float) -> bool:
        """Wait until everyone has an event; False if they have not in time."""
        news, everyone = self.news, len(self._workers)
        news.await_event(number)
        self._order({"do": "await", "number": number})
        return self._wait(
            patience,
            lambda: len(news.behind) == everyone and not any(news.behind.values()),
            lambda: f"{sum(news.behind.values()):,} clients still wait for event {number}",
        )

    def _collect(self) -> list[Content]:
        news, everyone = self.news, len(self._workers)
        news.reports = {}
        self._order({"do": "report"})
        if not self._wait(REPORT_PATIENCE, lambda: len(news.reports) == everyone):
            raise Broken(f"only {len(news.reports)} of {everyone} processes have reported")
        return list(news.reports.values())

    # -- orders and waits -----------------------------------------------------------------

    def _order(self, order: Content, worker: str | None = None) -> None:
        send(self._environment, "sse_order", order, worker)

    def _wait(
        self,
        seconds: float,
        done: Callable[[], bool],
        progress: Callable[[], str] | None = None,
    ) -> bool:
        """Wait until it is done, at most so long; say now and then how it goes."""
        begun = time.monotonic()
        next_saying = begun + PROGRESS_SECONDS
        while not done():
            now = time.monotonic()
            if now - begun > seconds:
                return False
            if self.news.failure is not None:
                raise Broken(f"a process with users failed: {self.news.failure}")
            if missing := set(self._workers) - set(workers_of(self._environment)):
                raise Broken(f"{len(missing)} of the processes with users are gone")
            if progress is not None and now > next_saying:
                say(progress())
                next_saying += PROGRESS_SECONDS
            gevent.sleep(LOOK_SECONDS)
        return True


def _lead(users: int) -> float:
    return LEAD_SECONDS + users * LEAD_SECONDS_A_USER


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
