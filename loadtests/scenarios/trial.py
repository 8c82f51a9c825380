"""One variant from start to end: servers, clients, samples, and what is to be said of it.

Raises nothing for a variant that fails: that is an outcome. What it starts ends with it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bench.figures import CannotMeasure
from ..processes import ChildFailed
from .clients import FOUND_WRONG, LOCUST, Clients
from .preflight import Facts, Impossible, plan
from .sampling import FOREIGN, Sampler, costs
from .servers import Hub, hub
from .table import Variant

__all__ = ["Outcome", "Place", "run"]

SECOND = 1.0

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
        outcome.problems.append(str(failure))
    return outcome


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
        if measured is None:
            words = "was stopped" if code is None else f"ended with {code}"
            failure = self._clients.failure(f"{words}, and has not written what it measured")
            self._outcome.problems.append(str(failure))
            return
        if code not in (0, FOUND_WRONG) and not self._outcome.problems:
            self._outcome.problems.append(str(self._clients.failure(f"ended with {code}")))
        self._write(measured)

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
                if time.monotonic() > deadline and self._place.pages is None:
                    raise ChildFailed(
                        f"Locust was not done after {self._load.patience:.0f} s, and was stopped."
                    )
            except ChildFailed as failure:
                self._outcome.problems.append(str(failure))
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
            foreign = self._sampler.foreign(begin, end)
            if foreign > FOREIGN:
                self._outcome.warnings.append(
                    f"Other programs had {foreign:.0%} of the server's processor meanwhile: its "
                    "times are too long by about as much."
                )
