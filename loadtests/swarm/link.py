"""One socket of a swarm, with TLS and the kernel's times of receipt if the target wants them.

Bytes out, bytes in, and when those came. Nothing here blocks, and nothing is understood.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from errno import EINPROGRESS
from select import EPOLLIN, EPOLLOUT
from socket import (
    AF_INET,
    IPPROTO_IP,
    IPPROTO_TCP,
    SO_ERROR,
    SO_LINGER,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    socket,
)
from ssl import MemoryBIO, SSLContext, SSLSocket, SSLWantReadError, SSLWantWriteError
from struct import Struct, pack
from time import monotonic_ns, time_ns

from .target import Target

__all__ = ["VIEW", "Link", "dial"]

# All connections read into one buffer: what is in it has been dealt with before the next read.
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)

TLS_RECORD = 16_384  # RFC 8446, 5.1

CONNECTIONS_AN_ADDRESS = 10_000
"""Of the 28,232 ports that Linux gives away on each address by default. Those of closed
connections are not free at once."""

IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: choose the port when connecting, when the other end is known (ip(7))."""

SO_TIMESTAMPNS = 35
"""Linux: have recvmsg say when the kernel received the data, by CLOCK_REALTIME (socket(7)). Of a
read that spans several segments it is when the last of them came."""
ANCILLARY_BYTES = 64
_TIMESPEC = Struct("@qq")

RESET = pack("ii", 1, 0)

NOTHING = -1


class Link:
    """A connection in clear text, without the kernel's times; others are made of it."""

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


class _Secure(Link):
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


class _Stamped(Link):
    __slots__ = ()

    _buffers = (BUFFER,)

    def __init__(self, sock: socket) -> None:
        super().__init__(sock)
        sock.setsockopt(SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def receive(self) -> int:
        try:
            length, ancillary, _, _ = self._sock.recvmsg_into(self._buffers, ANCILLARY_BYTES)
        except BlockingIOError:
            return NOTHING
        self.now = now = time_ns()
        if ancillary:
            seconds, ns = _TIMESPEC.unpack(ancillary[0][2])
            self.kernel = seconds * 1_000_000_000 + ns
        elif length:
            # Received before any socket of the machine wanted such times.
            self.kernel = now
        return length


class _StampedSecure(_Stamped):
    """TLS in memory, because ssl.SSLSocket reads without recvmsg."""

    __slots__ = ("_incoming", "_outgoing", "_read_into", "_tls", "_unsent")

    _encrypted = bytearray(64 * 1024)
    _buffers = (_encrypted,)

    def __init__(self, sock: socket, context: SSLContext) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        # What it returns depends on whether it is given a buffer, of which its type says nothing.
        self._read_into: Callable[[int, memoryview], int] = self._tls.read  # type: ignore[assignment]
        self._unsent = b""

    def shake_hands(self) -> int:
        while (length := self._take_in()) > 0:
            pass
        try:
            self._tls.do_handshake()
        except SSLWantReadError:
            if not length:
                raise ConnectionResetError("the server hung up in the handshake") from None
            self._send_out()
            return EPOLLIN | EPOLLOUT if self.clogged else EPOLLIN
        # The last flight goes out with the request.
        return 0

    def receive(self) -> int:
        length = self._take_in()
        if length <= 0:
            return length
        at = 0
        while True:
            try:
                length = self._read_into(len(BUFFER) - at, VIEW[at:])
            except SSLWantReadError:
                return at or NOTHING
            at += length
            if not length or not (self._incoming.pending or self._tls.pending()):
                return at

    def _take_in(self) -> int:
        length = super().receive()
        if length > 0:
            self._incoming.write(memoryview(self._encrypted)[:length])
        return length

    def send(self, data: bytes) -> int:
        if data:
            self._tls.write(data)
        self._send_out()
        return len(data)

    def _send_out(self) -> None:
        """Send what TLS has made."""
        self._unsent += self._outgoing.read()
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        self.clogged = bool(self._unsent)


def dial(target: Target, server: int, turn: int) -> Link:
    """Begin to connect, from an address of loopback that has ports left, if it is to loopback.

    `turn` counts the connections of the process. Raises OSError.
    """
    host, port = target.hubs[server]
    sock = socket(AF_INET, SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if host.startswith("127."):
            sock.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((_source(turn), 0))
        error = sock.connect_ex((host, port))
        if error not in (0, EINPROGRESS):
            raise OSError(error, os.strerror(error))
        make: Callable[..., Link]
        if target.tls is None:
            return _Stamped(sock) if target.stamped else Link(sock)
        make = _StampedSecure if target.stamped else _Secure
        return make(sock, target.tls)
    except BaseException:
        sock.close()
        raise


def _source(turn: int) -> str:
    high, low = divmod(os.getpid(), 254)
    last = 1 + turn // CONNECTIONS_AN_ADDRESS % 250
    return f"127.{1 + high % 254}.{1 + low}.{last}"
