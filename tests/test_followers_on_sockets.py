"""Followers on real sockets, to which a pass writes by itself: what does not fit is not lost."""

from __future__ import annotations

import re

import pytest

from support.visitor import Visitor, running, secure, site, tls_pair, visit
from trio_sse.hub import open_hub
from trio_sse.listening import Bind

COUNT = 60
SIZE = 20_000
"""All together more than the kernel keeps for a client that does not read."""


async def read_until(visitor: Visitor, end: bytes) -> bytes:
    heard = bytearray()
    while not heard.endswith(end):
        heard += await visitor.stream.receive_some()
    return bytes(heard)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_who_stops_reading_and_goes_on_gets_each_event_once_in_order(
    encrypted: bool,
) -> None:
    ours, theirs = tls_pair()
    bind = Bind(port=0, tls=ours if encrypted else None)
    async with open_hub() as hub, running(site(hub), bind) as server:
        slow, quick = [
            await secure(server, theirs, "http/1.1") if encrypted else await visit(server)
            for _ in range(2)
        ]
        for visitor in (slow, quick):
            await visitor.get("/follow")
            await visitor.hear("retry: .*\n\n")
        for number in range(COUNT):
            hub.publish("a", f"{number} " + "x" * SIZE)
            await read_until(quick, b"x\n\n\r\n")
        assert hub.statistics().subscribers == 1
        hub.publish("a", "the last")
        heard = await read_until(slow, b"data: the last\n\n\r\n")
        # Each piece is a chunk, of whole events.
        events = re.findall(rb"data: (\d+) (x+)\n\n", heard)
        assert [int(number) for number, _ in events] == list(range(COUNT))
        assert {len(data) for _, data in events} == {SIZE}
