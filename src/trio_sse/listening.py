"""Where a server listens: binding addresses and Unix sockets, and saying it to people.

Owns the listening sockets, and how much is accepted from them at a time; nothing that is accepted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from .message import Peer

__all__ = ["Address", "Batch", "Bind", "BindError", "Listener", "listen"]

BACKLOG = 65_535
"""Connections that wait to be accepted; the kernel lowers it to net.core.somaxconn (4,096 as
a rule). A reconnect storm fills it, and what does not fit waits a second or more."""

TURN_SECONDS = 0.01
"""How long a turn of the event loop may take while people come in. The hub's pump has 2 ms of it
if there is something to carry; the rest is for newcomers."""

ACCEPT_MOST = 100
"""Connections accepted in a turn at most; how many take TURN_SECONDS depends on what they ask: 60
that follow over HTTP/1.1, or one with a hundred streams. Never less than one, as
`trio.serve_listeners` accepts: a busy loop would starve those who want in."""

MAX_PORT = 65_535

# Linux and macOS.
TCP_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)

# Linux; RFC 5482 is what the option is named after.
TCP_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)

_PROBLEMS = {
    errno.EADDRINUSE: "is in use: another program listens there",
    errno.EACCES: "may not be used by this user: ports below 1024 usually belong to root",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}


class BindError(OSError):
    """A place where we cannot listen; its text is a sentence for people."""

    def __str__(self) -> str:
        return str(self.args[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A place to listen. `port` 0 takes any free one; `unix` is a path, and wins over `host`.

    `host` may be a name such as `localhost`, which may mean several addresses, or `::`, which
    takes IPv4 too. With `tls` it speaks TLS, else clear text.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    unix: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server really listens; its text is a URL."""

    scheme: str
    host: str
    port: int
    unix: str | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"{self.scheme}+unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket."""

    sock: socket.socket
    address: Address
    tls: ssl.SSLContext | None

    def accept(self) -> tuple[socket.socket, Peer]:
        """Take a connection that waits. Raises BlockingIOError if none does, or OSError."""
        accepted, name = self.sock.accept()
        peer = Peer("unix") if self.address.unix is not None else Peer(name[0], name[1])
        return accepted, peer

    def limit_unsent(self, most: int) -> None:
        """Let the kernel take so many bytes for a client that does not read, where it can.

        Set here it holds for each connection that is accepted. Unix sockets have no such limit;
        their buffers are small.
        """
        if self.address.unix is None and TCP_NOTSENT_LOWAT is not None:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, most)

    def limit_unacknowledged(self, seconds: float) -> None:
        """Let the kernel break a connection whose other end acknowledges nothing for so long.

        Set here it holds for each connection that is accepted, on Linux. What is there to be
        acknowledged, if nothing else, is heartbeats.
        """
        if self.address.unix is None and TCP_USER_TIMEOUT is not None:
            with contextlib.suppress(OSError):
                milliseconds = max(1, round(1000 * seconds))
                self.sock.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, milliseconds)

    def close(self) -> None:
        """Stop listening, and remove a Unix socket's path."""
        trio.lowlevel.notify_closing(self.sock)
        self.sock.close()
        if self.address.unix is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.address.unix)


class Batch:
    """How many connections to accept in a turn, by how long the last ones have taken."""

    def __init__(self) -> None:
        self.are_there_more = False
        """Whether the last batch was not all: then the event loop has not been idle since."""
        self._most = ACCEPT_MOST // 4
        self._began = 0.0

    def begin(self, now: float) -> int:
        """Return how many it may be in the turn that begins `now`, in seconds."""
        if self.are_there_more:
            # Half way only: what newcomers ask differs from one batch to the next.
            fitting = self._most * TURN_SECONDS / max(now - self._began, 1e-6)
            self._most = round(min(max(1.0, (self._most + fitting) / 2), ACCEPT_MOST))
        self._began = now
        return self._most


async def listen(binds: Sequence[Bind]) -> list[Listener]:
    """Listen in all these places, or in none. Looks names up, which blocks. Raises BindError."""
    listeners: list[Listener] = []
    try:
        for bind in binds:
            if bind.unix is not None:
                listeners.append(_listen_unix(bind, bind.unix))
                continue
            port = bind.port
            for family, host in await _resolve(bind):
                listeners.append(_listen_tcp(bind, family, host, port))
                # All addresses of one name share a port, also one that the kernel chose.
                port = listeners[-1].address.port
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


async def _resolve(bind: Bind) -> list[tuple[socket.AddressFamily, str]]:
    if not 0 <= bind.port <= MAX_PORT:
        # getaddrinfo takes it modulo 65,536.
        raise BindError(f"{bind.host}:{bind.port} is no place to listen: ports end at {MAX_PORT}")
    flags = socket.AI_PASSIVE
    if ":" not in bind.host:
        # A name of both families means those that this machine has. Not for IPv6 addresses:
        # glibc would refuse :: and ::1 where there is no other IPv6 address, as in containers.
        flags |= socket.AI_ADDRCONFIG
    try:
        found = await trio.socket.getaddrinfo(
            bind.host or None, bind.port, type=socket.SOCK_STREAM, flags=flags
        )
    except (socket.gaierror, UnicodeError) as error:
        raise BindError(f"{bind.host}:{bind.port} is no place to listen: {error}") from None
    return list(dict.fromkeys((family, str(name[0])) for family, _, _, _, name in found))


def _listen_tcp(bind: Bind, family: socket.AddressFamily, host: str, port: int) -> Listener:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A restarted server must not wait for its predecessor's connections to be forgotten.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" alone means everywhere; beside an IPv4 address, IPv6 only.
            both = bind.host == "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        # An event is one write, and the next may be seconds away: nothing is gained by waiting
        # for more (Nagle), and a delayed ACK would add 40 ms. Set here it holds for each
        # connection that is accepted, on Linux, the BSDs and macOS.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _sentence(error, f"[{host}]:{port}" if ":" in host else f"{host}:{port}") from None
    address = Address(_scheme(bind), host, sock.getsockname()[1])
    return Listener(sock, address, bind.tls)


def _listen_unix(bind: Bind, path: str) -> Listener:
    _remove_leftover(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _sentence(error, path) from None
    return Listener(sock, Address(_scheme(bind), "unix", 0, unix=path), bind.tls)


def _remove_leftover(path: str) -> None:
    """Remove a socket that nobody listens on any more: its server was killed."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        # Without waiting: that of a busy server may be full.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _scheme(bind: Bind) -> str:
    return "http" if bind.tls is None else "https"


def _sentence(error: OSError, place: str) -> BindError:
    problem = _PROBLEMS.get(error.errno or 0, f"is no place to listen: {error.strerror or error}")
    return BindError(error.errno, f"{place} {problem}")
