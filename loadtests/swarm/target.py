"""Whom a swarm talks to and how: everything that its connections have in common.

Says addresses, makes requests and parsers; holds no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from socket import gethostbyname
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion
from typing import Literal, Self
from urllib.parse import urlsplit

from . import frames, http1
from .events import EventReader, Known
from .findings import Parser, Position
from .http2 import Http2Parser
from .windows import Width, Windows

__all__ = ["HTTP", "Target", "trusting"]

HTTP = Literal["http1", "http2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Servers, a protocol, and topics."""

    hubs: Sequence[tuple[str, int]]
    """Address and port of each server; clients are dealt to them in turn."""
    protocol: HTTP = "http1"
    streams: int = 1
    """Of each connection, if nothing else is said."""
    tls: SSLContext | None = None
    compressed: bool = False
    """Whether all that is streamed is to come compressed, over HTTP/1.1."""
    windows: Width = "wide"
    topics: Sequence[str] = ("a",)
    """Stream after stream follows one after the other, and the first again after the last."""
    path: str = "/events?topic={topic}"
    stamped: bool = False
    """Have the kernel say when it received what is read. All times are then by CLOCK_REALTIME,
    else by CLOCK_MONOTONIC."""
    authority: str = "localhost"

    @classmethod
    def of(
        cls,
        urls: Sequence[str],
        *,
        protocol: HTTP = "http1",
        path: str = "/events?topic={topic}",
        topics: Sequence[str] = ("a",),
        streams: int = 1,
        windows: Width = "wide",
    ) -> Self:
        """Return the target that URLs such as http://127.0.0.1:8080 name, with kernel's times.

        All have one scheme; with https it is TLS 1.3, and any certificate will do. Raises
        ValueError for anything else, OSError for a host that is not known. Looks hosts up.
        """
        parts = [urlsplit(url) for url in urls]
        schemes = {part.scheme for part in parts}
        if schemes not in ({"http"}, {"https"}):
            raise ValueError(f"The URLs must all begin with http://, or all with https://: {urls}")
        usual = 443 if schemes == {"https"} else 80
        return cls(
            hubs=[(gethostbyname(part.hostname or ""), part.port or usual) for part in parts],
            protocol=protocol,
            streams=streams,
            tls=trusting(protocol) if schemes == {"https"} else None,
            windows=windows,
            topics=topics,
            path=path,
            stamped=True,
            authority=parts[0].netloc or "localhost",
        )

    @property
    def one_topic(self) -> bool:
        """True if all streams hear the same."""
        return len(self.topics) == 1

    def hub_of(self, client: int) -> int:
        """Return the index of the server whose client that is."""
        return client % len(self.hubs)

    def topics_of(self, client: int, streams: int) -> list[str]:
        """Return the topic of each stream of one client."""
        first = client * self.streams
        return [self.topics[(first + n) % len(self.topics)] for n in range(streams)]

    def make_windows(self, streams: int, first: float) -> Windows | None:
        """Return the windows of a connection, if its protocol has them."""
        if self.protocol == "http1":
            return None
        return Windows(self.windows, range(1, 2 * streams, 2), first)

    def requests(
        self, client: int, windows: Windows | None, positions: Sequence[Position]
    ) -> bytes:
        """Return what a connection sends at first, to go on from where its streams stand."""
        paths = [self.path.format(topic=topic) for topic in self.topics_of(client, len(positions))]
        ids = [position.id for position in positions]
        if windows is None:
            return http1.request(paths[0], ids[0], self.authority)
        return frames.requests(windows, paths, ids, scheme=self._scheme, authority=self.authority)

    def late_request(self, client: int, place: int, stream_id: int, position: Position) -> bytes:
        """Return what opens one stream again on an HTTP/2 connection."""
        path = self.path.format(topic=self.topics_of(client, place + 1)[place])
        return frames.late_request(
            stream_id, path, position.id, scheme=self._scheme, authority=self.authority
        )

    def parser(
        self,
        client: int,
        windows: Windows | None,
        positions: Sequence[Position],
        known: Known,
        *,
        opened: bool = False,
        chunked: bool = True,
    ) -> Parser:
        """Return what understands a connection's answer, and what others have understood.

        With `opened` the streams are under way: it starts between two frames, or chunks,
        if there are such.
        """
        topics = self.topics_of(client, len(positions))
        readers = [
            EventReader(topic, position, place, known)
            for place, (topic, position) in enumerate(zip(topics, positions, strict=True))
        ]
        if self.protocol == "http1":
            return http1.Http1Parser(
                readers[0], in_body=opened, chunked=chunked, compressed=self.compressed
            )
        return Http2Parser(readers, windows, opened=opened)

    @property
    def _scheme(self) -> str:
        return "http" if self.tls is None else "https"


def trusting(protocol: HTTP) -> SSLContext:
    """Return a TLS 1.3 context that takes any certificate: the server is our own."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    context.minimum_version = TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2" if protocol == "http2" else "http/1.1"])
    return context
