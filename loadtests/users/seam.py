"""Where Locust has no types: its event hooks, and messages between its processes.

A message goes by its name; in a run of one process it is handed over at once. What is in it must
be what JSON allows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from locust import argument_parser, runners
from locust.env import Environment
from locust.event import EventHook
from locust.rpc import Message
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner

__all__ = [
    "Content",
    "hook",
    "is_told",
    "leave_out_idle_users",
    "listen",
    "runner_of",
    "send",
    "send_statistics",
    "workers_of",
]

Content = dict[str, Any]

# A worker calls this once for each argument in each message that has it spawn users, and each time
# it builds Locust's whole command line: half a second a message.
argument_parser.default_args_dict = cache(argument_parser.default_args_dict)

runners.HEARTBEAT_LIVENESS = 30
"""Seconds that a worker may be silent. Locust's own 3 end a run in which a worker that has
50,000 users collects its garbage on a processor that it shares."""


def hook(event: EventHook, listener: Callable[..., None]) -> None:
    """Have `listener` called with what Locust says at an event."""
    event.add_listener(listener)  # type: ignore[no-untyped-call]


def runner_of(environment: Environment) -> Runner:
    """Return the runner, which there is from the event `init` on."""
    if environment.runner is None:
        raise RuntimeError("Locust has not made its runner yet")
    return environment.runner


def is_told(environment: Environment) -> bool:
    """Tell whether another process says what is done here."""
    return isinstance(environment.runner, WorkerRunner)


def listen(environment: Environment, name: str, receive: Callable[[str, Content], None]) -> None:
    """Have `receive` called with the sender's name and the content of each message `name`."""

    def heard(environment: Environment, msg: Message) -> None:
        receive(cast(str, msg.node_id), cast(Content, msg.data))

    runner_of(environment).register_message(name, heard)


def send(environment: Environment, name: str, content: Content, to: str | None = None) -> None:
    """Send a message to one worker, to all, or to the master."""
    runner_of(environment).send_message(name, content, to)


def leave_out_idle_users(environment: Environment) -> None:
    """Have no users spawned whose tasks are all left out by --tags or --exclude-tags.

    Locust spawns them, and each fails again and again.
    """
    environment._filter_tasks_by_tags()
    environment.user_classes[:] = [user for user in environment.user_classes if user.tasks]


def send_statistics(environment: Environment) -> None:
    """Have the master know Locust's statistics of this process now, not within 3 seconds."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner._send_stats()


def workers_of(environment: Environment) -> list[str]:
    """Return the names of the processes that have users."""
    runner = runner_of(environment)
    if isinstance(runner, MasterRunner):
        alive = (*runner.clients.ready, *runner.clients.spawning, *runner.clients.running)
        return sorted(worker.id for worker in alive)
    return ["local"] if isinstance(runner, LocalRunner) else []
