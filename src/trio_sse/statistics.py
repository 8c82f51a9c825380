"""What a server says of itself, to whoever watches it: counts, as of one moment.

Owns what each count means; who counts is `admission` and the connections' `Counters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ServerStatistics"]


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """What a server holds and has done."""

    connections: int
    """Open now, those that still negotiate included."""
    streams: int
    """Event streams open now."""
    accepted: int
    """Connections since the start."""
    turned_away: int
    """Connections over a limit, in number or in how fast they came."""
    requests: int
    refused: int
    """Requests that were malformed, too large or too late."""
    failed: int
    """Handlers and endpoints that raised, and connections that ended by a defect of ours."""
    dropped: int
    """Connections and streams whose client took or answered nothing in time."""
    overstayed: int
    """Handlers that went on for longer than `Limits.stop_timeout` after they were told to stop."""
    idle: int
    """Connections that were ended because nothing was asked on them for too long."""
    held: int
    """How often the event loop was held for longer than `Limits.held_warning`."""
    drops: Mapping[str, int]
    """Those of `dropped`, by what was the matter: the client `took_nothing` for
    `Limits.write_timeout`, or has `vanished`: its machine acknowledged nothing for
    `Limits.unacknowledged_timeout`; on HTTP/2 a PING had `no_pong` within `Limits.ping_timeout`, or
    a stream was reset whose `window_shut` for `Limits.write_timeout`."""
    offences: Mapping[str, int]
    """Connections that were ended because of what the client did, by what it was. On HTTP/2 an
    error code of RFC 9113, 7 in lower case, a budget that was overdrawn (`futile_streams`,
    `control_frames`, `window_updates`, `header_fields`), or `too_late`; on HTTP/1.x a request
    that was `malformed`, `too_late`, `unsupported`, whose head or body was too large
    (`head_too_large`, `body_too_large`), or after which too much came (`sent_ahead`);
    over TLS a `handshake` that failed, `clear_text`, or `tls_records` that brought nothing."""
