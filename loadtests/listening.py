"""A process that listens on a port of loopback, whoever wrote it; ready when it can be reached."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence

from .processes import Process

__all__ = ["Listening", "free_port"]

STARTUP_SECONDS = 30.0


class Listening(Process):
    """A process that listens on `port` of 127.0.0.1, in clear text or with TLS."""

    def __init__(
        self, argv: Sequence[str], cpus: Iterable[int], port: int, *, cwd: str = "/"
    ) -> None:
        super().__init__(argv, cpus, cwd=cwd)
        self.port = port

    def greet(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + STARTUP_SECONDS
        while True:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise self.failure(f"did not listen within {STARTUP_SECONDS:.0f} s")
            time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
