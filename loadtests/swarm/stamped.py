"""Links whose kernel says when it received what is read, in clear text and through TLS.

All times are by CLOCK_REALTIME, which is the kernel's for this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT
from socket import SOL_SOCKET, socket
from ssl import MemoryBIO, SSLContext, SSLWantReadError
from struct import Struct
from time import time_ns

from .link import BUFFER, NOTHING, VIEW, Link

__all__ = ["Stamped", "StampedSecure"]

SO_TIMESTAMPNS = 35
"""Linux: have recvmsg say when the kernel received the data, by CLOCK_REALTIME (socket(7)). Of a
read that spans several segments it is when the last of them came."""
ANCILLARY_BYTES = 64
_TIMESPEC = Struct("@qq")


class Stamped(Link):
    """In clear text."""

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


class StampedSecure(Stamped):
    """With TLS in memory, because ssl.SSLSocket reads without recvmsg."""

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
