"""A non-blocking byte stream: TCP and Unix sockets, and an in-memory pair.

`send` and `receive` never wait; `wait_writable` and `wait_readable` do, and are the only
awaits. That split is why `trio.SocketStream` is not used: a publish must be able to write
to ten thousand sockets in one synchronous pass, without a task switch a client.

Rules: a transport knows nothing of HTTP. Whatever breaks is a `Broken`, whoever broke it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from .message import Peer
from .readiness import Readiness

__all__ = [
    "Broken",
    "Flooded",
    "MemoryTransport",
    "SocketTransport",
    "Transport",
    "Unsecured",
    "Vanished",
    "memory_pair",
]

RECEIVE_BYTES = 4 * 1024
"""One read, and so what one client can have done before others have their turn. The costliest
HTTP/2 frames, requests that are taken back at once, take 8 ms in 4 KiB and 120 ms in 64."""


GIVEN_UP = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)
"""What the kernel gives up a peer with (tcp(7), "Error handling"): the latter two if a router has
said why nothing comes of it."""


class Broken(Exception):
    """The peer is gone or cannot be understood; nothing more can be sent or received."""


class Vanished(Broken):
    """The peer has acknowledged nothing for so long that the kernel has given it up."""


class Unsecured(Broken):
    """The peer's handshake is none, or it takes none of ours; its text says why."""


class Flooded(Broken):
    """The peer sends what costs work and brings nothing; its text says what."""


class Transport(Protocol):
    """What a connection needs of a byte stream."""

    peer: Peer
    file: int
    """The number of a file to which `os.write` does what `send` does, or -1. It takes what `seal`
    makes of it, if there is such a thing."""

    @property
    def seal(self) -> Callable[[bytes], bytes] | None:
        """What encrypts for `file`. It returns b"" if there is something that `send` has to do
        first; what it returns else cannot be sealed again, so `wrote` has to hear of it.
        """

    def wrote(self, data: bytes, sealed: bytes, taken: int) -> memoryview:
        """Note that `file` took so many bytes, not all, and return what to offer to `send`.

        If nothing is sealed, `sealed` is `data`.
        """

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

    def send_eof(self, *, in_order: bool = False) -> bool:
        """Say that nothing more will be sent; receiving goes on. Never raises.

        With `in_order` it is not said, and False returned, while there is no room for what TLS has
        to say before: once more then, after `wait_writable`. Else what has no room is cut off.
        """

    def close(self) -> None:
        """Free the socket; whoever waits on it is woken with trio.ClosedResourceError."""


class SocketTransport:
    """A connected TCP or Unix socket, which it owns from now on.

    Waits for something to read by `readiness`, or as Trio does it if there is none.
    """

    __slots__ = ("_readiness", "_socket", "file", "peer", "waiting")
    seal = None

    def __init__(self, sock: socket.socket, peer: Peer, readiness: Readiness | None = None) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._readiness = readiness
        self.file = sock.fileno()  # -1 as soon as the socket is not ours any more
        self.peer = peer
        self.waiting: trio.lowlevel.Task | None = None

    def send(self, data: bytes | memoryview) -> int:
        try:
            # Does what `socket.send` does, which takes 0.2 µs longer to find out what it is to
            # do: a tenth of what an event costs a client on HTTP/1.1 beside the kernel's part.
            return os.write(self.file, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise _broken("sending", error) from None

    def wrote(self, data: bytes, sealed: bytes, taken: int) -> memoryview:
        return memoryview(data)[taken:]

    def receive(self) -> bytes | None:
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise _broken("receiving", error) from None

    # Not `async def`: what is returned is as good to await as a coroutine around it, which
    # would take another 200 bytes for each client that waits.

    def wait_writable(self) -> Awaitable[None]:
        return trio.lowlevel.wait_writable(self._socket)  # noqa: ASYNC105

    def wait_readable(self) -> Awaitable[None]:
        if self._readiness is None:
            return trio.lowlevel.wait_readable(self._socket)  # noqa: ASYNC105
        return self._readiness.wait(self)

    def give_up(self, raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self.waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def send_eof(self, *, in_order: bool = False) -> bool:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        number, self.file = self.file, -1
        if number != -1:
            if self._readiness is not None:
                self._readiness.forget(self, number)
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


def _broken(what: str, error: OSError) -> Broken:
    kind = Vanished if error.errno in GIVEN_UP else Broken
    return kind(f"{what} failed: {error.strerror}")


class MemoryTransport:
    """One end of an in-memory connection with a bounded buffer each way, for tests.

    Unlike `trio.testing.memory_stream_pair`, it fills up: a test of back-pressure over it
    means something. Works with a virtual clock, which real sockets do not.
    """

    seal = None

    def __init__(self, peer: Peer, capacity: int) -> None:
        self.peer = peer
        self.file = -1
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

    def wrote(self, data: bytes, sealed: bytes, taken: int) -> memoryview:
        raise NotImplementedError("there is no file to write to")

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

    def send_eof(self, *, in_order: bool = False) -> bool:
        self.other._ended = True
        self.other._changed.unpark_all()
        return True

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
