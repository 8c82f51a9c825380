"""A well-behaved client of a server that others attack: a process of its own.

    python -m loadtests.abuse.canary PORT [--http2] [--topic a]

It follows a topic over HTTP/1.1, or over HTTP/2 with a connection for each stream, publishes to
it, and opens another stream every 50 ms. It takes
orders as the other children do: `report` answers what it has seen since the last one, once the
event that it publishes then has come. Where it is given the port of TLS with that, every other
stream that it opens is over TLS, until the next report. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import trio

from .. import payload
from .asking import ask_http1, ask_http2
from .unverified import unverifying

__all__ = ["main"]

OPENING_SECONDS = 0.05
PUBLISHING_SECONDS = 0.1
PATIENCE = 10.0
"""After so many seconds a stream that does not open has failed."""

Order = dict[str, Any]


class Canary:
    """What it does, and what it has seen since the last report."""

    def __init__(self, port: int, topic: str, *, http2: bool) -> None:
        self._port = port
        self._topic = topic
        self._asked = ask_http2 if http2 else ask_http1
        self._tls_port: int | None = None
        self._tls = unverifying("h2" if http2 else "http/1.1")
        self._published = 0
        self._heard = 0
        self._opened: list[float] = []
        self._delays: list[float] = []
        self._faults: Counter[str] = Counter()
        self._arrival = trio.Event()
        self._publishing = trio.Lock()
        self._publisher: trio.SocketStream | None = None

    async def follow(self, task_status: trio.TaskStatus[None]) -> None:
        """Listen to all that is published."""
        stream = await self._ask(f"/events?topic={self._topic}")
        unread = b""
        async for data in stream:
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    self._take(line[6:])
                elif line.startswith(b":"):
                    task_status.started()
        self._faults["its stream ended"] += 1

    async def open_streams(self) -> None:
        """Open a stream every 50 ms, and be gone once it has begun."""
        due = trio.current_time()
        async with trio.open_nursery() as nursery:
            while True:
                for tls_port in None, self._tls_port:
                    due += OPENING_SECONDS
                    await trio.sleep_until(due)
                    nursery.start_soon(self._open, tls_port)

    async def publish(self) -> None:
        """Publish an event now and then."""
        while True:
            await trio.sleep(PUBLISHING_SECONDS)
            await self._publish()

    async def report(self, tls_port: int | None) -> Order:
        """Return what was seen, and forget it; from now on open streams at `tls_port` as well."""
        await self._publish()
        with trio.move_on_after(PATIENCE):
            while self._heard < self._published:
                self._arrival = trio.Event()
                await self._arrival.wait()
        # One may be heard before its publisher is answered.
        self._faults["events lost"] += max(0, self._published - self._heard)
        found = {
            "opened": _spread(self._opened),
            "delays": _spread(self._delays),
            "faults": {fault: count for fault, count in self._faults.items() if count},
        }
        self._opened, self._delays, self._faults = [], [], Counter()
        self._tls_port = tls_port
        return found

    async def _open(self, tls_port: int | None) -> None:
        began = trio.current_time()
        with trio.move_on_after(PATIENCE) as patience:
            try:
                stream = await self._ask("/events?topic=nobody", tls_port)
                async with stream:
                    received = b""
                    while b":\n" not in received:
                        data = await stream.receive_some()
                        if not data:
                            raise trio.BrokenResourceError
                        received += data
            except (OSError, trio.BrokenResourceError):
                self._faults["streams not opened"] += 1
        if patience.cancelled_caught:
            self._faults["streams not opened in time"] += 1
        self._opened.append(trio.current_time() - began)

    async def _ask(self, target: str, tls_port: int | None = None) -> trio.abc.ReceiveStream:
        stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", tls_port or self._port)
        if tls_port is not None:
            # Whoever leaves a stream of events does so without a word.
            stream = trio.SSLStream(stream, self._tls, https_compatible=True)
        return await self._asked(stream, target)

    async def _publish(self) -> None:
        async with self._publishing:
            try:
                await self._post(payload.make(self._topic, self._published + 1).encode())
            except (OSError, trio.BrokenResourceError, trio.TooSlowError):
                self._faults["events not taken"] += 1
                self._publisher = None
            else:
                self._published += 1

    async def _post(self, body: bytes) -> None:
        if self._publisher is None:
            self._publisher = await trio.open_tcp_stream("127.0.0.1", self._port)
        head = f"POST /publish?topic={self._topic} HTTP/1.1\r\nHost: a\r\n"
        length = f"Content-Length: {len(body)}\r\n\r\n"
        await self._publisher.send_all(f"{head}{length}".encode() + body)
        with trio.fail_after(PATIENCE):
            if not await self._publisher.receive_some():
                raise trio.BrokenResourceError

    def _take(self, data: bytes) -> None:
        said = payload.read(data)
        if said is None:
            self._faults["events damaged"] += 1
        elif said.number != self._heard + 1:
            self._faults["events out of order"] += 1
        else:
            self._delays.append((time.monotonic_ns() - said.published) / 1e9)
        self._heard = max(self._heard, said.number if said else 0)
        self._arrival.set()


def _spread(seconds: Sequence[float]) -> Order:
    found = sorted(seconds) or [0.0]
    return {
        "count": len(seconds),
        "p50": found[len(found) // 2],
        "p99": found[len(found) * 99 // 100],
        "worst": found[-1],
    }


async def main(port: int, topic: str, *, http2: bool) -> None:
    """Watch until standard input ends."""
    canary = Canary(port, topic, http2=http2)
    async with trio.lowlevel.FdStream(os.dup(0)) as orders, trio.open_nursery() as nursery:
        await nursery.start(canary.follow)
        nursery.start_soon(canary.open_streams)
        nursery.start_soon(canary.publish)
        print(json.dumps({"watching": port}), flush=True)
        unread = b""
        async for data in orders:
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                answer = await canary.report(order["tls_port"])
                print(json.dumps({"ticket": order["ticket"]} | answer), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m loadtests.abuse.canary")
    parser.add_argument("port", type=int)
    parser.add_argument("--http2", action="store_true")
    parser.add_argument("--topic", default="a")
    options = parser.parse_args()
    trio.run(partial(main, options.port, options.topic, http2=options.http2))
