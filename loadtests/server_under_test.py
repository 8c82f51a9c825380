"""The server that is measured: trio-sse as a program embeds it, told what to do by orders.

    python -m loadtests.server_under_test '{"write_timeout": 10}'

The argument has fields of `Limits`, and may have `padding`: "quotes" fills events with JSON. It
listens in clear text and with TLS, prints where, and then takes orders as the swarm does: a line
of JSON each on standard input, an answer each on standard output. It publishes as a program would
that embeds it. It ends with its standard input, and drains at SIGTERM.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import trio

from trio_sse import (
    Bind,
    Event,
    Follow,
    Hub,
    Limits,
    Request,
    Response,
    Routes,
    Server,
    Stream,
    open_hub,
    serve,
)
from trio_sse.cli.process import collect_rarely
from trio_sse.tls import self_signed

from . import payload

__all__ = ["main"]

Order = dict[str, Any]

PROBE_SECONDS = 0.001
STUBBORN_SECONDS = 3.0


class Subject:
    """The hub and the server, and what they are told to do."""

    def __init__(self, hub: Hub, server: Server, padding: str) -> None:
        self._hub = hub
        self._server = server
        self._padding = padding
        self._numbers: Counter[str] = Counter()
        self._random = random.Random(1)

    async def carry_out(self, order: Order) -> None:
        """Do what an order says and answer it."""
        content = await getattr(self, "_" + order["do"])(order)
        print(json.dumps({"ticket": order["ticket"]} | content), flush=True)

    async def _publish(self, order: Order) -> Order:
        """Publish `count` events, one every `interval` seconds.

        With `topics` each goes to one of so many topics, by chance, else all go to "a".
        An event that is late is published at once, and so are those due meanwhile.
        """
        count, interval, size = order["count"], order["interval"], order["size"]
        topics = [f"t{number}" for number in range(order.get("topics", 0))] or ["a"]
        start = trio.current_time()
        done = 0
        while done < count:
            await trio.sleep_until(start + done * interval)
            due = 1 + int((trio.current_time() - start) / interval) if interval else count
            while done < min(due, count):
                self._publish_one(self._random.choice(topics), size)
                done += 1
        return {
            "last": self._numbers[topics[0]],
            "took": trio.current_time() - start,
            "cpu": _cpu_seconds(),
        }

    def _publish_one(self, topic: str, size: int) -> None:
        self._numbers[topic] += 1
        data = payload.make(topic, self._numbers[topic], size, padding=self._padding)
        self._hub.publish(topic, Event(data))

    async def _figures(self, order: Order) -> Order:
        """Say what the process uses and holds."""
        await trio.lowlevel.checkpoint()
        trio_says = trio.lowlevel.current_statistics()
        return {
            "cpu": _cpu_seconds(),
            "rss": _resident_bytes(),
            "files": len(os.listdir("/proc/self/fd")),
            "tasks": trio_says.tasks_living,
            "server": asdict(self._server.statistics()),
            "hub": asdict(self._hub.statistics()),
        }

    async def _probe(self, order: Order) -> Order:
        """For `seconds`, see how much longer than it asked for another task sleeps."""
        late = []
        end = time.monotonic() + order["seconds"]
        while time.monotonic() < end:
            due = time.monotonic() + PROBE_SECONDS
            await trio.sleep(PROBE_SECONDS)
            late.append(time.monotonic() - due)
        late.sort()
        return {"samples": len(late), "p99": late[len(late) * 99 // 100], "worst": late[-1]}

    async def _collect(self, order: Order) -> Order:
        """Let go of garbage, so that what is left is held."""
        await trio.lowlevel.checkpoint()
        return {"found": gc.collect()}


async def _obey(subject: Subject) -> None:
    async with trio.lowlevel.FdStream(os.dup(0)) as orders, trio.open_nursery() as nursery:
        unread = b""
        async for data in orders:
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                nursery.start_soon(subject.carry_out, json.loads(line))
        nursery.cancel_scope.cancel()


def _routes(hub: Hub) -> Routes:
    routes = Routes()

    @routes.get("/events")
    def events(request: Request) -> Response | Follow:
        return Follow(hub, tuple(request.query_all("topic")), request.last_event_id)

    @routes.post("/publish")
    def publish(request: Request) -> Response:
        for topic in request.query_all("topic"):
            hub.publish(topic, Event(request.body.decode()))
        return Response(204)

    @routes.get("/raises")
    async def raises(stream: Stream) -> None:
        raise ZeroDivisionError("as was to be shown")

    @routes.get("/stubborn")
    async def stubborn(stream: Stream) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(STUBBORN_SECONDS)

    @routes.get("/floods")
    async def floods(stream: Stream) -> None:
        while True:
            await stream.send("x" * 1_000)

    @routes.get("/")
    def page(request: Request) -> Response:
        return Response.text(200, "A page.")

    return routes


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def main(limits: Limits, padding: str) -> None:
    """Serve until standard input ends, or until all have left after SIGTERM."""
    binds = [Bind(port=0), Bind(port=0, tls=self_signed())]
    async with open_hub() as hub, trio.open_nursery() as nursery:

        async def serve_to_the_end(*, task_status: trio.TaskStatus[Server]) -> None:
            await serve(_routes(hub), binds, limits, task_status=task_status)
            nursery.cancel_scope.cancel()

        server: Server = await nursery.start(serve_to_the_end)
        nursery.start_soon(_drain_when_told, server)
        clear, tls = server.addresses
        print(json.dumps({"port": clear.port, "tls_port": tls.port}), flush=True)
        await _obey(Subject(hub, server, padding))
        nursery.cancel_scope.cancel()


async def _drain_when_told(server: Server) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        await anext(signals)
    server.drain()


if __name__ == "__main__":
    # As `trio-sse serve` does, and docs/operations.md advises programs that embed the server.
    collect_rarely()
    # With the level, so that a defect's error is told from a warning about the machine.
    logging.basicConfig(format="%(levelname)s: %(message)s")
    settings = json.loads(sys.argv[1])
    filled = payload.quotes() if settings.pop("padding", None) == "quotes" else ""
    trio.run(main, Limits(**settings), filled)
