"""What happens when Locust starts, and when a test does: a locustfile calls `begin()`.

In each process: the arguments, the refusals, the crew. In the one that Locust's user talks to: the
conductor, and the exit code that it comes to.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import gevent
from locust import events
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import MasterRunner

from . import permission
from .conductor import Broken, Conductor, longest, say
from .crew import crew_of, disband, muster
from .crowds import Protocol
from .listeners import EventStreamUser
from .options import add_arguments
from .publisher import EventPublisher
from .seam import Content, hook, is_told, leave_out_idle_users, listen, runner_of
from .settings import Settings

__all__ = ["begin"]

FAILED = 1
REFUSED = 2
"""Exit code of a run that must not begin, or could not go on to its end."""

WORKERS_PATIENCE = 10.0


class Beginning:
    """Of one Locust process."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._settings: Settings | None = None
        """Of a run that began with Locust; else each test has its own, from the web page."""
        self._conductor: Conductor | None = None
        self._leading: gevent.Greenlet[[], None] | None = None
        listen(environment, "sse_order", self._order)
        listen(environment, "sse_news", self._news)
        hook(environment.events.spawning_complete, self._on_spawning_complete)
        hook(environment.events.test_stopping, self._on_test_stopping)
        hook(environment.events.quitting, self._on_quitting)
        options = environment.parsed_options
        if options is None or is_told(environment):
            return
        leave_out_idle_users(environment)
        if options.headless:
            self._prepare()

    def _prepare(self) -> None:
        """Check what is asked for before anything happens, and let the conductor end it."""
        options = self._environment.parsed_options
        assert options is not None
        try:
            self._settings = settings = self._read()
            if settings.seconds is None:
                raise ValueError("Say how long to measure: --run-time 60")
        except ValueError as refusal:
            self._refuse(str(refusal))
        # The publisher is not counted in --users: who asks for 100,000 clients gets them.
        options.num_users = settings.steps[0] + self._publishers
        # Locust counts from the first user on; the conductor ends the run long before this.
        options.run_time = round(longest(settings))

    def _read(self) -> Settings:
        """Return what is asked for; raises ValueError if it cannot or must not be."""
        options = self._environment.parsed_options
        assert options is not None
        named = (user.host for user in self._environment.user_classes if user.host)
        settings = Settings.of(options, self._environment.host or next(named, None))
        if self._protocol() == "http1":
            settings = replace(settings, streams=1)
        if not settings.allow_remote and (refusal := permission.refusal_of_hosts(settings.hubs)):
            raise ValueError(refusal)
        processes = options.processes or options.expect_workers or 1
        users = settings.steps[-1]
        if refusal := permission.refusal_of_files(users, processes, settings.streams):
            raise ValueError(refusal)
        return settings

    def _protocol(self) -> Protocol:
        found = {
            user.protocol
            for user in self._environment.user_classes
            if issubclass(user, EventStreamUser)
        }
        if not found:
            raise ValueError("None of the users that are asked for listens.")
        if len(found) > 1:
            raise ValueError("Run users of HTTP/1.1 and of HTTP/2 one after the other.")
        return found.pop()

    @property
    def _publishers(self) -> int:
        users = self._environment.user_classes
        return sum(user.fixed_count for user in users if issubclass(user, EventPublisher))

    def _refuse(self, sentence: str) -> None:
        say(sentence)
        runner = runner_of(self._environment)
        if isinstance(runner, MasterRunner):
            # Workers wait for their master, for minutes: they are sent home as soon as they come.
            options = self._environment.parsed_options
            deadline = time.monotonic() + WORKERS_PATIENCE
            while options and len(runner.clients.all) < options.expect_workers:
                if time.monotonic() > deadline:
                    break
                gevent.sleep(0.05)
            runner.quit()
        sys.exit(REFUSED)

    # -- messages -------------------------------------------------------------------------

    def _order(self, _: str, content: Content) -> None:
        crew_of(self._environment).obey(content)

    def _news(self, process: str, content: Content) -> None:
        if self._conductor is not None:
            self._conductor.news.hear(process, content)

    # -- a test ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a test."""
        environment = self._environment
        try:
            settings = self._settings or self._read()
            protocol = self._protocol()
        except ValueError as refusal:
            raise StopTest(str(refusal)) from None
        if not isinstance(environment.runner, MasterRunner):
            muster(environment, settings, protocol)
        if not is_told(environment):
            if self._settings is None and not settings.is_ramp:
                settings = replace(settings, seconds=None)
            conductor = self._conductor = Conductor(environment, settings, self._publishers)
            self._leading = gevent.spawn(lambda: self._lead(conductor))

    def _on_spawning_complete(self, **_: object) -> None:
        if not isinstance(self._environment.runner, MasterRunner):
            crew_of(self._environment).end_spawning()

    def _on_test_stopping(self, environment: Environment, **_: object) -> None:
        if self._leading is not None and self._leading is not gevent.getcurrent():
            self._leading.kill()
        disband(environment)

    def _on_quitting(self, environment: Environment, **_: object) -> None:
        if self._settings is not None and environment.process_exit_code is None:
            say("stopped before its end; nothing is written")
            environment.process_exit_code = REFUSED

    def _lead(self, conductor: Conductor) -> None:
        environment, runner = self._environment, runner_of(self._environment)
        code = REFUSED
        try:
            outcome = conductor.lead()
            if outcome is None:
                return
            outcome.write()
            problems = outcome.problems()
            for line in (*outcome.summary(), *(f"FAILED: {problem}" for problem in problems)):
                say(line)
            code = FAILED if problems else 0
        except Broken as broken:
            say(f"broken off: {broken}")
        finally:
            if self._settings is not None:
                environment.process_exit_code = code
                runner.quit()
        if self._settings is None:
            runner.stop()


def begin() -> None:
    """Have Locust do what runs of Server-Sent Events need."""

    beginnings: dict[Environment, Beginning] = {}

    def on_init(environment: Environment, **_: object) -> None:
        beginnings[environment] = Beginning(environment)

    def on_test_start(environment: Environment, **_: object) -> None:
        # A worker may be told to spawn users before it has come to its own event `init`.
        while environment not in beginnings:
            gevent.sleep(0.01)
        beginnings[environment].start()

    hook(events.init_command_line_parser, add_arguments)
    hook(events.init, on_init)
    hook(events.test_start, on_test_start)
