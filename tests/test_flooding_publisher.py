"""Who publishes without end, inside the program or over the wire, holds up nobody."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from support.memory_server import serving
from support.reader import BOTH, Protocol, ask
from support.sites import follow
from trio_sse.hub import Hub, open_hub
from trio_sse.limits import Limits

EVENTS = 3_000
HISTORY = 1_000
FEW = 60
"""Turns of the event loop that somebody new may need: each is an event of the flood."""


async def test_a_flood_comes_in_order_and_no_more_is_kept_than_allowed(
    autojump_clock: MockClock,
) -> None:
    async with open_hub(max_events=HISTORY) as hub, hub.subscribe("a") as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, hub)
            heard = [(await anext(events)).data for _ in range(EVENTS)]
        assert heard == [str(number) for number in range(EVENTS)]
        assert hub.statistics().log.events == HISTORY


@BOTH
async def test_clients_hear_all_of_a_flood_and_newcomers_are_let_in(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(ping_interval=999)
    async with open_hub(max_events=HISTORY) as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, protocol)
        await reader.status()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, hub)
            for _ in range(10):
                before = hub.statistics().published
                newcomer = await ask(server, protocol, "/?topic=other")
                await newcomer.status()
                assert hub.statistics().published - before < FEW
                newcomer.leave()
                await reader.data(50)
            heard = await reader.data(EVENTS - 500)
        assert heard == [str(number) for number in range(500, EVENTS)]
        assert hub.statistics().log.events == HISTORY


async def flood(hub: Hub) -> None:
    for number in range(EVENTS):
        hub.publish("a", str(number))
        await trio.lowlevel.checkpoint()
