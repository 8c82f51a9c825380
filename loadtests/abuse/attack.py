"""What one attack has to work with: connections to open, for how long, and what came of them."""

from __future__ import annotations

import socket
import time
from collections import Counter

from ..loopback import come_from
from .connection import PATIENCE, Connection
from .unverified import unverifying

__all__ = ["Attack"]


class Attack:
    """What one attack has to work with, and what came of it."""

    def __init__(
        self, port: int, tls_port: int | None, seconds: float, source: str | None = None
    ) -> None:
        """With 0 seconds it is made once, else again and again for so long.

        `source` is the address that all its connections come from; None: as each wants it.
        """
        self.port = port
        self.tls_port = tls_port
        self.source = source
        self.is_over_tls = False
        """Whether what `connect` opens is to be secured."""
        self.ends: Counter[str] = Counter()
        self.sent = 0
        self.connections = 0
        self._open: set[Connection] = set()
        self._begun = False
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    @property
    def goes_on(self) -> bool:
        """True the first time, and as long as there is time."""
        if not self._begun:
            self._begun = True
            return True
        return time.monotonic() < self._until

    def stop(self) -> None:
        """Begin nothing more."""
        self._until = 0.0

    @property
    def until(self) -> float:
        """When whatever floods should stop by itself."""
        return self._until if self._seconds else time.monotonic() + PATIENCE

    @property
    def patience(self) -> float:
        """How long to wait for the server to end a connection by itself."""
        return min(PATIENCE, self._seconds) if self._seconds else PATIENCE

    @property
    def is_at_full_strength(self) -> bool:
        """False where it is made once, to see what happens."""
        return bool(self._seconds)

    def connect(
        self, *, reads: bool = True, http2: bool = False, source: str = "127.0.0.1"
    ) -> Connection:
        """Open a connection in clear text, or over TLS if all of the attack is."""
        if self.is_over_tls:
            alpn = "h2" if http2 else "http/1.1"
            return self.connect_tls(alpn=alpn, http2=http2, reads=reads, source=source)
        return self.connected(self._dialled(self.port, source), reads=reads, http2=http2)

    def connect_plain(self, source: str = "127.0.0.1") -> Connection:
        """Open one to the port that expects TLS, and say nothing yet."""
        assert self.tls_port is not None
        return self.connected(self._dialled(self.tls_port, source))

    def connected(
        self, sock: socket.socket, *, reads: bool = True, http2: bool = False
    ) -> Connection:
        """Take a connection over, and count it."""
        self.connections += 1
        connection = Connection(sock, reads=reads, http2=http2)
        self._open.add(connection)
        return connection

    def connect_tls(
        self, *, alpn: str, http2: bool, reads: bool = True, source: str = "127.0.0.1"
    ) -> Connection:
        """Open one with TLS; whose certificate it is does not matter."""
        assert self.tls_port is not None
        plain = self._dialled(self.tls_port, source)
        try:
            # SSLSocket asks this as well, but leaks the socket if there is no peer any more.
            plain.getpeername()
            secured = unverifying(alpn).wrap_socket(plain)
        except OSError:
            plain.close()
            raise
        return self.connected(secured, reads=reads, http2=http2)

    def dial_tls(self) -> socket.socket:
        """Return a blocking socket to the port of TLS, for who speaks that himself."""
        assert self.tls_port is not None
        return self._dialled(self.tls_port)

    def _dialled(self, port: int, source: str = "127.0.0.1") -> socket.socket:
        sock = socket.socket()
        try:
            sock.settimeout(PATIENCE)
            come_from(self.source or source, sock)
            sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return sock

    @property
    def time_is_over(self) -> bool:
        """True if a flood ends because of that, and not because the server wanted it to."""
        return bool(self._seconds) and time.monotonic() > self._until

    def cut_short(self, connection: Connection) -> None:
        """Be gone before the server has had enough."""
        self.sent += connection.sent
        self._forget(connection)

    def close(self) -> None:
        """Be gone with all that is left, however the attack has ended."""
        while self._open:
            self._open.pop().close()

    def over(self, connection: Connection) -> None:
        """Note how a connection ended, and be gone."""
        self.ends[connection.end] += 1
        self.sent += connection.sent
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()
