"""What a run must not do, or cannot: load machines of others, hold more files than it may.

Returns sentences for people; the caller stops.
"""

from __future__ import annotations

import ipaddress
import math
import resource
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["refusal_of_files", "refusal_of_hosts"]

OTHER_FILES = 200
"""Of a Locust process beside its connections: libraries, epoll, pipes, its web page."""


def refusal_of_hosts(hubs: Iterable[str]) -> str | None:
    """Say why these must not be loaded without --allow-remote; None if all are on loopback."""
    for hub in hubs:
        host = urlsplit(hub).hostname or ""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            return f"{hub} cannot be loaded: {host} is not known ({error.strerror or error})."
        for *_, address in found:
            if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
                return (
                    f"{hub} is not on this machine ({address[0]}). A load test can take a server "
                    "down: if it is yours, say so with --allow-remote."
                )
    return None


def refusal_of_files(users: int, processes: int, streams: int) -> str | None:
    """Say what is missing for that many users; raises the soft limit if that is enough."""
    connections = math.ceil(math.ceil(users / processes) / streams)
    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    if not unlimited and needed > hard:
        enough = math.ceil(users / streams / max(1, hard - OTHER_FILES))
        return (
            f"{users:,} users in {processes} processes are {connections:,} connections a process, "
            f"which may open {hard:,} files (ulimit -Hn). Use --processes {enough}, or raise that "
            f"limit to {needed:,}."
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if unlimited else hard, hard))
    return None
