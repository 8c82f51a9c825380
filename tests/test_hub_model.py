"""The hub against a plain list: whoever comes, goes, stalls or resumes, and however slowly the
pump turns, each subscriber gets exactly its events in order, or a gap exactly where one is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from trio_sse.event import Decoder, Event
from trio_sse.hub import GAP_TYPE, Frame, Hub, Outlet, identity
from trio_sse.log import MemoryLog

TOPICS = ("a", "b", "c")


def bracketed(payload: bytes) -> bytes:
    """A second way to frame, so that there are audiences that differ by it."""
    return b"<" + payload + b">"


class Subscriber(Outlet):
    """Takes what it is given and checks it, or stalls."""

    def __init__(self, model: HubModel, topics: frozenset[str], frame: Frame, cursor: int) -> None:
        super().__init__(model.hub.selectors(topics), frame, cursor)
        self.model = model
        self.behaviour = "takes"
        self.due = cursor
        """Every matching event before this position has come, or a gap in its place."""

    def __len__(self) -> int:
        return 1

    def deliver(self, framed: bytes, stop: int) -> None:
        if self.behaviour != "stalls":
            if self.frame is bracketed:
                framed = framed.removeprefix(b"<").removesuffix(b">")
            try:
                self.take(framed, stop, sure=True)
            except AssertionError as error:
                self.model.trouble.append(error)  # The hub would catch it.
            self.cursor = stop
        if self.behaviour != "takes":
            self.model.hub.leave(self)

    def cut_off(self) -> None:
        raise AssertionError("deliver never fails here")

    def take(self, payload: bytes, stop: int, *, sure: bool) -> None:
        """Check that `payload` is what was due before position `stop`."""
        gap = False
        for event in Decoder().feed(payload):
            if event.type == GAP_TYPE:
                assert not gap
                gap = True
            else:
                assert event.data is not None
                position = int(event.data.split()[0])
                assert position >= self.due, "an event came twice"
                assert self.matching(range(position, position + 1)), "an event of other topics"
                self.account_for(position, gap=gap, sure=sure)
                self.due = position + 1
                gap = False
        self.account_for(stop, gap=gap, sure=sure)

    def account_for(self, stop: int, *, gap: bool, sure: bool) -> None:
        """Check that what was due before `stop` is nothing, or is gone and was said to be."""
        first = self.model.hub.log.first
        missing = self.matching(range(self.due, stop))
        if not gap:
            assert not missing, "events were skipped"
        elif sure:
            assert missing, "a gap where nothing was lost"
        else:
            # Who is behind cannot know what the events were that are gone.
            assert self.due < first, "a gap where nothing was lost"
        assert all(position < first for position in missing), "a gap in place of what is there"
        self.due = max(self.due, stop)

    def matching(self, positions: range) -> list[int]:
        """Return which of the positions this subscriber hears."""
        return [
            position
            for position in positions
            if "*" in self.selectors or self.selectors & self.model.published[position]
        ]


class HubModel(RuleBasedStateMachine):
    """Publishers, subscribers, and a pump that is turned by hand."""

    @initialize(max_events=st.integers(1, 8))
    def start(self, max_events: int) -> None:
        self.hub = Hub(MemoryLog(max_events=max_events, epoch="e"))
        self.published: list[frozenset[str]] = []
        """The topics of each event, by position."""
        self.subscribers: list[Subscriber] = []
        self.trouble: list[AssertionError] = []

    @rule(
        topics=st.frozensets(st.sampled_from(TOPICS), min_size=1, max_size=2),
        padding=st.integers(0, 60),
        times=st.integers(1, 4),
    )
    def publish(self, topics: frozenset[str], padding: int, times: int) -> None:
        for _ in range(times):
            position = len(self.published)
            self.published.append(topics)
            event_id = self.hub.publish(topics, Event(f"{position} " + "x" * padding))
            assert event_id == f"e.{position}"

    @rule(
        topics=st.frozensets(st.sampled_from((*TOPICS, "*")), min_size=1),
        frame=st.sampled_from((identity, bracketed)),
        behind=st.none() | st.integers(0, 12),
    )
    def join(self, topics: frozenset[str], frame: Frame, behind: int | None) -> None:
        last = None if behind is None else f"e.{max(0, len(self.published) - 1 - behind)}"
        cursor, opening = self.hub.resume(last)
        subscriber = Subscriber(self, topics, frame, cursor)
        # Not a single event yet: that id is one that nobody has been given.
        assert bool(opening) == (last is not None and not self.published)
        self.subscribers.append(subscriber)
        if cursor == self.hub.log.head:
            self.hub.join(subscriber)

    def pick(self, number: int) -> Subscriber:
        return self.subscribers[number % len(self.subscribers)]

    @precondition(lambda self: self.subscribers)
    @rule(
        number=st.integers(0, 99),
        behaviour=st.sampled_from(("takes", "stalls", "takes and then waits")),
    )
    def behave(self, number: int, behaviour: str) -> None:
        self.pick(number).behaviour = behaviour

    @precondition(lambda self: self.subscribers)
    @rule(number=st.integers(0, 99))
    def leave(self, number: int) -> None:
        subscriber = self.pick(number)
        self.hub.leave(subscriber)
        self.subscribers.remove(subscriber)

    @precondition(lambda self: self.subscribers)
    @rule(number=st.integers(0, 99), max_bytes=st.integers(1, 200))
    def catch_up(self, number: int, max_bytes: int) -> None:
        """As the task of a straggler does: read on, and join when there is nothing left."""
        subscriber = self.pick(number)
        if subscriber.audience is None:
            payload, cursor = self.hub.read(
                subscriber.selectors, subscriber.cursor, max_bytes=max_bytes
            )
            subscriber.take(payload, cursor, sure=False)
            subscriber.cursor = cursor
            if not payload:
                self.hub.join(subscriber)

    @rule(turns=st.integers(1, 4))
    def pump(self, turns: int) -> None:
        """Let the pump write to one outlet at a time."""
        pump = self.hub._pump
        for _ in range(turns):
            if pump._waiting:
                pump._serve(pump._waiting.popleft(), -math.inf)

    @invariant()
    def nothing_went_wrong(self) -> None:
        if self.trouble:
            raise self.trouble[0]

    @invariant()
    def only_who_is_live_counts(self) -> None:
        live = [each for each in self.subscribers if each.audience is not None]
        statistics = self.hub.statistics()
        assert statistics.subscribers == len(live)
        assert statistics.audiences == len({(each.selectors, each.frame) for each in live})

    @invariant()
    def who_is_live_is_where_the_hub_says(self) -> None:
        for subscriber in self.subscribers:
            cursor = self.hub.cursor_of(subscriber)
            assert not subscriber.matching(range(subscriber.due, cursor))

    def teardown(self) -> None:
        for number in range(len(self.subscribers)):
            self.pick(number).behaviour = "takes"
        while self.hub._pump._waiting:
            self.pump(1)
        self.nothing_went_wrong()
        for number, subscriber in enumerate(self.subscribers):
            while subscriber.audience is None:
                self.catch_up(number, 100)
        for subscriber in self.subscribers:
            assert not subscriber.matching(range(subscriber.due, len(self.published)))
            self.hub.leave(subscriber)
        assert self.hub.statistics().audiences == 0


@contextmanager
def a_slow_pump() -> Iterator[None]:
    """Small batches, and a look at the clock after each outlet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trio_sse.hub.pump.BATCH_BYTES", 150)
        patch.setattr("trio_sse.hub.pump.OUTLETS_AT_ONCE", 1)
        yield


async def test_every_subscriber_gets_exactly_its_events() -> None:
    with a_slow_pump():  # in Trio, whose clock the pump reads
        run_state_machine_as_test(
            HubModel,
            settings=settings(max_examples=150, stateful_step_count=60, deadline=None),
        )
