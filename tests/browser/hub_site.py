"""A hub and its server beside a browser test, with a blank page to ask from.

The hub stays while its server restarts on the same port, as the history of a real one does.
The first half of `HubSite` runs in the thread of the server; the test calls the second.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import trio

from trio_sse import (
    Bind,
    Cors,
    Event,
    Limits,
    Response,
    Routes,
    Server,
    ServerStatistics,
    Stream,
    open_hub,
    serve,
)
from trio_sse.mercure import mount

from .beside import Beside, beside

__all__ = ["RETRY", "HubSite", "hub_site"]

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""

RETRY = 400
"""Milliseconds that /brief asks for; Chromium's own are 3,000."""

PAGE = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>A page</title>"


class HubSite:
    """What runs in the thread, and how the test sees it."""

    def __init__(
        self, tls: ssl.SSLContext | None, cors: Cors | None, limits: Limits, max_events: int
    ) -> None:
        self.routes = Routes(cors)
        self.server: Server
        self.asked: list[float] = []
        """When each request for /brief came, by the loop's clock."""
        self.left: list[float] = []
        """When each stream of /brief ended."""
        self.cookies: list[dict[str, str]] = []
        """What each request for /cookies brought."""
        self.go_on = trio.Event()
        """What /question waits for between its two answers."""
        self._tls = tls
        self._limits = limits
        self._max_events = max_events
        self._beside: Beside[HubSite]
        self._scope = trio.CancelScope()
        self._meanwhile: Callable[[], object] = lambda: None
        self._nursery: trio.Nursery

    # -- in the thread of the server --------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[HubSite]) -> None:
        """Serve on one port, again after each restart."""
        async with (
            open_hub(max_events=self._max_events) as self.hub,
            trio.open_nursery() as nursery,
        ):
            self._nursery = nursery
            mount(self.routes, self.hub)
            page = (("content-type", "text/html"),)
            self.routes.get("/", lambda request: Response(200, PAGE, page))
            self.routes.get("/brief", self._brief)
            self.routes.get("/cookies", self._tell_cookies)
            self.routes.post("/question", self._question)
            bind = Bind(port=0, tls=self._tls)
            while True:
                with trio.CancelScope() as self._scope:
                    async with trio.open_nursery() as serving:
                        self.server = await serving.start(serve, self.routes, bind, self._limits)
                        if bind.port == 0:
                            bind = Bind(port=self.server.addresses[0].port, tls=self._tls)
                            task_status.started(self)
                self._meanwhile()

    async def _publish_numbers(self, topic: str, stop: int) -> None:
        for number in range(stop):
            self.hub.publish(topic, str(number))
            # A pace at which a thousand events outlast a few restarts; nothing is waited for.
            await trio.sleep(0.001)

    async def _brief(self, stream: Stream) -> Response | None:
        """One event that asks for patience, then the end, and nothing to come back for."""
        self.asked.append(trio.current_time())
        if len(self.asked) > 2:
            return Response(204)
        await stream.send(Event(f"visit {len(self.asked)}", retry=RETRY))
        self.left.append(trio.current_time())
        return None

    async def _tell_cookies(self, stream: Stream) -> None:
        self.cookies.append(stream.request.cookies)
        await stream.send("noted")
        await trio.sleep_forever()

    async def _question(self, stream: Stream) -> None:
        """Answer a question twice, when the test allows the second."""
        await stream.send(Event(json.dumps({"asked": stream.request.body.decode()})))
        await self.go_on.wait()
        await stream.send("and that is all")

    # -- in the thread of the test ----------------------------------------------------------

    def url(self, host: str = "localhost") -> str:
        """The origin under one of its names."""
        address = self.server.addresses[0]
        return f"{address.scheme}://{host}:{address.port}"

    def statistics(self) -> ServerStatistics:
        return self._beside.call(self.server.statistics)

    def publish(self, topic: str, event: Event | str) -> str:
        return self._beside.call(partial(self.hub.publish, topic, event))

    def publish_numbers(self, topic: str, stop: int) -> None:
        """Publish 0, 1, … one after the other, and return at once."""
        self._beside.call(self._nursery.start_soon, self._publish_numbers, topic, stop)

    def restart(self, *, gently: bool, meanwhile: Callable[[], object] = lambda: None) -> None:
        """End the server, by a drain or at once; do something; serve again."""
        before = self.server

        def stop() -> None:
            self._meanwhile = meanwhile
            if gently:
                self.server.drain()
            else:
                self._scope.cancel()

        self._beside.call(stop)
        self.until(lambda: self.server is not before)

    def let_go_on(self) -> None:
        self._beside.call(self.go_on.set)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that is true or false in the server's thread."""
        deadline = time.monotonic() + PATIENCE
        while not self._beside.call(condition):
            assert time.monotonic() < deadline, "it did not come to pass"


@contextmanager
def hub_site(
    *,
    tls: ssl.SSLContext | None = None,
    cors: Cors | None = None,
    limits: Limits | None = None,
    max_events: int = 10_000,
) -> Iterator[HubSite]:
    """Serve on 127.0.0.1 in a thread of its own, for the length of the block."""
    site = HubSite(tls, cors, limits or Limits(), max_events)

    async def run(task_status: trio.TaskStatus[HubSite]) -> None:
        await site.run(task_status=task_status)

    with beside(run) as running:
        site._beside = running
        yield site
