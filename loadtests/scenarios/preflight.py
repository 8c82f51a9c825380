"""What this machine allows: how many processes a load needs, and what to change beforehand.

Pure: facts in, a plan or a refusal out. Refused is only what cannot work; everything else that
makes it slower or less certain is said in a sentence, with what to type.
"""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..proc import available_bytes
from .load import Load

__all__ = ["Facts", "Impossible", "Plan", "plan"]

SPARE_FILES = 200
"""Files of a process beside its connections: Locust's, Python's, listeners, logs."""

SPARE_PORTS = 232
"""Ports of an address that others may have just now."""

# Seen: 25 KiB for a client over HTTP/1.1, 75 KiB with TLS, 11 KiB for one over HTTP/2, with both
# ends and the kernel. Half as much again, for what is on its way when clients fall behind.

CONNECTION_BYTES = 24 * 1024
"""Both ends of a connection: two programs, and what the kernel keeps for them."""

TLS_BYTES = 64 * 1024
"""What both ends need beside that for TLS."""

CLIENT_BYTES = 16 * 1024
"""A Locust user with its greenlet, what is written down of it, and the server's subscriber."""

MIB = 1024 * 1024

MOST_PROCESSES = 64


class Impossible(Exception):
    """Why a load cannot be run here, and what to change, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What limits a load test on a machine."""

    files: int
    """That a process may open: the hard limit."""
    ports: int
    """Of one source address, to one place."""
    memory: int
    """Bytes that are left."""
    waiting: int
    """Connections that may wait to be accepted: net.core.somaxconn."""
    processors: int

    @classmethod
    def here(cls) -> Self:
        """Ask this machine."""
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return cls(
            files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            ports=int(last) - int(first) + 1,
            memory=available_bytes(),
            waiting=int(Path("/proc/sys/net/core/somaxconn").read_text()),
            processors=len(os.sched_getaffinity(0)),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How a load is spread over processes, and what should be known before."""

    servers: int
    clients: int
    """Locust's worker processes."""
    notes: tuple[str, ...] = ()
    """What explains the plan."""
    advice: tuple[str, ...] = ()
    """What makes figures worse or less certain here, and what to do."""


def plan(load: Load, facts: Facts, *, hubs: int = 0) -> Plan:
    """Plan the processes for a load. Raises Impossible.

    `hubs` is how many hubs run elsewhere already; 0 if they are to be started here.
    """
    connections = load.connections
    room = facts.files - SPARE_FILES
    if room < 1:
        raise Impossible(
            f"A process may open {facts.files} files, which is not enough for Locust alone. Raise "
            "the hard limit: `ulimit -Hn 20000` as root, LimitNOFILE= of a service, "
            "--ulimit nofile= of a container."
        )
    # Each client process has source addresses of its own, on loopback.
    servers = hubs or math.ceil(connections / room)
    a_client = min(room, facts.ports - SPARE_PORTS)
    clients = max(math.ceil(connections / a_client), min(facts.processors - 1, connections), 1)
    if servers + clients > MOST_PROCESSES:
        raise Impossible(
            f"{connections:,} connections would take {servers} server and {clients} client "
            f"processes, as each may open {facts.files:,} files. Raise the hard limit "
            "(`ulimit -Hn`), or ask for fewer clients: USERS=."
        )
    if hubs:
        _check_remote(load, facts, hubs)
    advice = (*_on_memory(load, facts), *_on_waiting(load, facts, servers))
    return Plan(servers, clients, _notes(facts, servers, clients) if not hubs else (), advice)


def _check_remote(load: Load, facts: Facts, hubs: int) -> None:
    """To another machine there is one source address, whose ports count for each hub."""
    room = facts.ports - SPARE_PORTS
    if load.connections > room * hubs:
        raise Impossible(
            f"This machine's address has {facts.ports:,} ports for connections to one hub, and "
            f"{load.connections:,} connections are asked for. Name more hubs (--host URL,URL), "
            "ask for fewer, or widen the range: "
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'."
        )


def _on_memory(load: Load, facts: Facts) -> list[str]:
    needed = load.users * CLIENT_BYTES + load.connections * (
        CONNECTION_BYTES + (TLS_BYTES if load.tls else 0)
    )
    if facts.memory * 2 < needed:
        raise Impossible(
            f"{load.users:,} clients take about {needed // MIB:,} MiB of memory, their server "
            f"included, and {facts.memory // MIB:,} MiB are left. Ask for fewer: USERS=."
        )
    if facts.memory < needed:
        return [
            f"{load.users:,} clients take about {needed // MIB:,} MiB of memory, their server "
            f"included, and {facts.memory // MIB:,} MiB are left: it may become slow, or be killed."
        ]
    return []


def _notes(facts: Facts, servers: int, clients: int) -> tuple[str, ...]:
    if servers == 1:
        return ()
    held = "1 client process holds" if clients == 1 else f"{clients} client processes hold"
    return (
        f"a process may open {facts.files:,} files: {servers} hubs share the clients, and {held} "
        "them; with a higher hard limit (`ulimit -Hn`) one hub would do",
    )


def _on_waiting(load: Load, facts: Facts, servers: int) -> list[str]:
    at_once = load.connections // servers
    returns = load.drop_all_at is not None or load.restart_at is not None
    if returns and at_once > facts.waiting:
        return [
            f"{at_once:,} clients come back to each hub at nearly the same time, and "
            f"net.core.somaxconn lets {facts.waiting:,} wait to be accepted: the others try again "
            f"after a second or more. `sysctl -w net.core.somaxconn={at_once}` gives them room."
        ]
    return []
