"""Every bound the server keeps, in one place.

A limit has its value, its unit, its reason and, where there is one, a precedent
beside it. Nothing below reads a clock or a socket: `Limits` is a frozen value that
`serve()` takes and the layers under it obey.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server allows and how long it waits. Times are in seconds, sizes in bytes.

    Raises ValueError on a value that cannot work, naming the field.
    """

    # -- how much ---------------------------------------------------------------------

    max_connections: int = 16_000
    """Connections in all. A process usually may open 20,000 files; the rest is for listeners,
    the log and the program that embeds us."""

    max_connections_per_address: int = 16_000
    """Connections from one address. As many as in all by default, because behind a proxy
    everyone has one address; lower it on a server that browsers reach directly."""

    max_connections_per_network: int = 16_000
    """Connections from one /24 of IPv4 or /64 of IPv6, which is the least that one customer of a
    provider has (RFC 6177). As many as in all by default, for the same reason."""

    max_connects_per_second: int | None = None
    """Connections that may come from one address, or one /64 of IPv6, in a second. Ten seconds'
    worth may come at once. Off by default: a crowd behind a proxy or a NAT that comes back is
    thousands a second from one address, and does not go before others anyhow, who are let in
    in turn with it. Where browsers connect directly, 100 saves the work of a flood."""

    max_streams_per_connection: int = 256
    """SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, 6.5.2). RFC 9113 advises at least 100; nginx
    uses 128, Go 250."""

    max_header_bytes: int = 32 * KIB
    """A request head, in all. nginx allows 4 x 8 KiB, h11 16 KiB, Go 1 MiB."""

    max_body_bytes: int = 1 * MIB
    """A request body. nginx's client_max_body_size is 1 MiB too."""

    max_topics_per_stream: int = 100
    """Topics that one stream may follow."""

    max_unread_bytes: int = 64 * KIB
    """What a client may send ahead while it is being answered, and what replies to control
    frames may pile up before the server stops reading: more is not a client that reads."""

    max_unsent_bytes: int = 128 * KIB
    """What the kernel takes for a client that does not read, beyond what is on its way to it
    (TCP_NOTSENT_LOWAT, tcp(7)). Linux alone would take 4 MiB, 40 GiB for 10,000 of them; a fast
    client over a long distance is not slowed, as what is on its way is not counted."""

    max_futile_streams_per_second: int = 100
    """Requests over HTTP/2 that the client takes back, breaks, or has refused. Ten seconds'
    worth may come at once. nghttp2 allows 33 a second and 1,000 at once; a proxy in front
    takes back what its clients leave, which is more."""

    max_control_frames_per_second: int = 100
    """HTTP/2 frames that carry no request: PING, SETTINGS (each counts for ten), PRIORITY,
    CONTINUATION, unknown ones, large heads, bodies in tiny pieces; and, counted apart,
    WINDOW_UPDATE (SETTINGS are one for each stream) and late RST_STREAM, beyond two for each
    frame that was sent. Ten seconds' worth may come at once. Envoy has 1,000 in its queue, Jetty
    allows 128 a second; an honest client sends a few."""

    compress_above: int | None = None
    """Followers that accept `deflate` are sent what is longer than this compressed, once for all
    of them. Off by default: the length of what is compressed tells something of it, where secrets
    stand beside what others may choose (BREACH). nginx compresses from 20 bytes on, Caddy from
    512; for JSON below 1 KiB there is little to gain."""

    # -- how long ---------------------------------------------------------------------

    head_timeout: float = 10.0
    """From a connection's first byte awaited to the end of the request head, a TLS handshake
    included; on HTTP/2 to the client's SETTINGS, and then for each head. Apache's
    mod_reqtimeout: 10-20 s; nginx: 60 s."""

    body_timeout: float = 30.0
    """For the whole of a request body."""

    idle_timeout: float = 75.0
    """A connection without a stream. nginx's keepalive_timeout is 75 s."""

    write_timeout: float = 30.0
    """A client that takes not one byte for this long, though there is something to send, is
    dropped. nginx's send_timeout: 60 s; shorter here, as a stream resumes where it was."""

    unacknowledged_timeout: float = 60.0
    """A client whose machine acknowledges nothing of what was sent for this long has vanished
    (TCP_USER_TIMEOUT, tcp(7)). Linux alone would try for 15 minutes, since heartbeats fit its
    buffer and so `write_timeout` says nothing. Longer than that, as a client that has stopped
    to read for a while is there all the same."""

    heartbeat: float = 15.0
    """A comment is sent to a stream that got nothing else for this long. Load balancers cut
    idle connections after 30-60 s; the WHATWG text advises about 15 s."""

    ping_interval: float = 30.0
    """An HTTP/2 connection from which nothing came for this long is sent a PING."""

    ping_timeout: float = 15.0
    """A peer that does not answer a PING in this time is gone."""

    max_lifetime: float | None = None
    """A stream ends before it is older than this, and the client comes back with its last id. Off
    by default. Up to a tenth is taken off at random, so that streams opened together do not
    return together."""

    held_warning: float | None = 1.0
    """When something has held the event loop for this long, which is always a defect, the log is
    told where it is."""

    drain_timeout: float = 10.0
    """What a graceful stop grants handlers and last writes. Kubernetes kills after 30 s."""

    stop_timeout: float = 5.0
    """What a handler has for shielded last words when its client has left, its stream has lived
    long enough, or the server stops. One that goes on then, as Trio cannot end it, is named in the
    log, and its stream is cut off."""

    reconnect_spread: float = 5.0
    """On a graceful stop each client is told to come back after a random part of this, so
    that they do not all return in one instant."""

    retry: float | None = 2.0
    """The reconnection time each stream opens with (`retry:`), which also takes back the
    longer one of an earlier graceful stop. None leaves it to the browser (2-5 s)."""

    retry_when_full: float | None = None
    """What an `EventSource` for which there is no room is told, with a random part of
    `reconnect_spread` added: it would never come back after a 503. In clear text only. Off by
    default, since it makes an overload look like success to whoever watches statuses."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            least = (
                0
                if field.name in ("drain_timeout", "reconnect_spread", "retry", "retry_when_full")
                else None
            )
            if value < 0 or (least is None and value == 0):
                raise ValueError(f"Limits.{field.name} must be more than 0, not {value!r}")
