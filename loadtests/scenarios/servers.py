"""The servers that are measured, each as its users would start it.

Ours by its command, the same hub as an ASGI application by Hypercorn's, others as
`loadtests.bench` starts them. All listen on loopback, on the processors they are given.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .. import ROOT
from ..bench.nchan import Nchan
from ..bench.peers import ALL, PeerServer, environment
from ..listening import Listening, free_port
from ..proc import Usage, usage
from .load import Load

__all__ = ["Hub", "certificate", "hub"]

BUILD = ROOT / "loadtests" / "build"

DRAIN_SECONDS = 30.0
"""In which a hub that is stopped has told everyone, on a busy machine."""

# What is asked of a limit that many clients of one address would meet; the rest is as installed.
OURS = (
    "-m trio_sse serve --host 127.0.0.1 --port {port} --log-level warning "
    "--max-connections {connections} --max-connections-per-address {connections}"
)

HYPERCORN = (
    "-m hypercorn --worker-class trio --bind 127.0.0.1:{port} --backlog 4096 --log-level warning "
    # Its default of 100 is what our clients open on a connection.
    "trio_sse.asgi:hub()"
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM."""

    chain: Path
    key: Path


class Hub:
    """One server, over its restarts. Ends with the `with` block."""

    def __init__(self, start: Callable[[], Listening], scheme: str) -> None:
        self._start = start
        self._scheme = scheme
        self._children = contextlib.ExitStack()
        self._before = 0.0
        """CPU of processes that have been stopped."""
        self._latest = Usage(0.0, 0)

    def __enter__(self) -> Self:
        self._process = self._children.enter_context(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._children.__exit__(kind, value, traceback)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._process.port}"

    def usage(self) -> Usage:
        """Return what it has used, restarts included, and holds."""
        now = usage(self._process.pid)
        # Never less than before, so that nothing that is used up comes back.
        self._latest = Usage(max(now.cpu, self._latest.cpu), now.resident)
        return Usage(self._before + self._latest.cpu, now.resident)

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        self._process.check()

    def restart(self) -> None:
        """Stop it as an operator would, and start it on the same port. Raises ChildFailed."""
        self.usage()
        if self._process.stop(DRAIN_SECONDS) is None:
            raise self._process.failure(f"did not stop within {DRAIN_SECONDS:.0f} s")
        self._children.close()
        self._before += self._latest.cpu
        self._latest = Usage(0.0, 0)
        self._process = self._children.enter_context(self._start())


def hub(server: str, load: Load, hubs: int, cpus: Iterable[int], folder: Path) -> Hub:
    """Return one of `hubs` servers that share a load. `folder` is for what it needs meanwhile.

    Raises CannotMeasure if it is not installed and cannot be.
    """
    scheme = "https" if load.tls else "http"
    if server == "nchan":
        return Hub(lambda: Nchan(cpus, str(folder)), scheme)
    if server in ALL:
        python = environment(BUILD)
        return Hub(lambda: PeerServer(ALL[server], cpus, python), scheme)
    # The same one after a restart.
    port = free_port()
    # All of them, should the other hubs be gone for a while; and a publisher.
    connections = load.connections + 100
    command = {"trio-sse": OURS, "Hypercorn": HYPERCORN}[server]
    argv = [sys.executable, *command.format(port=port, connections=connections).split()]
    if load.protocol == "http2" and server == "trio-sse":
        argv.append(f"--max-streams={load.streams}")
    if load.tls:
        files = certificate(folder)
        names = ("--tls-cert", "--tls-key") if server == "trio-sse" else ("--certfile", "--keyfile")
        argv += [names[0], str(files.chain), names[1], str(files.key)]
    return Hub(lambda: Listening(argv, cpus, port, cwd=str(ROOT)), scheme)


def certificate(folder: Path) -> Certificate:
    """Make a certificate for 127.0.0.1 that nobody need trust."""
    # Only where it is needed: it takes half a second.
    import trustme

    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    issued.private_key_pem.write_to_path(made.key)
    with made.chain.open("wb") as file:
        for part in issued.cert_chain_pems:
            file.write(part.bytes())
    return made
