"""A swarm as a process: orders come in on standard input, answers go out on standard output.

    python -m loadtests.swarm '{"port": 8080, "protocol": "http2", "streams": 100}'

The argument has the fields of `Target`, with `"tls": true` for TLS 1.3, `"topics": 100` for
the topics t0 to t99, and a `port` of 127.0.0.1 instead of hubs, and `at_once`, how many
connections may wait for an answer. An order is
a line of JSON with `do`, its arguments, and a `ticket` that its answer repeats. The process
ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .connection import Connection
from .obedient import Obedient
from .target import Target, trusting

__all__ = ["Orders", "main"]

Order = dict[str, Any]


class Orders:
    """Carries out orders; those that take time are answered when they are done."""

    def __init__(self, crowd: Obedient) -> None:
        self._crowd = crowd
        self._input = b""
        self._pending: list[Callable[[], bool]] = []
        self.over = False

    def receive(self) -> None:
        """Read what has come in on standard input."""
        data = os.read(0, 65_536)
        if not data:
            self.over = True
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            getattr(self, "_" + order["do"])(order)

    def check(self) -> None:
        """Answer what is done by now."""
        self._pending = [pending for pending in self._pending if not pending()]

    def _answer(self, order: Order, **content: Any) -> None:
        print(json.dumps({"ticket": order["ticket"]} | content), flush=True)

    def _when(self, order: Order, done: Callable[[], bool], answer: Callable[[], Order]) -> None:
        """Answer when `done` says so, or when the order's `seconds` are over."""
        deadline = time.monotonic() + order["seconds"]

        def pending() -> bool:
            in_time = done()
            if not in_time and time.monotonic() < deadline:
                return False
            self._answer(order, in_time=in_time, **answer())
            return True

        self._pending.append(pending)

    # -- the orders ---------------------------------------------------------------------

    def _connect(self, order: Order) -> None:
        """Open `connections` more; answered when all of their streams are."""
        self._crowd.dial(order["connections"])
        self._when_settled(order)

    def _when_settled(self, order: Order) -> None:
        start, cpu, before = time.monotonic(), time.process_time(), self._crowd.opened

        def answer() -> Order:
            return {
                "opened": self._crowd.opened - before,
                "took": time.monotonic() - start,
                "cpu": time.process_time() - cpu,
            }

        self._when(order, lambda: self._crowd.settled, answer)

    def _mark(self, order: Order) -> None:
        """Count from now on. What has been made so far will stay: let it not be looked at."""
        gc.collect()
        gc.freeze()
        self._crowd.ledger.mark()
        self._answer(order)

    def _report(self, order: Order) -> None:
        connections = len(self._crowd.connections)
        self._answer(order, connections=connections, **self._crowd.ledger.report())

    def _wait(self, order: Order) -> None:
        """Wait until all who read have event `number`; answered with how many have not."""
        number = order["number"]
        waiting = [c for c in self._crowd.connections.values() if c.fd not in self._crowd.stalled]

        def has(connection: Connection) -> bool:
            # Who has stalled may be dropped, which is a fault of its own.
            return (connection.over and connection.has_stalled) or connection.has(number)

        def done() -> bool:
            while waiting and has(waiting[-1]):
                waiting.pop()
            return not waiting

        def answer() -> Order:
            missing = sum(not has(each) for each in waiting)
            self._crowd.ledger.faults["missing"] += missing
            return {"missing": missing}

        self._when(order, done, answer)

    def _count(self, order: Order) -> None:
        """Wait until there have been `deliveries` since the mark."""
        ledger, wanted = self._crowd.ledger, order["deliveries"]

        def answer() -> Order:
            missing = max(0, wanted - ledger.deliveries)
            ledger.faults["missing"] += missing
            return {"missing": missing}

        self._when(order, lambda: ledger.deliveries >= wanted, answer)

    def _stall(self, order: Order) -> None:
        self._crowd.stall(order["connections"])
        self._answer(order)

    def _wake(self, order: Order) -> None:
        self._crowd.wake(order["connections"])
        self._answer(order)

    def _return(self, order: Order) -> None:
        """Have all stalled connections leave and come back; answered when they are back."""
        self._crowd.reconnect(self._crowd.stalled.values())
        self._when_settled(order)

    def _leave(self, order: Order) -> None:
        """Close `connections` of them, half of them without a word."""
        chosen = self._crowd.random.sample(
            list(self._crowd.connections.values()),
            min(order["connections"], len(self._crowd.connections)),
        )
        for turn, connection in enumerate(chosen):
            self._crowd.leave(connection, reset=bool(turn % 2))
        self._answer(order, left=len(chosen))


def main(argv: list[str]) -> None:
    """Run until standard input ends."""
    settings = json.loads(argv[1])
    at_once = settings.pop("at_once", 256)
    if settings.pop("tls", False):
        settings["tls"] = trusting(settings.get("protocol", "http1"))
    settings["hubs"] = [("127.0.0.1", settings.pop("port"))]
    if "topics" in settings:
        settings["topics"] = [f"t{number}" for number in range(settings["topics"])]
    crowd = Obedient(Target(**settings), at_once)
    orders = Orders(crowd)
    # There are no cycles here to be found, and looking for them delays what is measured.
    gc.disable()
    crowd.also_watch(0, orders.receive)
    print(json.dumps({"ready": True}), flush=True)
    while not orders.over:
        crowd.turn()
        orders.check()
    # At once and without traces: ports would be taken for a minute otherwise.
    for connection in list(crowd.connections.values()):
        crowd.leave(connection, reset=True)


if __name__ == "__main__":
    main(sys.argv)
