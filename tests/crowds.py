"""A crowd of the load client within a test, which turns it while it waits for something.

And the project's own server for it, in a process.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGTERM
from typing import Any
from urllib.parse import urlsplit

import httpx

from impostor import PATIENCE, ROOT, Protocol, event
from running import HUB, Running, command, listening

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests import payload
from loadtests.swarm.client import Client
from loadtests.swarm.crowd import Crowd
from loadtests.swarm.merging import merge
from loadtests.swarm.receipts import Receipts
from loadtests.swarm.target import Target
from loadtests.swarm.windows import Width

FOR_EVER = 1 << 62


def due_now(number: int, hub: str = "x") -> bytes:
    """An event for a crowd, which goes by the clock of kernels."""
    return event(number, at=time.time_ns(), hub=hub)


class Gathering:
    """A crowd, and what is told of it."""

    def __init__(self, target: Target, *, expect_gap: bool = False) -> None:
        self.receipts = Receipts("test", expect_gap=expect_gap)
        self.told: list[tuple[str, int]] = []
        """What became of which client: opened, or why it ended."""
        self.crowd = Crowd(target, receipts=self.receipts, listener=self)
        self.receipts.measure(1, FOR_EVER)

    def opened(self, client: Client) -> None:
        self.told.append(("opened", client.number))

    def ended(self, client: Client, reason: str) -> None:
        self.told.append((reason, client.number))

    def until(self, done: Callable[[], object]) -> None:
        """Let the crowd work until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, (self.told, self.receipts.report())
            self.wait(0.01)
            self.crowd.turn()

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until there is something for the crowd to read, and let it lie."""
        select.select([self.crowd], [], [], seconds)

    def have(self, number: int) -> None:
        """Let the crowd work until everyone has that event."""
        self.until(lambda: self.crowd.behind(number) == 0)

    def figures(self) -> dict[str, Any]:
        """Everything that has been measured."""
        self.crowd.finish()
        return merge([self.receipts.report()])


@contextmanager
def gathering(
    ports: Sequence[int],
    protocol: Protocol,
    *,
    clients: int = 1,
    streams: int = 1,
    scheme: str = "http",
    path: str = "/events?topic={topic}",
    windows: Width = "wide",
    expect_gap: bool = False,
) -> Iterator[Gathering]:
    """Clients of the servers at these ports, on their way."""
    urls = [f"{scheme}://127.0.0.1:{port}" for port in ports]
    target = Target.of(urls, protocol=protocol, streams=streams, path=path, windows=windows)
    found = Gathering(target, expect_gap=expect_gap)
    for _ in range(clients):
        found.crowd.open()
    try:
        yield found
    finally:
        found.crowd.close_all()
        found.crowd.shut()


class Hub:
    """The project's own server, in a process."""

    def __init__(self, server: Running) -> None:
        self._server = server
        parts = urlsplit(listening(server))
        self.scheme, self.port = parts.scheme, parts.port or 0
        self._url = f"{parts.scheme}://{parts.netloc}{HUB}"
        self._number = 0

    def publish(self, count: int = 1) -> int:
        """Publish events that are due now; return the number of the last."""
        with httpx.Client(verify=False, trust_env=False) as client:
            for _ in range(count):
                self._number += 1
                data = payload.make("a", self._number, at=time.time_ns())
                client.post(self._url, data={"topic": "a", "data": data}).raise_for_status()
        return self._number

    def stop(self) -> None:
        """Have it say good-bye to all its clients and end."""
        self._server.signal(SIGTERM)

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self._server.process.poll() is not None


@contextmanager
def hub(*arguments: str) -> Iterator[Hub]:
    """A server that tells clients to come back soon."""
    with command("serve", "--port", "0", "--retry", "0.1", *arguments) as server:
        yield Hub(server)
