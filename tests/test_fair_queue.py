"""Whose turn it is when many wait, and who counts as one."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.fair_queue import FairQueue, source_of


def taken(queue: FairQueue[str]) -> str:
    return "".join(queue.take() for _ in range(len(queue)))


def test_of_each_source_one_is_taken_in_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    for source, items in {"a": "ABCDE", "b": "12", "c": "x"}.items():
        for item in items:
            queue.put(source, item)
    assert taken(queue) == "A1xB2CDE"


def test_who_comes_alone_waits_for_one_of_each_other_source() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(1000):
        queue.put("a", "A")
    queue.take()
    queue.put("b", "b")
    assert queue.take() + queue.take() == "Ab"


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc"))))
def test_nobody_is_lost_or_overtaken_by_one_of_the_same_source(actions: list[str | None]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    waiting: dict[str, deque[int]] = {source: deque() for source in "abc"}
    for number, source in enumerate(actions):
        if source is not None:
            queue.put(source, (source, number))
            waiting[source].append(number)
        elif queue:
            of, taken = queue.take()
            assert waiting[of].popleft() == taken
        assert len(queue) == sum(map(len, waiting.values()))


def test_nobody_can_be_taken_from_an_empty_queue() -> None:
    with pytest.raises(KeyError):
        FairQueue().take()


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_a_source_is_an_address_or_the_network_of_a_customer(host: str, source: str) -> None:
    assert source_of(host) == source
