"""The hub by itself: publishing, subscribing, resuming, and gaps that are told."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_sse.event import Event, EventTooLarge, InvalidEvent
from trio_sse.hub import (
    GAP_TYPE,
    Frame,
    Hub,
    HubStatistics,
    InvalidTopic,
    Outlet,
    Subscription,
    identity,
    open_hub,
)
from trio_sse.log import DuplicateId


async def take(events: Subscription, count: int) -> list[str | None]:
    """The data of the next `count` events."""
    with trio.fail_after(60):
        return [(await anext(events)).data for _ in range(count)]


async def is_silent(events: Subscription) -> bool:
    """Whether nothing is there to be read."""
    with trio.move_on_after(60):
        await anext(events)
        return False
    return True


def lost(event: Event) -> object:
    """What a gap event says."""
    assert event.type == GAP_TYPE
    assert event.data is not None
    return json.loads(event.data)["lost"]


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


# -- resuming ---------------------------------------------------------------------------


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


# -- outlets ----------------------------------------------------------------------------


class Recorder(Outlet):
    """An outlet that takes everything and remembers it."""

    def __init__(self, hub: Hub, *topics: str, frame: Frame = identity) -> None:
        super().__init__(hub.selectors(topics), frame, hub.log.head)
        self.received = b""

    def deliver(self, framed: bytes, stop: int) -> None:
        self.received += framed
        self.cursor = stop

    def __len__(self) -> int:
        return 1


async def test_what_has_been_published_at_once_is_delivered_in_one_piece(
    autojump_clock: MockClock,
) -> None:
    pieces: list[bytes] = []

    def frame(payload: bytes) -> bytes:
        pieces.append(payload)
        return payload

    async with open_hub() as hub:
        outlets = [Recorder(hub, "a", frame=frame) for _ in range(3)]
        for outlet in outlets:
            hub.join(outlet)
        for number in range(10):
            hub.publish("a", Event(str(number), id=str(number)))
        await trio.testing.wait_all_tasks_blocked()
        assert pieces == [b"".join(b"id: %d\ndata: %d\n\n" % (n, n) for n in range(10))]
        assert [outlet.received for outlet in outlets] == 3 * pieces


async def test_a_batch_is_bounded(autojump_clock: MockClock) -> None:
    pieces: list[bytes] = []

    def frame(payload: bytes) -> bytes:
        pieces.append(payload)
        return payload

    async with open_hub() as hub:
        outlet = Recorder(hub, "a", frame=frame)
        hub.join(outlet)
        for _ in range(10):
            hub.publish("a", "x" * 30_000)
        hub.publish("a", "y" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        assert [len(piece) // 10_000 for piece in pieces] == [6, 6, 6, 6, 6, 10]
        assert outlet.received == b"".join(pieces)


async def test_many_outlets_do_not_hold_up_the_program(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(moments) * 0.0005)
    monkeypatch.setattr("trio_sse.hub.pump.time", clock)
    async with open_hub() as hub:
        outlets = [Recorder(hub, "a") for _ in range(1000)]
        for outlet in outlets:
            hub.join(outlet)
        hub.publish("a", "x")
        turns = 0
        while not outlets[-1].received:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns > 5
        assert len({outlet.received for outlet in outlets}) == 1


async def test_who_joins_between_two_events_gets_the_second_only(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub:
        early, late = Recorder(hub, "a"), Recorder(hub, "a")
        hub.join(early)
        hub.publish("a", Event("one", id="1"))
        hub.join(late)  # before the pump has had a turn
        hub.publish("a", Event("two", id="2"))
        await trio.testing.wait_all_tasks_blocked()
        assert early.received == b"id: 1\ndata: one\n\nid: 2\ndata: two\n\n"
        assert late.received == b"id: 2\ndata: two\n\n"


async def test_an_outlet_with_a_defect_costs_the_others_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(Recorder):
        def deliver(self, framed: bytes, stop: int) -> None:
            raise ZeroDivisionError

    async with open_hub() as hub:
        defective, sound = Defective(hub, "a"), Recorder(hub, "a")
        hub.join(defective)
        hub.join(sound)
        hub.publish("a", Event("one", id="1"))
        await trio.testing.wait_all_tasks_blocked()
        assert sound.received == b"id: 1\ndata: one\n\n"
        assert hub.statistics().subscribers == 1
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
