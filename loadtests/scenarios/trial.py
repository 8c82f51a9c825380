"""One variant from start to end: servers, clients, samples, and what is to be said of it.

Raises nothing for a variant that fails: that is an outcome. What it starts ends with it.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bench.figures import CannotMeasure
from ..processes import ChildFailed
from ..report import variants
from ..report.judging import failures
from .clients import FAILED, FOUND_WRONG, LOCUST, Clients
from .preflight import Facts, Impossible, plan
from .sampling import Sampler, costs, wait_for_the_kernel
from .servers import Hub, hub
from .table import Variant

__all__ = ["Outcome", "Place", "run"]

SECOND = 1.0

BROKEN = re.compile(r"broken off|stopped before")
"""How Locust says why it has not written what it measured."""

LAST_WORDS_SECONDS = 10.0
"""In which Locust ends that was asked to, and writes what it has measured so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where all variants are measured."""

    server_cpus: tuple[int, ...]
    client_cpus: tuple[int, ...]
    elsewhere: tuple[str, ...] = ()
    """URLs of hubs that run already; empty if they are to be started."""
    more: tuple[str, ...] = ()
    """Further arguments for Locust."""
    pages: int | None = None
    """The port of Locust's own pages, if a person works with them until Ctrl-C."""
    locust: Sequence[str] = LOCUST
    tell: Callable[[str], None]
    """Shows a person how far it is."""


@dataclass(slots=True)
class Outcome:
    """What came of a variant: an entry of the manifest, and one of the raw data."""

    variant: Variant
    skipped: str | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    raw: dict[str, Any] | None = None
    servers: int = 0
    clients: int = 0
    foreign: float | None = None
    """Which part of the servers' processor other programs had meanwhile, if there are ours."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The entry of the manifest."""
        load = self.variant.load
        processes = {"server_processes": self.servers, "client_processes": self.clients}
        return {
            "name": self.variant.name,
            "server": self.variant.server,
            "protocol": load.protocol,
            "tls": load.tls,
            "users": load.users,
            "rate": load.rate,
            "settings": load.settings() | processes,
            "ok": self.skipped is None and not self.problems and self.raw is not None,
            "problems": self.problems,
            "skipped": self.skipped,
        }


def run(variant: Variant, place: Place) -> Outcome:
    """Measure it. Blocks until that is done, and for a time that has an end."""
    outcome = Outcome(variant)
    try:
        planned = plan(variant.load, Facts.here(), hubs=len(place.elsewhere))
        outcome.servers, outcome.clients = planned.servers, planned.clients
        outcome.warnings += planned.advice
        for words in planned.notes + planned.advice:
            place.tell(words)
        with contextlib.ExitStack() as ending:
            _Trial(outcome, place, ending).run()
    except (CannotMeasure, Impossible) as reason:
        outcome.skipped = str(reason)
    except ChildFailed as failure:
        place.tell(str(failure))
        outcome.problems.append(_sentence("A server or Locust", failure))
    return outcome


def _sentence(who: str, failure: ChildFailed) -> str:
    """Return what reports say of a failure: no paths, and no more than its last word."""
    last = f"; it said: {failure.last}" if failure.last else ""
    return f"{who} {failure.what}{last}."


