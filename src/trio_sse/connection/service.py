"""What all connections of one server share: routes, limits, counters, and whether it drains.

Owns no connection; `server` does. Counters only grow, so that whoever reads them can take
differences.
"""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from dataclasses import dataclass, field

import trio

from ..accept_encoding import accepts_deflate
from ..coding import Coding, Deflated
from ..limits import Limits
from ..message import Peer, Request, Response
from ..routes import Decision, Follow, Routes
from ..transport import Broken, Vanished
from ..wire import Refused
from ..wire.budget import Allowance
from .outbox import Stalled
from .overstaying import Handlers
from .turns import Turns

__all__ = ["Counters", "Service"]

logger = logging.getLogger("trio_sse.connection")

OFFENCE_LINES_PER_SECOND = 1
"""A flood of bad peers must not become a flood of lines, and ten of them at once are enough to
see what is the matter. They are INFO, as in nginx: a server has done nothing wrong."""

SHORTEST_LIFE = 0.9
"""The part of `max_lifetime` that a stream lives at least: streams that began together need not
come back together."""

LONGEST_LEISURE = 60.0
"""For how many seconds a connection may keep what none of its tasks needs any more."""

HANDSHAKES_SECONDS = 0.002
"""What handshakes may take of a turn of the event loop: eight of them. A full one is a key exchange
and a signature: a quarter of a millisecond of this one processor with a certificate of ECDSA,
half of one with RSA, for which a client pays next to nothing."""

HEARING_SECONDS = 0.004
"""What reading frames may take of a turn: requests that are taken back are 0.1 ms each, and a
hundred connections that send them made all others wait for seconds."""

OFFENCES = {400: "malformed", 408: "too_late", 413: "body_too_large", 431: "head_too_large"}
"""What a client did whose request was refused with this status."""


@dataclass(slots=True)
class Counters:
    """Events in the life of a server, counted since its start."""

    connections: int = 0
    requests: int = 0
    streams: int = 0
    """Streams opened: followers and handlers."""
    open_streams: int = 0
    refused: int = 0
    """Requests answered without asking the application: malformed, too large, too late."""
    failed: int = 0
    """Handlers, endpoints and connections that raised."""
    drops: Counter[str] = field(default_factory=Counter)
    """Connections and streams ended because the peer took or answered nothing in time, by what it
    did not do."""
    overstayed: int = 0
    """Handlers that were told to stop and went on."""
    idle: int = 0
    """Connections ended because nothing was asked on them for too long."""
    held: int = 0
    """How often something held the event loop for too long."""
    offences: Counter[str] = field(default_factory=Counter)
    """Connections ended because of what the peer did, by a word for what it was."""


