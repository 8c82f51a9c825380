"""The user classes that listen: a locustfile makes users of one by naming it.

    class Listener(Http2Listener):
        pass

A user is a greenlet that waits until Locust stops it. The crew reads for all.
"""

from __future__ import annotations

from typing import ClassVar

from gevent.hub import Waiter
from locust import User, constant, tag, task
from locust.env import Environment

from .crew import crew_of
from .crowds import Protocol

__all__ = ["EventStreamUser", "Http1Listener", "Http2Listener"]


class EventStreamUser(User):
    """Listens from when it is spawned until it is stopped; Locust's `host` says to whom."""

    abstract = True
    wait_time = constant(0)
    protocol: ClassVar[Protocol]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # Now, and not when its greenlet comes to run: Locust may have said by then that
        # everyone has been spawned, and those who share a connection wait for nobody any more.
        self._seats = crew_of(environment).join()

    @tag("listen")
    @task
    def listen(self) -> None:
        """Wait to be stopped."""
        # Nobody switches here but Locust, when it kills the greenlet. Thousands of users that
        # waited for one event would each be searched for in its list then.
        waiter: Waiter[None] = Waiter()
        waiter.get()

    def on_stop(self) -> None:
        """Leave."""
        crew_of(self.environment).leave(self._seats)


class Http1Listener(EventStreamUser):
    """Holds an HTTP/1.1 connection."""

    abstract = True
    protocol = "http1"


class Http2Listener(EventStreamUser):
    """Is a stream on an HTTP/2 connection, which `--streams` users share."""

    abstract = True
    protocol = "http2"
