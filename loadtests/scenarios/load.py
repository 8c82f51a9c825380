"""What the clients of a variant do: how many, over what, how often, and what happens to them.

Values, and how they are written on Locust's command line (`loadtests/locustfiles` reads that)
and in a manifest. Times in seconds; those of actions count from when measuring began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["SHOWN", "Load", "Protocol"]

Protocol = Literal["http1", "http2"]

SHOWN = {"http1": "HTTP/1.1", "http2": "HTTP/2"}

MERCURE = "/.well-known/mercure"

CONNECTIONS_A_SECOND = {False: 1_500, True: 400}
"""New connections, in clear text and with TLS: what a server on one processor keeps up with."""

STREAMS_A_SECOND = 10_000

WAITS_SECONDS = 300.0
"""What Locust's own waits take at most in each step: for connections, last events, and reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Settings that have the same meaning whichever server they are used on."""

    protocol: Protocol = "http1"
    tls: bool = False
    users: int
    """Clients: connections over HTTP/1.1, streams over HTTP/2."""
    streams: int = 100
    """Of an HTTP/2 connection."""
    windows: Literal["wide", "default"] = "wide"
    rate: float
    """Events a second; 0 if none is published."""
    event_bytes: int = 150
    seconds: float = 60.0
    """For how long is measured."""
    settle: float = 5.0
    """Between the last client's coming and the beginning of measuring."""
    arriving: int | None = None
    """Clients that come in a second; None for what our own server keeps up with."""
    burst: str | None = None
    """`N@S`: N events, all due at S."""
    drop_all_at: float | None = None
    stall: str | None = None
    """`N@S:T`: N connections read nothing for T seconds, from S on."""
    ramp: tuple[int, ...] = ()
    """Numbers of clients, each for `step_seconds`; the last is `users`."""
    step_seconds: float = 15.0
    restart_at: float | None = None
    """When the servers are stopped and started anew: the runner does that, not Locust."""
    publish_path: str = MERCURE
    subscribe_path: str = MERCURE

    @property
    def connections(self) -> int:
        """How many sockets the clients have."""
        return math.ceil(self.users / self.streams) if self.protocol == "http2" else self.users

    @property
    def spawn_rate(self) -> int:
        """Clients that come in a second."""
        if self.arriving is not None:
            return self.arriving
        connections = CONNECTIONS_A_SECOND[self.tls]
        if self.protocol == "http1":
            return connections
        return min(STREAMS_A_SECOND, connections * self.streams)

    @property
    def expects_gap(self) -> bool:
        """A hub that starts anew has no history, and says so to those who come back."""
        return self.restart_at is not None

    @property
    def patience(self) -> float:
        """After how many seconds a Locust has ended that will. It gives up by itself before."""
        needed = self.users / self.spawn_rate + self.measured
        return needed + max(1, len(self.ramp)) * (WAITS_SECONDS + self.settle)

    @property
    def measured(self) -> float:
        """For how long is measured, as planned."""
        return len(self.ramp) * self.step_seconds or self.seconds

    def arguments(self, hubs: Sequence[str], processes: int, output: Path | None) -> list[str]:
        """Return Locust's arguments, after the locustfile; `hubs` are URLs without a path.

        Without an `output` it goes on until it is stopped, and writes nothing.
        """
        given: dict[str, Any] = {
            "processes": processes,
            "users": self.users,
            "spawn-rate": self.spawn_rate,
            "run-time": f"{self.measured:g}s" if output else None,
            "host": hubs[0],
            "hubs": ",".join(hubs) if len(hubs) > 1 else None,
            "topic": "load",
            "rate": f"{self.rate:g}",
            "event-bytes": self.event_bytes,
            "settle": f"{self.settle:g}",
            "sse-output": output,
        }
        if self.protocol == "http2":
            given |= {"streams": self.streams, "windows": self.windows}
        given |= self._actions()
        if self.ramp:
            given["ramp"] = ",".join(map(str, self.ramp))
            given["step-seconds"] = f"{self.step_seconds:g}"
        if self.publish_path != MERCURE:
            given |= {"publish-path": self.publish_path, "subscribe-path": self.subscribe_path}
        written = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return [*written, *(["--expect-gap"] if self.expects_gap else [])]

    def settings(self) -> dict[str, Any]:
        """Return what the manifest says of it, beside users and rate."""
        said: dict[str, Any] = {"event_bytes": self.event_bytes, "spawn_rate": self.spawn_rate}
        if self.protocol == "http2":
            said |= {"streams": self.streams, "windows": self.windows}
        said |= {name.replace("-", "_"): value for name, value in self._actions().items()}
        if self.ramp:
            said |= {"ramp": list(self.ramp), "step_seconds": self.step_seconds}
        said |= {"restart_at": self.restart_at, "expect_gap": self.expects_gap or None}
        return {name: value for name, value in said.items() if value is not None}

    def _actions(self) -> dict[str, Any]:
        at = self.drop_all_at
        return {
            "burst": self.burst,
            "drop-all-at": None if at is None else f"{at:g}",
            "stall": self.stall,
        }
