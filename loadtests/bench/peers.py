"""Other servers, measured as ours is: the rows of `--peers`.

Each runs with one worker on the server's processor, in an environment of its own that is made
when it is first needed. Figures, no verdicts: they do more, or other things, than we do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from .. import ROOT
from ..listening import free_port
from ..payload import SIZE
from .fanout import FanOut, faults, remarks, side_by_side
from .figures import CannotMeasure, Figure, Row
from .posting import Posting
from .stage import Stage
from .subjects import Publisher

__all__ = ["ALL", "PEERS", "Peer", "PeerServer", "environment"]

Kind = Literal["http1", "http2"]

AT_ONCE = 32
"""Connections that may wait for an answer: some peers let only 100 wait to be accepted."""

WARM_UP = 20


ASGI = "loadtests.peers.asgi_asyncio:app"
TRIO = "loadtests.peers.asgi_trio:app"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and how it is started in its environment."""

    title: str
    command: str
    """Arguments after its own Python; `{port}` is put in."""
    protocols: tuple[Kind, ...] = ("http1",)


ALL = {
    "uvicorn": Peer(
        "uvicorn, bare ASGI",
        f"-m uvicorn {ASGI} --port {{port}} --log-level warning --no-access-log",
    ),
    "sse-starlette": Peer(
        "sse-starlette on uvicorn",
        "-m uvicorn loadtests.peers.starlette_app:app --port {port} --log-level warning "
        "--no-access-log",
    ),
    "granian": Peer(
        "Granian, bare ASGI",
        f"-m granian --interface asgi {ASGI} --port {{port}} --log-level warning "
        # Its default is 1,024 requests at a time.
        "--backlog 4096 --backpressure 20000",
        ("http1", "http2"),
    ),
    "hypercorn": Peer(
        "Hypercorn, uvloop worker, bare ASGI",
        f"-m hypercorn {ASGI} --bind 127.0.0.1:{{port}} --worker-class uvloop --log-level warning",
        ("http1", "http2"),
    ),
    "hypercorn-trio": Peer(
        "Hypercorn, Trio worker, bare ASGI",
        f"-m hypercorn {TRIO} --bind 127.0.0.1:{{port}} --worker-class trio --log-level warning",
        ("http1", "http2"),
    ),
}


class PeerServer(Posting):
    """A peer at work."""

    def __init__(self, peer: Peer, cpus: Iterable[int], python: Path) -> None:
        port = free_port()
        command = peer.command.format(port=port).split()
        super().__init__([str(python), *command], cpus, port, cwd=str(ROOT))


class Measurable(Publisher, Protocol):
    """What can be measured here."""

    port: int

    def resident(self) -> int:
        """Return the bytes of memory that it has."""


def _trio_sse(stage: Stage) -> Row:
    return _row(stage, "trio-sse", "trio-sse", stage.trio_sse, ("http1", "http2"))


def _nchan(stage: Stage) -> Row:
    return _row(stage, "nchan", "nchan, nginx's module", stage.nchan, ("http1",))


def _peer(name: str, peer: Peer) -> Callable[[Stage], Row]:
    def row(stage: Stage) -> Row:
        python = environment(stage.build)

        def start() -> PeerServer:
            return stage.start(PeerServer(peer, stage.server_cpus, python))

        return _row(stage, name, peer.title, start, peer.protocols)

    return row


def _row(
    stage: Stage,
    name: str,
    title: str,
    start: Callable[[], Measurable],
    protocols: Sequence[Kind],
) -> Row:
    figures: list[Figure] = []
    notes: list[str] = []
    wrong: dict[str, int] = {}
    for protocol in protocols:
        made, result = _measure(stage, start(), protocol)
        figures += made
        notes += remarks(**{protocol: result})
        wrong |= faults(result)
    return Row(name, title, tuple(figures), tuple(notes), wrong)


def _measure(stage: Stage, server: Measurable, protocol: Kind) -> tuple[list[Figure], FanOut]:
    sizes = stage.sizes
    streams = sizes.streams if protocol == "http2" else 1
    connections = sizes.peers // streams
    swarm = stage.swarm(server.port, protocol=protocol, streams=streams, at_once=AT_ONCE)
    swarm.connect(min(WARM_UP, connections // 2))
    before, already = server.resident(), swarm.size
    opening = swarm.connect(connections - already // streams)
    memory = (server.resident() - before) / (swarm.size - already)
    (result,) = side_by_side(
        [(server, swarm)], sizes.rounds, sizes.events // 2, sizes.peers_interval, SIZE
    )
    shown = {"http1": "HTTP/1.1", "http2": "HTTP/2"}[protocol]
    shown = f"{shown}, {swarm.size:,} subscribers"
    return [
        Figure(f"{shown}: server CPU a delivery", result.cpu, "µs"),
        Figure(f"{shown}: last client served", result.last_client, "ms"),
        Figure(f"{shown}: memory a subscriber", memory / 1024, "KiB"),
        Figure(f"{shown}: subscribers a second", opening["opened"] / opening["took"], "/s"),
    ], result


def environment(build: Path) -> Path:
    """Return the Python that has the peers installed; installs them if that is still to do."""
    wanted = (ROOT / "loadtests" / "peers.txt").read_text()
    folder = build / "peers"
    ready, python = folder / "installed.txt", folder / "bin" / "python"
    if not ready.exists() or ready.read_text() != wanted:
        print("  installing other servers …", flush=True)
        requirements = str(ROOT / "loadtests" / "peers.txt")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "-r", requirements], check=True
            )
        except subprocess.CalledProcessError as error:
            raise CannotMeasure(f"the other servers cannot be installed: {error}") from None
        ready.write_text(wanted)
    return python


PEERS: dict[str, Callable[[Stage], Row]] = {
    "trio-sse": _trio_sse,
    "nchan": _nchan,
    **{name: _peer(name, peer) for name, peer in ALL.items()},
}
