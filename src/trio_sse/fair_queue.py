"""Who waits, served fairly: whoever sends thousands waits for himself and not before others.

Owns the order only. A source is what can be told apart cheaply and counts as one: an address
of IPv4, a /64 of IPv6 (the least that one customer has, RFC 6177; its addresses are free).
It is the fair queueing of packets (Nagle, RFC 970), for connections.
"""

from __future__ import annotations

import socket
from collections import OrderedDict, deque
from typing import Generic, TypeVar

__all__ = ["FairQueue", "source_of"]

T = TypeVar("T")

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2


class FairQueue(Generic[T]):
    """First in, first out among those of one source; among sources, one of each in turn.

    Putting and taking take the same time however many wait, and however many sources there are.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, source: str, item: T) -> None:
        """Have an item wait."""
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = deque()
        line.append(item)
        self._waiting += 1

    def take(self) -> T:
        """Return whose turn it is. Raises KeyError if nobody waits."""
        source, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[source] = line
        self._waiting -= 1
        return item


def source_of(host: str) -> str:
    """Return what counts as one with an address; of a Unix socket's peers all are one."""
    return _prefix(host) if ":" in host else host


def _prefix(host: str) -> str:
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed.startswith(_MAPPED):
        return socket.inet_ntoa(packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"