class _Trial:
    """What runs at one time."""

    def __init__(self, outcome: Outcome, place: Place, ending: contextlib.ExitStack) -> None:
        self._outcome = outcome
        self._load = outcome.variant.load
        self._place = place
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="trio-sse-load-")))
        self._hubs = [] if place.elsewhere else self._serve(folder, ending)
        self._sampler = Sampler(self._hubs, place.server_cpus)
        urls = place.elsewhere or [each.url for each in self._hubs]
        wait_for_the_kernel()
        self._sampler.take()
        self._clients = ending.enter_context(
            Clients(
                self._load, urls, outcome.clients, place.client_cpus, folder,
                more=place.more, port=place.pages, locust=place.locust,
            )
        )  # fmt: skip
        self._restarted = self._load.restart_at is None or not self._hubs

    def _serve(self, folder: Path, ending: contextlib.ExitStack) -> list[Hub]:
        started = []
        for number in range(self._outcome.servers):
            own = folder / str(number)
            own.mkdir()
            cpus = self._place.server_cpus
            server = hub(self._outcome.variant.server, self._load, self._outcome.servers, cpus, own)
            started.append(ending.enter_context(server))
        return started

    def run(self) -> None:
        """Go on until Locust has ended, and write down what came of it."""
        try:
            code = self._watch()
        except KeyboardInterrupt:
            if self._place.pages is None:
                raise
            self._clients.stop(LAST_WORDS_SECONDS)
            return
        self._sampler.take()
        self._show()
        measured = self._clients.measured()
        ended = "was stopped" if code is None else f"ended with {code}"
        if measured is None:
            self._fail(f"{ended}, and has not written what it measured")
            return
        if code not in (0, FOUND_WRONG) and not self._outcome.problems:
            self._fail(ended)
        self._write(measured)
        if code == FOUND_WRONG:
            self._explain()

    def _fail(self, what: str) -> None:
        """Locust has failed, by itself or because a server did."""
        failure = self._clients.failure(what)
        self._place.tell(str(failure))
        # Worth more than the last line of its log, which says that it shuts down.
        failure.last = next(filter(BROKEN.match, self._clients.told), failure.last)
        self._outcome.problems.append(_sentence("Locust", failure))

    def _explain(self) -> None:
        """Locust found something wrong: let it say what, unless reports see that in the figures."""
        found = [words for words in self._clients.told if words.startswith(FAILED)]
        if not failures(variants.Variant(self._outcome.manifest, self._outcome.raw)):
            self._outcome.problems += [words.removeprefix(FAILED) for words in found] or [
                "Locust ended with 1, and has not said why"
            ]

    def _watch(self) -> int | None:
        """Return Locust's exit code, None if it had to be stopped."""
        deadline = time.monotonic() + self._load.patience
        tick = time.monotonic()
        while True:
            tick = max(tick + SECOND, time.monotonic())
            code = self._clients.ended(max(0.0, tick - time.monotonic()))
            if code is not None:
                return code
            self._sampler.take()
            self._show()
            try:
                for each in self._hubs:
                    each.check()
                self._restart_if_due()
            except ChildFailed as failure:
                self._place.tell(str(failure))
                self._outcome.problems.append(_sentence("A server", failure))
                self._clients.stop(LAST_WORDS_SECONDS)
                return None
            if time.monotonic() > deadline and self._place.pages is None:
                self._clients.stop(LAST_WORDS_SECONDS)
                return None

    def _restart_if_due(self) -> None:
        begun = self._clients.measuring_since
        if self._restarted or begun is None or self._load.restart_at is None:
            return
        if time.time() >= begun + self._load.restart_at:
            self._restarted = True
            self._place.tell("the server is stopped and started anew")
            for each in self._hubs:
                each.restart()

    def _show(self) -> None:
        told = self._clients.news()
        if told and self._hubs:
            busy, resident = self._sampler.lately()
            told[-1] += f"; server {busy:.0%} busy, {resident / 2**20:,.0f} MiB"
        for words in told:
            self._place.tell(words)

    def _write(self, measured: dict[str, Any]) -> None:
        samples = self._sampler.samples if self._hubs else []
        server = costs(self._load, measured, samples) if self._hubs else {}
        server["processes"] = len(self._hubs) or len(self._place.elsewhere)
        self._outcome.raw = measured | {"server_samples": samples, "server": server}
        if not self._restarted:
            self._outcome.problems.append("The server was never restarted: measuring did not begin")
        begin, end = measured.get("measured_from"), measured.get("measured_to")
        if self._hubs and begin and end:
            self._outcome.foreign = self._sampler.foreign(begin, end)
