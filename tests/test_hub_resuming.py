"""Resuming where one left off, and being told of what is lost."""

from __future__ import annotations

import json

import trio
import trio.testing
from trio.testing import MockClock

from support.reading import is_silent, take
from trio_sse.event import Event
from trio_sse.hub import (
    GAP_TYPE,
    open_hub,
)


def lost(event: Event) -> object:
    """What a gap event says."""
    assert event.type == GAP_TYPE
    assert event.data is not None
    return json.loads(event.data)["lost"]


async def test_a_reader_resumes_just_after_the_event_it_names(autojump_clock: MockClock) -> None:
    async with open_hub() as hub:
        ids = [hub.publish("ab"[number % 2], str(number)) for number in range(10)]
        for start in range(10):
            async with hub.subscribe("a", last_event_id=ids[start]) as events:
                rest = [str(number) for number in range(start + 1, 10) if number % 2 == 0]
                assert await take(events, len(rest)) == rest
                assert await is_silent(events)


async def test_resuming_is_exact_while_publishing_goes_on(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, trio.open_nursery() as nursery:

        async def publish() -> None:
            for number in range(500):
                hub.publish("a", str(number))
                await trio.lowlevel.checkpoint()

        async def come_and_go() -> None:
            received: list[str | None] = []
            last_event_id = "earliest"
            while len(received) < 500:
                async with hub.subscribe("a", last_event_id=last_event_id) as events:
                    for _ in range(len(received) % 7 + 1):
                        event = await anext(events)
                        received.append(event.data)
                        assert event.id is not None
                        last_event_id = event.id
                        if len(received) == 500:
                            break
            assert received == [str(number) for number in range(500)]

        nursery.start_soon(publish)
        for _ in range(3):
            nursery.start_soon(come_and_go)


async def test_earliest_asks_for_all_there_is(autojump_clock: MockClock) -> None:
    async with open_hub(max_events=3) as hub:
        for number in range(5):
            hub.publish("a", str(number))
        async with hub.subscribe("a", last_event_id="earliest") as events:
            assert await take(events, 3) == ["2", "3", "4"]
            assert await is_silent(events)


async def test_an_unknown_id_is_a_gap_of_unknown_size_before_all_that_is_left(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub:
        hub.publish("a", "0")
        async with hub.subscribe("a", last_event_id="of another life") as events:
            assert lost(await anext(events)) is None
            assert await take(events, 1) == ["0"]
            assert await is_silent(events)


async def test_a_gap_says_how_many_events_may_be_missing(autojump_clock: MockClock) -> None:
    async with open_hub(max_events=3) as hub:
        first = hub.publish("a", "0")
        for number in range(1, 10):
            hub.publish("a", str(number))
        async with hub.subscribe("a", last_event_id=first) as events:
            assert lost(await anext(events)) == 6
            assert await take(events, 3) == ["7", "8", "9"]


async def test_who_falls_off_the_log_while_reading_is_told_where_events_are_missing(
    autojump_clock: MockClock,
) -> None:
    async with open_hub(max_events=3) as hub, hub.subscribe("a") as events:
        hub.publish("a", "0")
        assert await take(events, 1) == ["0"]
        for number in range(1, 10):
            hub.publish("a", str(number))
        assert lost(await anext(events)) == 6
        assert await take(events, 3) == ["7", "8", "9"]
        hub.publish("a", "10")
        assert await take(events, 1) == ["10"]
        assert await is_silent(events)


async def test_a_quiet_subscriber_is_told_of_no_gap_when_others_have_wrapped_the_log(
    autojump_clock: MockClock,
) -> None:
    async with open_hub(max_events=3) as hub, hub.subscribe("quiet") as events:
        assert await is_silent(events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
            received: list[str | None] = []

            async def read() -> None:
                received.extend(await take(events, 1))

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(20):
                hub.publish("busy", "x")
            await trio.testing.wait_all_tasks_blocked()
            hub.publish("quiet", "at last")
        assert received == ["at last"]
