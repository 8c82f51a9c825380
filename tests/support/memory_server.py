"""A server whose clients connect in memory, so that a virtual clock can drive it.

Everything but the sockets is real: limits, ticks, connections, the graceful stop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import cast

import trio
from trio.testing import MockClock

from trio_sse.connection import Connection, Service
from trio_sse.connection.http2 import Http2Connection
from trio_sse.hub import Hub
from trio_sse.limits import Limits
from trio_sse.listening import Address, Listener
from trio_sse.message import Peer
from trio_sse.routes import Routes
from trio_sse.server import Server
from trio_sse.transport import MemoryTransport, SocketTransport, memory_pair

__all__ = ["MemoryServer", "patience", "serving"]

CLIENT = Peer("192.0.2.7", 50_000)


@contextmanager
def patience(seconds: float = 3600) -> Iterator[None]:
    """Fail instead of waiting forever. On a virtual clock it costs nothing."""
    with trio.fail_after(seconds):
        yield


class _Doorstep:
    """Stands where a listener would."""

    def __init__(self) -> None:
        self.address = Address("http", "memory", 0)


class MemoryServer(Server):
    """A running server; `connect` is how to get in."""

    def __init__(self, routes: Routes, limits: Limits | None = None) -> None:
        # pytest-trio takes a clock only from the arguments of the test itself.
        assert isinstance(trio.lowlevel.current_clock(), MockClock), "use autojump_clock"
        self.service = Service(routes, limits or Limits(), random=Random(7))
        super().__init__(self.service, [cast(Listener, _Doorstep())])
        self.transports: list[MemoryTransport] = []
        """The server's ends of all connections there were."""
        self._inviting, self._arrivals = trio.open_memory_channel[MemoryTransport](1000)

    def connect(
        self, *, capacity: int = 64 * 1024, transport: MemoryTransport | None = None
    ) -> MemoryTransport:
        """Return the client's end of a new connection that holds `capacity` bytes each way.

        `transport` is the server's end if it is made elsewhere.
        """
        if transport is None:
            transport, _ = memory_pair(capacity)
        transport.peer = CLIENT
        self.transports.append(transport)
        self._inviting.send_nowait(transport)
        return transport.other

    @property
    def connection(self) -> Connection:
        """The one connection there is."""
        (connection,) = self._rounds
        return connection

    @property
    def http2(self) -> Http2Connection:
        """The one connection there is, which speaks HTTP/2."""
        assert isinstance(self.connection, Http2Connection)
        return self.connection

    async def _accept(self, listener: Listener, nursery: trio.Nursery) -> None:
        async for transport in self._arrivals:
            self.service.counters.connections += 1
            if self._admission.admit(transport.peer, trio.current_time()):
                nursery.start_soon(self._connect, cast(SocketTransport, transport), None)
            else:
                transport.close()


@asynccontextmanager
async def serving(
    routes: Routes, limits: Limits | None = None, *, hub: Hub | None = None
) -> AsyncIterator[MemoryServer]:
    """Run a server for the length of the block; afterwards nothing may be left of it."""
    server = MemoryServer(routes, limits)
    async with trio.open_nursery() as nursery:
        with patience():
            await nursery.start(server.run)
            yield server
        nursery.cancel_scope.cancel()
    assert server.statistics().connections == 0
    assert server.statistics().streams == 0
    assert all(transport.closed for transport in server.transports)
    if hub is not None:
        assert hub.statistics().subscribers == 0
        assert hub.statistics().audiences == 0
