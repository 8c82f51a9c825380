"""The hub by itself: publishing to topics, and subscribing inside the program."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.reading import is_silent, take
from trio_sse.event import Event, EventTooLarge, InvalidEvent
from trio_sse.hub import (
    HubStatistics,
    InvalidTopic,
    open_hub,
)
from trio_sse.log import DuplicateId

# -- publishing -------------------------------------------------------------------------


async def test_an_event_reaches_who_subscribes_to_its_topic(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as events:
        hub.publish("b", "not this")
        hub.publish("a", "this")
        assert await take(events, 1) == ["this"]
        assert await is_silent(events)


async def test_text_is_short_for_an_events_data(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as events:
        event_id = hub.publish("a", "text")
        assert await anext(events) == Event("text", id=event_id)


async def test_an_event_for_several_topics_comes_once_to_who_hears_several(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_hub() as hub,
        hub.subscribe("a", "b", "c") as many,
        hub.subscribe("b") as one,
        hub.subscribe("*") as all_of_them,
    ):
        hub.publish(["a", "b", "a"], "shared")
        hub.publish("c", "after")
        assert await take(many, 2) == ["shared", "after"]
        assert await take(one, 1) == ["shared"]
        assert await take(all_of_them, 2) == ["shared", "after"]
        for events in (many, one, all_of_them):
            assert await is_silent(events)


async def test_the_order_is_one_over_all_topics(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a", "b", "c") as events:
        published = [str(number) for number in range(300)]
        for number in published:
            hub.publish("abc"[int(number) % 3], number)
        assert await take(events, 300) == published


async def test_an_id_is_assigned_and_returned(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as events:
        assigned = hub.publish("a", "x")
        assert hub.publish("a", Event("y", id="mine")) == "mine"
        assert [(await anext(events)).id, (await anext(events)).id] == [assigned, "mine"]


@pytest.mark.parametrize(
    ("topics", "event", "error", "said"),
    [
        ("", "x", InvalidTopic, "1 to 1024 characters, not 0"),
        ("t" * 1025, "x", InvalidTopic, "1 to 1024 characters, not 1025"),
        ("*", "x", InvalidTopic, "'\\*' subscribes to all topics"),
        (["a", 7], "x", InvalidTopic, "a topic is text, not int"),
        ([], "x", ValueError, "at least one topic"),
        ("a", Event("x", id="taken"), DuplicateId, "'taken' is already in the history"),
        ("a", Event("x", id=""), InvalidEvent, "id is empty"),
        ("a", "x" * 200, EventTooLarge, "takes at most 100"),
    ],
)
async def test_what_is_refused_has_not_been_published(
    autojump_clock: MockClock,
    topics: str | Iterable[str],
    event: Event | str,
    error: type[Exception],
    said: str,
) -> None:
    async with open_hub(max_event_bytes=100) as hub, hub.subscribe("*") as events:
        hub.publish("a", Event("first", id="taken"))
        before = hub.statistics()
        with pytest.raises(error, match=said):
            hub.publish(topics, event)
        assert hub.statistics() == before
        assert await take(events, 1) == ["first"]
        assert await is_silent(events)


# -- subscribing ------------------------------------------------------------------------


async def test_events_are_iterated_over_as_they_come(autojump_clock: MockClock) -> None:
    received = []
    async with open_hub() as hub, trio.open_nursery() as nursery:

        async def publish() -> None:
            for number in range(5):
                await trio.sleep(1)
                hub.publish("a", str(number))

        nursery.start_soon(publish)
        async with hub.subscribe("a") as events:
            async for event in events:
                received.append((trio.current_time(), event.data))
                if event.data == "4":
                    break
    assert received == [(1 + number, str(number)) for number in range(5)]


@pytest.mark.parametrize("topics", [(), ("",), ("a", "t" * 1025)])
async def test_who_subscribes_to_no_topic_is_told_at_once(
    autojump_clock: MockClock, topics: tuple[str, ...]
) -> None:
    async with open_hub() as hub:
        with pytest.raises(InvalidTopic):
            await hub.subscribe(*topics).__aenter__()


async def test_each_step_of_an_iteration_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as events:
        for number in range(3):
            hub.publish("a", str(number))
        for _ in range(3):
            with trio.testing.assert_checkpoints():
                await anext(events)


async def test_a_reader_cancelled_in_the_middle_loses_nothing(autojump_clock: MockClock) -> None:
    received: list[str | None] = []
    async with open_hub() as hub, hub.subscribe("a") as events:
        for number in range(50):
            # Between being woken and running, before anything came, after: whatever comes first.
            for turns in range(5):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:

                        async def read(nursery: trio.Nursery = nursery) -> None:
                            received.append((await anext(events)).data)
                            nursery.cancel_scope.cancel()

                        nursery.start_soon(read)
                        for _ in range(turns):
                            await trio.lowlevel.checkpoint()
                        if turns == 2:
                            hub.publish("a", str(number))
                        await trio.lowlevel.checkpoint()
                        scope.cancel()
        while len(received) < 50:
            received += await take(events, 1)
        assert await is_silent(events)
    assert received == [str(number) for number in range(50)]


async def test_a_slow_reader_hurts_nobody_and_misses_nothing(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as slow, hub.subscribe("a") as quick:
        hub.publish("a", "0")
        assert await take(slow, 1) == ["0"]
        for number in range(1, 1000):
            hub.publish("a", str(number))
        assert await take(quick, 1000) == [str(number) for number in range(1000)]
        assert await take(slow, 999) == [str(number) for number in range(1, 1000)]


async def test_one_reader_at_a_time(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, hub.subscribe("a") as events, trio.open_nursery() as nursery:
        nursery.start_soon(events.__anext__)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError, match="another task"):
            await anext(events)
        hub.publish("a", "x")


async def test_who_has_left_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_hub() as hub:
        async with hub.subscribe("a", "b") as events, trio.open_nursery() as nursery:
            nursery.start_soon(take, events, 1)
            await trio.testing.wait_all_tasks_blocked()
            assert (hub.statistics().subscribers, hub.statistics().audiences) == (1, 1)
            nursery.cancel_scope.cancel()
        assert (hub.statistics().subscribers, hub.statistics().audiences) == (0, 0)
        hub.publish("a", "nobody hears it")


async def test_statistics_count_what_was_published_and_what_is_kept(
    autojump_clock: MockClock,
) -> None:
    async with open_hub(max_events=3) as hub:
        for _ in range(5):
            hub.publish("a", "x")
        assert hub.statistics() == HubStatistics(
            subscribers=0, audiences=0, published=5, log=hub.log.statistics()
        )
        assert hub.statistics().log.events == 3
