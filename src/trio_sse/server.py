"""The server: listeners, accepting, limits on connections, and the graceful stop.

`serve()` is what programs embed. It owns sockets and the nursery in which connections live;
what is said on a connection is `connection`'s business.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Literal

import trio

from .admission import Admission
from .connection import Connection, Counters, Service, negotiate
from .fair_queue import FairQueue, source_of
from .limits import Limits
from .listening import Address, Batch, Bind, Listener, listen
from .message import Peer
from .readiness import open_readiness
from .rounds import Rounds
from .routes import Routes
from .shortage import Shortage
from .statistics import ServerStatistics
from .transport import SocketTransport
from .watchdog import watch

__all__ = ["Server", "serve"]

DEFAULT_BIND = Bind()
DEFAULT_LIMITS = Limits()

logger = logging.getLogger("trio_sse.server")

OUT_OF_FILES_PAUSE = 0.1
"""Seconds to wait when the process may open no more files: some will be closed."""

ACCEPT_SECONDS = 0.005
"""How long a turn of the event loop may accept, and close who is one too many: some hundreds."""

HURRY = 16
"""While the kernel's queue is long, so many times fewer are let in: in it there is no fairness, and
who comes last to a storm's four thousand waits until it is empty."""

LAST_WORDS_SECONDS = 1.0
"""What handlers stopped at the end of a drain, and their last bytes, are granted."""


