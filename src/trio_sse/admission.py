"""Who is let in: the limits on connections, and what those hear who come when there is no room.

Counts connections in all, per address and per network, and how fast they come, and turns away
who is one too many.
That is done politely, with a 503 that says when to come back, as long as only a few are being
turned away: in a storm there is no time for it. An `EventSource` takes a 503 for the last
word and never comes back by itself (WHATWG, 9.2.3), so a server may answer those with a stream
that ends at once, after telling them when to return.

Owns no connection that is let in, and no socket for longer than a second.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections import Counter, OrderedDict

import trio

from .fair_queue import source_of
from .limits import Limits
from .message import Peer
from .wire.budget import Allowance

__all__ = ["Admission"]

MOST_AT_A_TIME = 32
"""Sockets of those who are being turned away; beyond, they are just closed. Half of the files
that a process has to spare when all its connections are open (`cli.process`)."""

TURNED_AWAY_PER_SECOND = 100
"""Those who are told so. It costs as much as a request, and in a flood the next is always there."""

WORDS_SECONDS = 1.0
"""How long one of them may take to say what it wants and to hear the answer."""

HEAD_BYTES = 8 * 1024

SOURCES = 10_000
"""Addresses whose rate is known; those are forgotten that have not come for longest."""

TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 27\r\n"
    b"Retry-After: %d\r\nConnection: close\r\n\r\nToo many connections here.\n"
)

# A page of another origin must be allowed to read it, or its EventSource gives up all the same.
# There is nothing in it that anybody could not know.
LATER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n%b"
    b"Connection: close\r\n\r\nretry: %d\n\n"
)
ALLOW = b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Allow-Credentials: true\r\n"

_EVENT_SOURCE = re.compile(rb"\r\naccept:[^\r\n]*text/event-stream", re.IGNORECASE)
_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([!-~]+)", re.IGNORECASE)


class Admission:
    """The counts of one server. Times are in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_host: Counter[str] = Counter()
        self._by_network: Counter[str] = Counter()
        self._rates: OrderedDict[str, Allowance] = OrderedDict()
        self._turning_away = 0
        self._words = Allowance(TURNED_AWAY_PER_SECOND)
        self.open = 0
        """Connections that are in."""
        self.turned_away = 0
        """Connections, ever, for which there was no room."""

    def admit(self, peer: Peer, now: float) -> bool:
        """Count a connection; False, and nothing is counted, if it is one too many."""
        limits = self._limits
        network = _network(peer.host)
        if (
            self.open >= limits.max_connections
            or self._by_host[peer.host] >= limits.max_connections_per_address
            or self._by_network[network] >= limits.max_connections_per_network
            or self._is_too_fast(peer, now)
        ):
            self.turned_away += 1
            return False
        self.open += 1
        self._by_host[peer.host] += 1
        self._by_network[network] += 1
        return True

    def leave(self, peer: Peer) -> None:
        """Count a connection that has ended."""
        self.open -= 1
        for counter, key in ((self._by_host, peer.host), (self._by_network, _network(peer.host))):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def _is_too_fast(self, peer: Peer, now: float) -> bool:
        rate = self._limits.max_connects_per_second
        if rate is None:
            return False
        source = source_of(peer.host)
        allowance = self._rates.get(source)
        if allowance is None:
            if len(self._rates) >= SOURCES:
                self._rates.popitem(last=False)
            allowance = self._rates[source] = Allowance(rate)
        self._rates.move_to_end(source)
        return not allowance.spend(1, now)

    def turn_away(self, sock: socket.socket, delay: float, nursery: trio.Nursery) -> None:
        """Have a task say, in clear text, to come back in `delay` seconds, and close the socket.

        If there is no time for that, it is closed at once.
        """
        # Counted here and not in the task: a hundred may come in one turn of the event loop.
        if self._turning_away < MOST_AT_A_TIME and self._words.spend(1, trio.current_time()):
            self._turning_away += 1
            nursery.start_soon(self._say_so, sock, delay)
        else:
            sock.close()

    async def _say_so(self, sock: socket.socket, delay: float) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        try:
            with trio.move_on_after(WORDS_SECONDS), contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(self._answer(await self._heard(stream), delay))
                await stream.send_eof()
                # What it still says must be read, or the answer is swept away by a reset.
                while await stream.receive_some(HEAD_BYTES):
                    pass
        finally:
            self._turning_away -= 1
            stream.socket.close()

    async def _heard(self, stream: trio.SocketStream) -> bytes:
        """Return the request's head, if it matters what is in it."""
        head = b""
        if self._limits.retry_when_full is not None:
            while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
                data = await stream.receive_some(HEAD_BYTES)
                if not data:
                    break
                head += data
        return head

    def _answer(self, head: bytes, delay: float) -> bytes:
        retry = self._limits.retry_when_full
        if retry is None or not _EVENT_SOURCE.search(head):
            return TOO_MANY % (1 + round(delay))
        origin = _ORIGIN.search(head)
        allowed = ALLOW % origin[1] if origin else b""
        return LATER % (allowed, 1000 * (retry + delay))


def _network(host: str) -> str:
    """Return what an address is counted with: the same /24 of IPv4, or the same /64 of IPv6.

    A /64 is what one customer has at the least (RFC 6177), so its addresses say nothing. A Unix
    socket has no address.
    """
    source = source_of(host)
    # A whole number of bytes, so it need not be worked out, or remembered: what is remembered of
    # a storm keeps the memory that it lies in.
    return source if ":" in source else source.rpartition(".")[0] or source
