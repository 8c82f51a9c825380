"""The log against a plain list, and its promises one by one."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trio_sse.event import Event, EventTooLarge, InvalidEvent, encode
from trio_sse.log import ALL, DuplicateId, Entry, Log, MemoryLog

EVERYTHING = 10**9


def read_all(log: Log, *selectors: str, cursor: int = 0) -> list[str | None]:
    """The data of what `selectors` match from `cursor` on."""
    reading = log.read(frozenset(selectors), cursor, max_bytes=EVERYTHING)
    return [entry.event.data for entry in reading.entries]


def filled(*data: str, max_events: int = 10_000, max_bytes: int = 10**6) -> MemoryLog:
    """A log with an event on the topic "a" for each of `data`."""
    log = MemoryLog(max_events=max_events, max_bytes=max_bytes, epoch="here")
    for each in data:
        log.append(("a",), Event(each))
    return log


class TestAppending:
    def test_the_entry_says_where_it_is_and_how_it_is_written(self) -> None:
        log = MemoryLog()
        event = Event("x", id="mine")
        assert log.append(("a", "b"), event) == Entry(0, ("a", "b"), event, encode(event))
        assert log.append(("a",), Event("y")).position == 1

    def test_an_id_is_assigned_and_encoded_with_the_event(self) -> None:
        log = MemoryLog(epoch="here")
        log.append(("a",), Event("x"))
        entry = log.append(("a",), Event("y", type="tick"))
        assert entry.event == Event("y", type="tick", id="here.1")
        assert entry.encoded == encode(entry.event)

    def test_assigned_ids_of_two_lives_differ(self) -> None:
        one, other = MemoryLog(), MemoryLog()
        assert one.epoch != other.epoch
        assert one.append(("a",), Event()).event.id == f"{one.epoch}.0"

    def test_a_topic_named_twice_counts_once(self) -> None:
        log = MemoryLog()
        assert log.append(("b", "a", "b"), Event("x")).topics == ("b", "a")
        assert read_all(log, "b") == ["x"]

    def test_an_id_that_has_left_the_history_may_come_again(self) -> None:
        log = MemoryLog(max_events=1)
        log.append(("a",), Event("x", id="mine"))
        log.append(("a",), Event("y"))
        assert log.append(("a",), Event("z", id="mine")).position == 2

    @pytest.mark.parametrize("event_id", ["here", "here.", "here.01", "here.-1", "here.1 ", "x.1"])
    def test_an_id_that_only_resembles_an_assigned_one_is_the_publishers(
        self, event_id: str
    ) -> None:
        assert filled().append(("a",), Event(id=event_id)).event.id == event_id


class TestRefusing:
    @pytest.mark.parametrize(
        ("topics", "event", "error", "message"),
        [
            ((), Event("x"), ValueError, "at least one topic"),
            (("a",), Event("x", id=""), InvalidEvent, "event id is empty"),
            (("a",), Event("x", id="taken"), DuplicateId, "'taken' is already in the history"),
            (("a",), Event("x", id="here.0"), DuplicateId, "'here.0' is already in the history"),
            (("a",), Event("x", id="here.9"), DuplicateId, "'here.9' has the form of the ids"),
            (("a",), Event("x" * 82), EventTooLarge, "is 101 bytes when encoded.* at most 100"),
        ],
    )
    def test_a_refused_event_changes_nothing(
        self, topics: tuple[str, ...], event: Event, error: type[ValueError], message: str
    ) -> None:
        log = MemoryLog(max_events=2, max_event_bytes=100, epoch="here")
        log.append(("a",), Event("first"))
        log.append(("b",), Event("second", id="taken"))
        before = log.statistics()
        with pytest.raises(error, match=message):
            log.append(topics, event)
        assert log.statistics() == before
        assert read_all(log, ALL) == ["first", "second"]

    def test_the_largest_event_allowed_is_taken(self) -> None:
        log = MemoryLog(max_event_bytes=100, epoch="here")
        assert len(log.append(("a",), Event("x" * 81)).encoded) == 100

    def test_reading_beyond_the_head_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cursor 2 is beyond the log's head, 1"):
            filled("x").read(frozenset("a"), 2, max_bytes=1)

    @pytest.mark.parametrize("bound", ["max_events", "max_bytes", "max_event_bytes"])
    def test_a_bound_that_leaves_room_for_nothing_is_refused(self, bound: str) -> None:
        bounds: dict[str, int] = {bound: 0}
        with pytest.raises(ValueError, match="must each be at least 1"):
            MemoryLog(epoch=None, **bounds)


class TestReading:
    def test_a_reader_sees_its_topics_in_the_order_of_publishing(self) -> None:
        log = MemoryLog()
        for number, topic in enumerate(["a", "b", "c", "b", "a", "c", "a"]):
            log.append((topic,), Event(str(number)))
        assert read_all(log, "a") == ["0", "4", "6"]
        assert read_all(log, "b", "a") == ["0", "1", "3", "4", "6"]
        assert read_all(log, "a", cursor=1) == ["4", "6"]
        assert read_all(log, "nobody") == []

    def test_an_event_on_two_of_its_topics_is_seen_once(self) -> None:
        log = MemoryLog()
        log.append(("a", "b"), Event("x"))
        log.append(("b", "c"), Event("y"))
        assert read_all(log, "a", "b", "c") == ["x", "y"]

    def test_the_star_sees_everything_also_among_others(self) -> None:
        log = MemoryLog()
        log.append(("a",), Event("x"))
        log.append(("b",), Event("y"))
        assert read_all(log, ALL) == ["x", "y"]
        assert read_all(log, ALL, "a") == ["x", "y"]

    def test_having_read_everything_the_cursor_is_the_head(self) -> None:
        log = filled("x", "y")
        log.append(("b",), Event("z"))
        reading = log.read(frozenset("a"), 0, max_bytes=EVERYTHING)
        assert reading.cursor == log.head == 3
        assert log.read(frozenset("a"), 3, max_bytes=1).entries == ()

    def test_it_stops_before_passing_the_bytes_and_goes_on_from_there(self) -> None:
        log = filled("1", "2", "3")
        one = len(log.append(("b",), Event("4")).encoded)
        reading = log.read(frozenset("a"), 0, max_bytes=2 * one)
        assert [entry.event.data for entry in reading.entries] == ["1", "2"]
        assert reading.cursor == 2
        assert log.read(frozenset("a"), 0, max_bytes=2 * one - 1).cursor == 1
        rest = log.read(frozenset("a"), 2, max_bytes=2 * one)
        assert [entry.event.data for entry in rest.entries] == ["3"]
        assert rest.cursor == 4

    def test_it_goes_on_at_the_next_that_matches_so_that_what_lies_between_is_no_loss(self) -> None:
        log = filled("1", max_events=3)
        for topic in "ba":
            log.append((topic,), Event("x"))
        reading = log.read(frozenset("a"), 0, max_bytes=1)
        assert reading.cursor == 2
        for _ in range(2):
            log.append(("b",), Event("x"))
        assert log.first == 2
        assert not log.read(frozenset("a"), reading.cursor, max_bytes=EVERYTHING).lost

    def test_an_event_larger_than_asked_for_is_taken_by_itself(self) -> None:
        reading = filled("large", "small").read(frozenset("a"), 0, max_bytes=1)
        assert [entry.event.data for entry in reading.entries] == ["large"]

    def test_an_empty_log_has_nothing_to_read_and_nothing_lost(self) -> None:
        log = MemoryLog()
        reading = log.read(frozenset([ALL]), 0, max_bytes=1)
        assert (reading.entries, reading.cursor, reading.lost) == ((), 0, False)

    def test_a_reader_that_the_history_has_overtaken_is_told(self) -> None:
        log = filled("1", "2", "3", max_events=2)
        overtaken = log.read(frozenset("a"), 0, max_bytes=EVERYTHING)
        assert overtaken.lost
        assert [entry.event.data for entry in overtaken.entries] == ["2", "3"]
        assert not log.read(frozenset("a"), 1, max_bytes=EVERYTHING).lost


class TestForgetting:
    def test_the_oldest_go_when_there_are_too_many(self) -> None:
        log = filled("1", "2", "3", max_events=2)
        assert read_all(log, "a", cursor=1) == ["2", "3"]
        assert (log.first, log.head, len(log)) == (1, 3, 2)

    def test_topics_count_as_well(self) -> None:
        log = MemoryLog(max_bytes=100_000)
        for number in range(100):
            log.append(tuple(f"{topic}".rjust(1000) for topic in range(50)), Event(str(number)))
        assert (len(log), log.statistics().topics) == (1, 50)

    def test_the_oldest_go_when_there_are_too_many_bytes(self) -> None:
        size = filled("1").bytes
        log = filled("1", "2", "3", max_bytes=2 * size)
        assert (log.first, log.bytes) == (1, 2 * size)
        log.append(("a",), Event("x" * size))
        assert len(log) == 1

    def test_the_newest_stays_even_if_it_alone_is_too_large(self) -> None:
        log = filled("1", "x" * 1000, max_bytes=10)
        assert read_all(log, "a", cursor=1) == ["x" * 1000]

    @pytest.mark.parametrize(("topic", "left"), [("topic {}", 10), ("the same", 1)])
    def test_what_has_left_the_history_leaves_nothing_behind(self, topic: str, left: int) -> None:
        log = MemoryLog(max_events=10)
        tracemalloc.start()
        for number in range(2000):
            log.append((topic.format(number),), Event("x" * 100))
            if number == 1000:
                half_way, _ = tracemalloc.get_traced_memory()
        end, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert log.statistics().topics == left
        assert end < half_way + 10_000

    def test_the_statistics_say_all_of_it(self) -> None:
        log = filled("1", "2", "3", max_events=2)
        log.append(("b", "c"), Event("4"))
        statistics = log.statistics()
        assert (statistics.events, statistics.evicted, statistics.topics) == (2, 2, 3)
        assert (statistics.first, statistics.head) == (2, 4)
        assert statistics.bytes == log.bytes


class TestLocating:
    def test_an_id_in_the_history_is_the_place_just_after_it(self) -> None:
        log = filled("x")
        log.append(("a",), Event("y", id="mine"))
        log.append(("a",), Event("z"))
        assert [log.locate(i) for i in ("here.0", "mine", "here.2")] == [1, 2, 3]

    def test_an_assigned_id_is_located_after_its_event_has_gone(self) -> None:
        log = filled("1", "2", "3", max_events=1)
        assert [log.locate(f"here.{number}") for number in range(3)] == [1, 2, 3]
        assert log.read(frozenset("a"), 1, max_bytes=1).lost
        assert not log.read(frozenset("a"), 2, max_bytes=1).lost

    def test_a_publishers_id_is_unknown_after_its_event_has_gone(self) -> None:
        log = MemoryLog(max_events=1)
        log.append(("a",), Event("x", id="mine"))
        log.append(("a",), Event("y"))
        assert log.locate("mine") is None

    @pytest.mark.parametrize(
        "event_id",
        [
            *["", "here", "here.", "here.12", "here.00", "here.-0", "here.+0", "here. 0"],
            *["here.0\n", "here.0_0", "here.1\u0660", "here." + "1" * 5000],
            *["there.0", "HERE.0", "xhere.0"],
        ],
    )
    def test_what_it_did_not_assign_is_unknown(self, event_id: str) -> None:
        log = filled(*"0123456789ab", max_events=1)
        assert log.locate("here.10") == 11
        assert log.locate(event_id) is None

    def test_a_place_that_a_publishers_id_took_has_no_assigned_id(self) -> None:
        log = filled()
        log.append(("a",), Event(id="mine"))
        assert log.locate("here.0") is None

    def test_an_epoch_is_not_a_pattern(self) -> None:
        log = MemoryLog(epoch="a.c", max_events=1)
        for _ in range(2):
            log.append(("a",), Event())
        assert log.locate("a.c.0") == 1
        assert log.locate("abc.0") is None


topics = st.sampled_from("abcd")
selector_sets = st.frozensets(st.sampled_from(["a", "b", "c", "d", "nobody", ALL]))
steps = st.integers(0, 300)


class AgainstAList(RuleBasedStateMachine):
    """Any appends, and readers that walk at any pace: what they see is what a list says."""

    @initialize(max_events=st.integers(1, 12), max_bytes=st.integers(1, 400))
    def start(self, max_events: int, max_bytes: int) -> None:
        self.max_events, self.max_bytes = max_events, max_bytes
        self.log: Log = MemoryLog(max_events=max_events, max_bytes=max_bytes, epoch="here")
        self.published: list[Entry] = []
        self.history: list[Entry] = []
        self.cursors = [0, 0, 0]

    @property
    def first(self) -> int:
        return self.history[0].position if self.history else 0

    def matching(self, selectors: frozenset[str], start: int, stop: int) -> list[Entry]:
        return [
            entry
            for entry in self.history
            if start <= entry.position < stop and (ALL in selectors or selectors & {*entry.topics})
        ]

    @rule(
        under=st.lists(topics, min_size=1, max_size=4),
        data=st.text("x", max_size=40),
        own_id=st.none() | st.integers(0, 20).map("own {}".format),
    )
    def append(self, under: list[str], data: str, own_id: str | None) -> None:
        event = Event(data, id=own_id)
        if own_id is not None and own_id in [entry.event.id for entry in self.history]:
            with pytest.raises(DuplicateId):
                self.log.append(tuple(under), event)
            return
        position = len(self.published)
        identified = Event(data, id=own_id or f"here.{position}")
        expected = Entry(position, tuple(dict.fromkeys(under)), identified, encode(identified))
        assert self.log.append(tuple(under), event) == expected
        self.published.append(expected)
        self.history.append(expected)
        while len(self.history) > self.max_events or (
            sum(entry.size for entry in self.history) > self.max_bytes and len(self.history) > 1
        ):
            self.history.pop(0)

    @rule(reader=st.integers(0, 2), selectors=selector_sets, step=steps)
    def read_on_while_publishing_goes_on(
        self, reader: int, selectors: frozenset[str], step: int
    ) -> None:
        cursor = self.cursors[reader]
        reading = self.log.read(selectors, cursor, max_bytes=step)
        assert reading.lost == (cursor < self.first)
        assert list(reading.entries) == self.matching(selectors, cursor, reading.cursor)
        self.cursors[reader] = reading.cursor

    @rule(selectors=selector_sets, back=st.integers(0, 20), step=steps)
    def walk_to_the_head(self, selectors: frozenset[str], back: int, step: int) -> None:
        cursor = max(0, len(self.published) - back)
        expected = self.matching(selectors, cursor, len(self.published))
        seen: list[Entry] = []
        lost = cursor < self.first
        while True:
            reading = self.log.read(selectors, cursor, max_bytes=step)
            assert reading.lost == lost
            size = sum(len(entry.encoded) for entry in reading.entries)
            assert size <= step or len(reading.entries) == 1
            seen += reading.entries
            if reading.cursor == self.log.head:
                break
            # Not at the head, so it stopped for the bytes: the next one would pass them.
            assert reading.cursor == expected[len(seen)].position
            assert size + len(expected[len(seen)].encoded) > step
            cursor, lost = reading.cursor, False
        assert seen == expected

    @rule(back=st.integers(0, 20))
    def locate(self, back: int) -> None:
        position = len(self.published) - 1 - back
        if position < 0:
            return
        event_id = self.published[position].event.id
        assert event_id is not None
        holders = [entry.position + 1 for entry in self.history if entry.event.id == event_id]
        if event_id.startswith("own "):
            assert self.log.locate(event_id) == (holders[0] if holders else None)
        else:
            assert self.log.locate(event_id) == position + 1

    @invariant()
    def the_figures_are_those_of_the_list(self) -> None:
        statistics = self.log.statistics()
        assert statistics.events == len(self.history)
        assert statistics.bytes == sum(entry.size for entry in self.history)
        assert statistics.first == self.log.first == self.first
        assert statistics.head == self.log.head == len(self.published)
        assert statistics.topics == len({topic for e in self.history for topic in e.topics})
        assert statistics.evicted == len(self.published) - len(self.history)


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(stateful_step_count=40, deadline=None)
