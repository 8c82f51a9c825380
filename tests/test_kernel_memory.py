"""The kernel's part of a slow client's cost: bounded too."""

from __future__ import annotations

import socket

import trio
import trio.testing

from trio_sse import Bind, Follow, Limits, Request, Routes, open_hub, serve

EVENT = "x" * 8000


async def test_the_kernel_takes_no_more_for_a_client_that_does_not_read_than_the_limit() -> None:
    # Without the limit Linux takes 4 MB here before a socket is full.
    limits = Limits(max_unsent_bytes=64 * 1024)
    async with open_hub() as hub, trio.open_nursery() as nursery:

        def follow(request: Request) -> Follow:
            return Follow(hub, ("news",), request.last_event_id)

        routes = Routes()
        routes.get("/", follow)
        server = await nursery.start(serve, routes, Bind(port=0), limits)
        with socket.create_connection(("127.0.0.1", server.addresses[0].port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with trio.fail_after(10):
                while not hub.statistics().subscribers:
                    await trio.lowlevel.checkpoint()
                published = 0
                while hub.statistics().subscribers:  # until it is a straggler
                    hub.publish("news", EVENT)
                    published += len(EVENT)
                    await trio.testing.wait_all_tasks_blocked()
        received_by_the_client = 256 * 1024  # its own receive buffer, on loopback, and then some
        assert published < limits.max_unsent_bytes * 2 + received_by_the_client
        nursery.cancel_scope.cancel()
