"""A non-blocking byte stream: TCP and Unix sockets, TLS over them, and an in-memory pair.

`send` and `receive` never wait; `wait_writable` and `wait_readable` do, and are the only
awaits. That split is why `trio.SocketStream` is not used: a publish must be able to write
to ten thousand sockets in one synchronous pass, without a task switch a client.

Rules: a transport knows nothing of HTTP. Whatever breaks is a `Broken`, whoever broke it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Awaitable
from typing import Protocol

import trio

from .message import Peer

__all__ = [
    "Broken",
    "MemoryTransport",
    "SocketTransport",
    "TlsTransport",
    "Transport",
    "memory_pair",
]

RECEIVE_BYTES = 4 * 1024
"""One read, and so what one client can have done before others have their turn. The costliest
HTTP/2 frames, requests that are taken back at once, take 8 ms in 4 KiB and 120 ms in 64."""


class Broken(Exception):
    """The peer is gone or cannot be understood; nothing more can be sent or received."""


class Transport(Protocol):
    """What a connection needs of a byte stream."""

    peer: Peer

    def send(self, data: bytes | memoryview) -> int:
        """Send what fits without waiting and return how many bytes were taken.

        The rest must be offered again, from where it stopped, before anything else: TLS may
        have encrypted it already (SSL_write, "repeat with the same parameters"). Raises Broken.
        """

    def receive(self) -> bytes | None:
        """Return bytes, b"" at the end of the stream, or None if nothing is there yet."""

    def wait_writable(self) -> Awaitable[None]:
        """Wait until `send` may take something. One task at a time."""

    def wait_readable(self) -> Awaitable[None]:
        """Wait until `receive` may return something. One task at a time.

        Returns at once if there is something already, whether `receive` has been tried or not.
        """

    def send_eof(self) -> None:
        """Say that nothing more will be sent; receiving goes on. Never raises."""

    def close(self) -> None:
        """Free the socket; whoever waits on it is woken with trio.ClosedResourceError."""


class SocketTransport:
    """A connected TCP or Unix socket, which it owns from now on."""

    __slots__ = ("_number", "_socket", "peer")

    def __init__(self, sock: socket.socket, peer: Peer) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._number = sock.fileno()  # -1 as soon as the socket is not ours any more
        self.peer = peer

    def send(self, data: bytes | memoryview) -> int:
        try:
            # Does what `socket.send` does, which takes 0.2 µs longer to find out what it is to
            # do: a tenth of what an event costs a client on HTTP/1.1 beside the kernel's part.
            return os.write(self._number, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise Broken(f"sending failed: {error.strerror}") from None

    def receive(self) -> bytes | None:
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise Broken(f"receiving failed: {error.strerror}") from None

    def peek(self) -> bytes | None:
        """Return the first byte without taking it, b"" at the end, None if nothing is there."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise Broken(f"receiving failed: {error.strerror}") from None

    # Not `async def`: what Trio returns is as good to await as a coroutine around it, which
    # would take another 200 bytes for each client that waits.

    def wait_writable(self) -> Awaitable[None]:
        return trio.lowlevel.wait_writable(self._socket)  # noqa: ASYNC105

    def wait_readable(self) -> Awaitable[None]:
        return trio.lowlevel.wait_readable(self._socket)  # noqa: ASYNC105

    def send_eof(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._number = -1
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def detach(self) -> socket.socket:
        """Give the socket away, for TLS to be laid over it."""
        self._number = -1
        return self._socket


class TlsTransport:
    """TLS on the server's side, over a socket that a `SocketTransport` held.

    `ssl.SSLSocket` on a non-blocking socket, not memory BIOs: half the copies and half the
    memory, and OpenSSL keeps what a full socket would not take.
    """

    __slots__ = ("_socket", "_wants_write", "peer")

    def __init__(self, plain: SocketTransport, context: ssl.SSLContext) -> None:
        """Take the socket over. Raises Broken if the peer has reset the connection already."""
        try:
            self._socket = _wrap(plain.detach(), context)
        except OSError as error:
            raise Broken(f"TLS handshake failed: {_why(error)}") from None
        self.peer = plain.peer
        self._wants_write = False

    def handshake(self) -> bool:
        """Go on with the handshake as far as it goes; False if `wait_readable` must be next.

        Never waits, but takes up to half a millisecond. Raises Broken.
        """
        self._wants_write = False
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._wants_write = True
            return False
        except OSError as error:
            raise Broken(f"TLS handshake failed: {_why(error)}") from None
        return True

    @property
    def protocol(self) -> str | None:
        """The one that was agreed on by ALPN, if any."""
        return self._socket.selected_alpn_protocol()

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise Broken(f"sending failed: {_why(error)}") from None

    def receive(self) -> bytes | None:
        self._wants_write = False
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            # TLS itself has something to say first (a key update, RFC 8446, 4.6.3).
            self._wants_write = True
            return None
        except OSError as error:
            raise Broken(f"receiving failed: {_why(error)}") from None

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._socket)

    async def wait_readable(self) -> None:
        if self._wants_write:
            await trio.lowlevel.wait_writable(self._socket)
        elif self._socket.pending():
            # Decrypted already: the socket itself may have nothing more.
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.wait_readable(self._socket)

    def send_eof(self) -> None:
        # close_notify, so that the client can tell an end from a cut (RFC 8446, 6.1). unwrap()
        # also asks for the peer's answer, which nobody waits for: hence what is suppressed.
        with contextlib.suppress(OSError, ValueError):
            self._socket.unwrap()
        with contextlib.suppress(OSError):
            # SSLSocket's own shutdown() ends receiving too: it forgets the session.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class MemoryTransport:
    """One end of an in-memory connection with a bounded buffer each way, for tests.

    Unlike `trio.testing.memory_stream_pair`, it fills up: a test of back-pressure over it
    means something. Works with a virtual clock, which real sockets do not.
    """

    def __init__(self, peer: Peer, capacity: int) -> None:
        self.peer = peer
        self.other: MemoryTransport = self
        self.closed = False
        self._capacity = capacity
        self._arrived = bytearray()
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()

    def send(self, data: bytes | memoryview) -> int:
        if self.closed or self.other.closed:
            raise Broken("sending failed: the other end is closed")
        taken = bytes(data[: self._capacity - len(self.other._arrived)])
        self.other._arrived += taken
        self.other._changed.unpark_all()
        return len(taken)

    def receive(self) -> bytes | None:
        if self.closed:
            raise Broken("receiving failed: closed")
        if not self._arrived:
            return b"" if self._ended else None
        data = bytes(self._arrived[:RECEIVE_BYTES])
        del self._arrived[:RECEIVE_BYTES]
        self.other._changed.unpark_all()
        return data

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while len(self.other._arrived) >= self._capacity and not self.other.closed:
            self._refuse_if_closed()
            await self._changed.park()

    async def wait_readable(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._arrived and not self._ended:
            self._refuse_if_closed()
            await self._changed.park()

    def send_eof(self) -> None:
        self.other._ended = True
        self.other._changed.unpark_all()

    def close(self) -> None:
        self.closed = True
        self.send_eof()
        self._changed.unpark_all()

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError("another task closed this transport")


def memory_pair(capacity: int = 64 * 1024) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two connected ends; each holds at most `capacity` bytes that it has not read."""
    left, right = (
        MemoryTransport(Peer("127.0.0.1", 1), capacity),
        MemoryTransport(Peer("127.0.0.1", 2), capacity),
    )
    left.other, right.other = right, left
    return left, right


def _wrap(sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    # SSLSocket asks this as well, but leaks the socket if there is no peer any more.
    sock.getpeername()
    return context.wrap_socket(
        sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
    )


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
