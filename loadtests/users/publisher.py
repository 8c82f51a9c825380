"""The user that publishes: there is one, whatever `--users` says, and it is not counted there.

It drives a process of its own (`publishing`), so that it is on time when this one is busy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gevent import subprocess
from locust import User, constant, tag, task
from locust.env import Environment
from locust.exception import StopUser

from . import statistics
from .crew import crew_of
from .seam import Content, runner_of
from .settings import Settings

__all__ = ["EventPublisher"]

ROOT = Path(__file__).parents[2]
END_SECONDS = 2.0


class EventPublisher(User):
    """Publishes from when it is spawned until it is stopped, at `--rate`, to every hub."""

    abstract = True
    fixed_count = 1
    wait_time = constant(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._child: subprocess.Popen[bytes] | None = None

    @tag("publish")
    @task
    def publish(self) -> None:
        """Start the process, and hear what it says."""
        crew = crew_of(self.environment)
        child = self._child = _start(crew.settings)
        assert child.stdout is not None
        crew.publisher = self._order
        for line in child.stdout:
            said: Content = json.loads(line)
            stats = runner_of(self.environment).stats
            statistics.log(stats, "POST", "publish", dict(said.pop("answered")), 0)
            crew.tell("published", said)
        reason = f"the publisher's process ended with exit code {child.wait()}"
        crew.tell("failed", {"reason": reason})
        raise StopUser

    def on_stop(self) -> None:
        """End the process."""
        if self._child is None:
            return
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _order(self, order: Content) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        self._child.stdin.flush()


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    arguments = {
        "hubs": settings.hubs,
        "path": settings.publish_path,
        "topic": settings.topic,
        "size": settings.event_bytes,
        "rate": settings.connecting_rate,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.users.publishing", json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        # Ctrl-C is for Locust, which ends it in order.
        start_new_session=True,
    )
