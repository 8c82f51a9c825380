"""One socket of a swarm: bytes out, bytes in, and when those came.

Nothing here blocks, and nothing is understood. `stamped` has links with the kernel's times.
"""

from __future__ import annotations

from select import EPOLLIN, EPOLLOUT
from socket import SO_ERROR, SO_LINGER, SOL_SOCKET, socket
from ssl import SSLContext, SSLSocket, SSLWantReadError, SSLWantWriteError
from struct import pack
from time import monotonic_ns

__all__ = ["BUFFER", "NOTHING", "VIEW", "Link", "Secure"]

# All connections read into one buffer: what is in it has been dealt with before the next read.
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)

TLS_RECORD = 16_384  # RFC 8446, 5.1

RESET = pack("ii", 1, 0)

NOTHING = -1


class Link:
    """In clear text, and times by CLOCK_MONOTONIC; others are made of it."""

    __slots__ = ("_sock", "clogged", "fd", "full", "kernel", "now")

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self.fd = sock.fileno()
        self.now = 0
        """When the last read was done, in ns."""
        self.kernel = 0
        """When the kernel had received what was read."""
        self.full = 0
        """A read of this length may have left something behind of which epoll knows nothing."""
        self.clogged = False
        """Whether `send` is to be called again, with b"" for want of more, when there is room."""

    def error(self) -> int:
        """Return what has become of connecting; 0 if it is done."""
        return self._sock.getsockopt(SOL_SOCKET, SO_ERROR)

    def shake_hands(self) -> int:
        """Go on with TLS's handshake. Returns what epoll is to wait for; 0 when it is done.

        Raises OSError.
        """
        return 0

    def receive(self) -> int:
        """Read into VIEW; return how much, 0 at the end, NOTHING if there is nothing now.

        Raises OSError.
        """
        try:
            length = self._sock.recv_into(BUFFER)
        except BlockingIOError:
            return NOTHING
        self.kernel = self.now = monotonic_ns()
        return length

    def send(self, data: bytes) -> int:
        """Send some; return how much is taken care of. Raises OSError."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def close(self, *, reset: bool = False) -> None:
        """Leave: properly, or as a client whose machine has lost its network does."""
        if reset:
            self._sock.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
        self._sock.close()


class Secure(Link):
    """With TLS."""

    __slots__ = ("_context",)

    def __init__(self, sock: socket, context: SSLContext) -> None:
        super().__init__(sock)
        self._context = context
        self.full = TLS_RECORD

    def shake_hands(self) -> int:
        if not isinstance(self._sock, SSLSocket):
            self._sock = self._context.wrap_socket(self._sock, do_handshake_on_connect=False)
        try:
            self._sock.do_handshake()
        except SSLWantReadError:
            return EPOLLIN
        except SSLWantWriteError:
            return EPOLLOUT
        return 0

    def receive(self) -> int:
        try:
            length = super().receive()
        except SSLWantReadError:
            return NOTHING
        return length

    def send(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except SSLWantWriteError:
            return 0
