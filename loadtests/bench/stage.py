"""Where a row is measured: sizes, processors, and the processes that it starts.

One stage a row. What a row starts on it ends with the row. Refuses, before anything is
started, what this machine's limits do not allow, and says how to raise them.
"""

from __future__ import annotations

import contextlib
import resource
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from ..payload import SIZE
from ..proc import available_bytes
from .figures import CannotMeasure
from .nchan import Nchan
from .subjects import BareLoop, Swarm, TrioSse

P = TypeVar("P")

__all__ = ["FULL", "QUICK", "Site", "Sizes", "Stage"]

MIB = 1024 * 1024

SPARE_FILES = 200
"""Files of a process beside its connections."""

CONNECTION_BYTES = 64 * 1024
"""Both ends of a connection and what the kernel keeps for it, generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the rows are. Times in seconds."""

    http1: int = 10_000
    http1_interval: float = 0.5
    http1_rounds: int = 7
    """More than of others: what is compared differs by a fifth, and single rounds by as much."""
    burst: int = 1_000
    burst_rate: int = 2_000
    burst_seconds: float = 3.0
    http2: int = 500
    http2_large: int = 1_000
    http2_interval: float = 0.1
    streams: int = 100
    windows_events: int = 150
    windows_interval: float = 0.06
    tls_http1: int = 4_000
    topics: int = 10_000
    topics_rate: int = 2_000
    topics_seconds: float = 4.0
    stalled: int = 1_000
    write_timeout: float = 20.0
    busy_interval: float = 0.1
    growth_http1: tuple[int, ...] = (1_000, 2_000, 5_000, 10_000, 15_000)
    growth_http2: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1_000)
    rounds: int = 3
    events: int = 10
    peers: int = 2_000
    peers_interval: float = 1.0


FULL = Sizes()

QUICK = Sizes(
    http1=200,
    http1_interval=0.02,
    http1_rounds=1,
    burst=50,
    burst_seconds=0.3,
    http2=5,
    http2_large=10,
    http2_interval=0.02,
    streams=20,
    windows_events=50,
    windows_interval=0.01,
    tls_http1=50,
    topics=20,
    topics_seconds=0.3,
    stalled=20,
    write_timeout=2.0,
    busy_interval=0.01,
    growth_http1=(50, 100),
    growth_http2=(2, 5),
    rounds=1,
    events=5,
    peers=100,
    peers_interval=0.1,
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all rows have in common."""

    sizes: Sizes
    server_cpus: tuple[int, ...]
    client_cpus: tuple[int, ...]
    bare_loop: Path
    """The compiled C program."""
    build: Path
    """A folder for what is built, which git ignores."""


class Stage:
    """Starts servers and swarms, and ends them with the `with` block."""

    def __init__(self, site: Site) -> None:
        self.sizes = site.sizes
        self.server_cpus = site.server_cpus
        self.client_cpus = site.client_cpus
        self.build = site.build
        self._site = site
        self._children = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._children.__exit__(kind, value, traceback)

    def needs(self, connections: int, stages: int = 1) -> None:
        """Make sure that a process may hold so many connections. Raises CannotMeasure.

        `stages` is how many such servers there are at once.
        """
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if files < connections + SPARE_FILES:
            raise CannotMeasure(
                f"a process needs {connections + SPARE_FILES} files and may open {files}: "
                "raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of a service)"
            )
        memory = available_bytes()
        wanted = connections * CONNECTION_BYTES * stages
        if memory < wanted:
            raise CannotMeasure(
                f"it takes about {wanted // MIB} MiB of memory, and {memory // MIB} are free"
            )

    def start(self, child: AbstractContextManager[P]) -> P:
        """Have a process, or whatever it may be, end with the stage."""
        return self._children.enter_context(child)

    def trio_sse(self, **settings: Any) -> TrioSse:
        """Start our server; `settings` are those of `loadtests.server_under_test`."""
        return self.start(TrioSse(self.server_cpus, settings))

    def bare_loop(self, connections: int, streams: int = 0, size: int = SIZE) -> BareLoop:
        """Start the C loop; it waits for just these connections."""
        program = self._site.bare_loop
        return self.start(BareLoop(program, self.server_cpus, connections, streams, size))

    def nchan(self) -> Nchan:
        """Start nginx with nchan. Raises CannotMeasure if it is not installed."""
        folder = self.start(tempfile.TemporaryDirectory(prefix="trio-sse-nchan-"))
        return self.start(Nchan(self.server_cpus, folder))

    def swarm(
        self,
        port: int,
        *,
        protocol: Literal["http1", "http2"] = "http1",
        streams: int = 1,
        **settings: Any,
    ) -> Swarm:
        """Start load clients; `settings` are those of `loadtests.swarm`."""
        settings = {"port": port, "protocol": protocol, "streams": streams} | settings
        return self.start(Swarm(self._site.client_cpus, settings))