class Server:
    """A running server. Made by `serve()`, which passes it to `nursery.start`."""

    def __init__(self, service: Service, listeners: Sequence[Listener]) -> None:
        self.addresses: tuple[Address, ...] = tuple(each.address for each in listeners)
        """Where it listens, with real ports."""
        self._service = service
        self._listeners = listeners
        self._rounds = Rounds(service.tick)
        self._admission = Admission(service.limits)
        self._shortage = Shortage()
        self._readiness = open_readiness()
        self._drain_asked = trio.Event()
        self._all_gone = trio.Event()

    def drain(self) -> None:
        """Begin a graceful stop; `serve()` returns when it is done.

        Nobody new is let in, followers are told when to come back and end, handlers have
        `Limits.drain_timeout` seconds to finish.
        """
        self._drain_asked.set()

    def statistics(self) -> ServerStatistics:
        """Return counts as of now."""
        counters: Counters = self._service.counters
        return ServerStatistics(
            connections=self._admission.open,
            streams=counters.open_streams,
            accepted=counters.connections,
            turned_away=self._admission.turned_away,
            requests=counters.requests,
            refused=counters.refused,
            failed=counters.failed,
            dropped=counters.drops.total(),
            overstayed=counters.overstayed,
            idle=counters.idle,
            held=counters.held,
            drops=dict(counters.drops),
            offences=dict(counters.offences),
        )

    async def run(self, task_status: trio.TaskStatus[Server]) -> None:
        """Serve until cancelled or drained."""
        try:
            await self._run(task_status)
        finally:
            if self._readiness is not None:
                self._readiness.close()

    async def _run(self, task_status: trio.TaskStatus[Server]) -> None:
        async with trio.open_nursery() as nursery:
            if self._readiness is not None:
                nursery.start_soon(self._readiness.run)
            async with trio.open_nursery() as accepting:
                for listener in self._listeners:
                    accepting.start_soon(self._accept, listener, nursery)
                nursery.start_soon(self._tick)
                task_status.started(self)
                await self._drain_asked.wait()
                accepting.cancel_scope.cancel()
            await self._drain()
            nursery.cancel_scope.cancel()

    # -- accepting --------------------------------------------------------------------

    async def _accept(self, listener: Listener, nursery: trio.Nursery) -> None:
        """Let in whoever comes.

        Who is accepted waits in a line, fairly by address. The kernel's queue cannot be served
        like that, so it is emptied first: one address alone may fill it.
        """
        line: FairQueue[tuple[socket.socket, Peer]] = FairQueue()
        try:
            batch = Batch()
            while True:
                if line:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(listener.sock)
                most = batch.begin(time.perf_counter())
                queue = self._line_up(listener, line, nursery)
                let_in = min(-(-most // HURRY) if queue == "long" else most, len(line))
                for _ in range(let_in):
                    sock, peer = line.take()
                    plain = SocketTransport(sock, peer, self._readiness)
                    nursery.start_soon(self._connect, plain, listener.tls)
                batch.are_there_more = let_in == most
                if queue == "out of reach" and not line:
                    await trio.sleep(OUT_OF_FILES_PAUSE)
        finally:
            listener.close()
            while line:
                sock, peer = line.take()
                sock.close()
                self._admission.leave(peer)

    def _line_up(
        self,
        listener: Listener,
        line: FairQueue[tuple[socket.socket, Peer]],
        nursery: trio.Nursery,
    ) -> Literal["empty", "long", "out of reach"]:
        """Accept who waits, and turn away who is one too many.

        Return how the kernel's queue is now: empty, still long, or out of reach: no file is left.
        """
        now = trio.current_time()
        end = time.perf_counter() + ACCEPT_SECONDS
        while time.perf_counter() < end:
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return "empty"
            except OSError as error:
                # Else the client was gone before it was accepted (accept(2), "Error handling").
                return "out of reach" if self._shortage.met(error, now) else "empty"
            self._service.counters.connections += 1
            if self._admission.admit(peer, now):
                line.put(source_of(peer.host), (sock, peer))
            elif listener.tls is None:
                self._admission.turn_away(sock, self._service.reconnect_delay(), nursery)
            else:
                sock.close()  # a handshake would cost more than we have
        return "long"

    # -- connections ------------------------------------------------------------------

    async def _connect(self, plain: SocketTransport, tls: ssl.SSLContext | None) -> None:
        """Serve one connection. Nothing that goes wrong in it gets past here."""
        connection = None
        try:
            try:
                connection = await negotiate(self._service, plain, tls)
                if connection is not None and not self._service.draining:
                    self._rounds.add(connection)
                    await connection.run()
            finally:
                if connection is not None:
                    connection.transport.close()
                plain.close()
        except* Exception as errors:
            self._service.counters.failed += 1
            logger.error("%s: the connection failed", plain.peer, exc_info=errors)
        finally:
            self._forget(connection, plain.peer)

    def _forget(self, connection: Connection | None, peer: Peer) -> None:
        self._admission.leave(peer)
        if connection is not None and connection in self._rounds:
            self._rounds.remove(connection)
            if self._service.draining and not self._rounds:
                self._all_gone.set()

    async def _tick(self) -> None:
        """Let each connection do what time asks for: heartbeats, pings, timeouts."""
        handlers = self._service.handlers
        try:
            while True:
                # Not kept beyond that: some are over by the next round.
                await self._rounds.visit(await self._rounds.next(), self._look_after)
                self._shortage.tick(trio.current_time())
                handlers.look(trio.current_time())
        finally:
            # Until the last connection has ended: who waits for that is told what for.
            await handlers.seen_out()

    def _look_after(self, connection: Connection) -> None:
        self._rounds.put_off(connection, connection.tick(trio.current_time()))

    async def _drain(self) -> None:
        service = self._service
        service.draining = True
        if not self._rounds:
            return
        await self._rounds.visit(list(self._rounds), lambda connection: connection.drain())
        with trio.move_on_after(service.limits.drain_timeout):
            await self._all_gone.wait()
            return
        await self._rounds.visit(list(self._rounds), lambda connection: connection.stop_handlers())
        with trio.move_on_after(LAST_WORDS_SECONDS):
            await self._all_gone.wait()


async def serve(
    routes: Routes,
    bind: Bind | Sequence[Bind] = DEFAULT_BIND,
    limits: Limits = DEFAULT_LIMITS,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `routes` in the places of `bind` until cancelled, or drained by `Server.drain()`.

    Use it as `server = await nursery.start(serve, routes, Bind(port=0))`: it starts once all
    places are bound, and hands over the running `Server` with its addresses. Cancelling stops
    at once; draining ends every stream properly. Raises BindError if it cannot listen, and
    ValueError if `bind` names no place.
    """
    binds = [bind] if isinstance(bind, Bind) else list(bind)
    if not binds:
        raise ValueError("there is no place to listen: give serve() at least one Bind")
    listeners = await listen(binds)
    for listener in listeners:
        listener.limit_unsent(limits.max_unsent_bytes)
        listener.limit_unacknowledged(limits.unacknowledged_timeout)
    service = Service(routes, limits)
    async with trio.open_nursery() as nursery:
        if limits.held_warning is not None:
            nursery.start_soon(watch, limits.held_warning, service.held)
        await Server(service, listeners).run(task_status)
        nursery.cancel_scope.cancel()