@dataclass(slots=True)
class Service:
    """The server, as its connections see it."""

    routes: Routes
    limits: Limits
    counters: Counters = field(default_factory=Counters)
    draining: bool = False
    random: random.Random = field(default_factory=random.Random)
    """Injected, so that tests can say what jitter is."""
    lines: Allowance = field(default_factory=lambda: Allowance(OFFENCE_LINES_PER_SECOND))
    """What the log takes of peers' offences; the counters take them all."""
    handshakes: Turns = field(default_factory=lambda: Turns(HANDSHAKES_SECONDS))
    """Those of TLS that are under way."""
    hearing: Turns = field(default_factory=lambda: Turns(HEARING_SECONDS))
    """What clients say over HTTP/2, where a few bytes may be much work."""
    coding: Coding | None = field(init=False)
    """How followers that accept it are sent what they follow; None if that is off."""
    handlers: Handlers = field(init=False)
    """Those that run."""

    tick: float = field(init=False)
    """How often connections look after what time brings them, in seconds."""
    silence: float = field(init=False)
    """After how long without an event a heartbeat is due: a tick early, so that at the latest
    possible tick it is not late."""
    leisure: float = field(init=False)
    """For how long no connection needs to be looked after whose streams have yet to begin, in
    seconds: until then none of them is too silent or too old."""

    def __post_init__(self) -> None:
        self.tick = _tick(self.limits)
        self.silence = self.limits.heartbeat - self.tick
        lifetime = self.limits.max_lifetime
        shortest_life = math.inf if lifetime is None else SHORTEST_LIFE * lifetime
        self.leisure = min(self.silence, shortest_life, LONGEST_LEISURE)
        above = self.limits.compress_above
        self.coding = None if above is None else Coding(above)
        self.handlers = Handlers(self.limits.stop_timeout, self._overstayed)

    def decide(self, request: Request) -> Decision:
        """Ask the routes, unless the server is about to stop (503, with a spread-out retry).

        An endpoint that raises is logged and answered with 500.
        """
        self.counters.requests += 1
        if self.draining:
            return self.about_to_stop()
        try:
            return self.routes.decide(request)
        except Exception:
            self.counters.failed += 1
            logger.exception("The endpoint of %.200r failed", request.path)
            return Response.text(500, "Something went wrong here; it has been noted.")

    def negotiate(
        self, request: Request, decision: Follow
    ) -> tuple[tuple[tuple[str, str], ...], Deflated | None]:
        """Return a follower's headers, and the body that it is sent; None: as it is, uncoded."""
        if self.coding is None:
            return decision.headers, None
        # Also to who gets it uncoded: a cache must not take that for everyone's (RFC 9110, 12.5.5).
        headers = (*decision.headers, ("vary", "accept-encoding"))
        if not accepts_deflate(request.headers.get_all("accept-encoding")):
            return headers, None
        return (*headers, ("content-encoding", "deflate")), Deflated(self.coding)

    def about_to_stop(self) -> Response:
        """Return the answer to who comes too late."""
        later = str(1 + round(self.reconnect_delay()))
        return Response.text(503, "This server is about to stop.", ("retry-after", later))

    def stream_opened(self) -> None:
        """Count a stream that begins."""
        self.counters.streams += 1
        self.counters.open_streams += 1

    def stream_closed(self) -> None:
        """Count a stream that is over, for whatever reason."""
        self.counters.open_streams -= 1

    def connection_broke(self, peer: Peer, error: Broken) -> None:
        """Note that a connection is of no use any more. Clients leave: that is no error."""
        if isinstance(error, Stalled):
            self.dropped(peer, "took_nothing", str(error))
        elif isinstance(error, Vanished):
            self.dropped(peer, "vanished", str(error))
        else:
            logger.debug("%s: %s", peer, error)

    def dropped(self, peer: Peer, drop: str, reason: str) -> None:
        """Count a connection or stream that ends because its peer did nothing for too long.

        It is logged at level DEBUG only, unlike an offence: clients leave without a word all the
        time, and there may be thousands of them at once.
        """
        self.counters.drops[drop] += 1
        logger.debug("%s: dropped for %s: %s", peer, drop, reason)

    def _overstayed(self) -> None:
        self.counters.overstayed += 1

    def held(self) -> None:
        """Count that something held the event loop. May be called from any thread."""
        self.counters.held += 1

    def offended(self, peer: Peer, offence: str, reason: str) -> None:
        """Count a connection that ends because of what its peer did, and name it in the log."""
        self.counters.offences[offence] += 1
        if self.lines.spend(1, trio.current_time()):
            logger.info("%s: sent away for %s: %s", peer, offence, reason)

    def refused_for_good(self, peer: Peer, refused: Refused, *, left: bool) -> None:
        """Note a request whose refusal ends the connection, as it does on HTTP/1.x.

        It is no offence if the client has `left` before it was complete: networks break.
        """
        self.counters.refused += 1
        if left:
            logger.debug("%s: left in the middle of a request", peer)
            return
        self.offended(peer, OFFENCES.get(refused.status, "unsupported"), refused.reason)

    def reconnect_delay(self) -> float:
        """Return a random part of the reconnect spread, in seconds."""
        return self.random.random() * self.limits.reconnect_spread

    def expiry(self, now: float) -> float | None:
        """Return when a stream opened `now` has lived long enough, or None for never.

        A tick early, so that at the latest possible tick it is not too old.
        """
        lifetime = self.limits.max_lifetime
        if lifetime is None:
            return None
        latest = lifetime - self.tick
        return now + latest - self.random.random() * (latest - SHORTEST_LIFE * lifetime)

    def opening(self) -> bytes:
        """Return what each stream begins with: a comment, so that proxies and browsers see a
        body at once, and the reconnection time.
        """
        retry = self.limits.retry
        return b":\n\n" if retry is None else b":\nretry: %d\n\n" % (retry * 1000)

    def farewell(self) -> bytes:
        """Return what each stream ends with when the server drains: when to come back."""
        return b"retry: %d\n\n" % (1000 * self.reconnect_delay())


def _tick(limits: Limits) -> float:
    waits = (
        limits.heartbeat,
        limits.idle_timeout,
        limits.body_timeout,
        limits.ping_interval,
        limits.ping_timeout,
        # What chance takes off it is spread over several ticks.
        math.inf if limits.max_lifetime is None else limits.max_lifetime / 10,
    )
    return min(waits) / 8
