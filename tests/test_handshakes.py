"""Whose handshake goes on next, and what others notice of it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_sse.connection import handshakes
from trio_sse.connection.handshakes import Handshakes
from trio_sse.message import Peer

CROWD, ALONE = Peer("192.0.2.1", 1), Peer("192.0.2.2", 1)


@pytest.fixture(autouse=True)
def one_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "SLICE_SECONDS", 0.0)


async def test_a_crowd_of_one_address_does_not_go_before_others() -> None:
    all_of_them = Handshakes()
    made: list[Peer] = []
    async with trio.open_nursery() as nursery:
        for peer in [CROWD] * 50 + [ALONE]:

            def make(peer: Peer = peer) -> None:
                made.append(peer)

            nursery.start_soon(all_of_them.step, peer, make)
    assert len(made) == 51
    # Who comes in one turn of the event loop comes in any order.
    assert ALONE in made[:2]


async def test_others_have_their_turn_while_a_thousand_wait() -> None:
    all_of_them = Handshakes()
    made = 0
    seen = []

    def make() -> None:
        nonlocal made
        made += 1

    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(all_of_them.step, CROWD, make)
        while made < 1000:
            await trio.lowlevel.checkpoint()
            seen.append(made)
    # One a turn, and the two take turns in any order.
    assert max(after - before for before, after in pairwise(seen)) <= 2


async def test_what_comes_of_a_step_comes_to_who_waits_for_it() -> None:
    all_of_them = Handshakes()
    assert await all_of_them.step(ALONE, lambda: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        await all_of_them.step(ALONE, lambda: 1 // 0)
    assert await all_of_them.step(ALONE, lambda: "done again") == "done again"


async def test_who_gives_up_costs_nothing_more() -> None:
    all_of_them = Handshakes()
    made: list[str] = []
    first, second, third = (trio.CancelScope() for _ in range(3))

    async def step(scope: trio.CancelScope, make: Callable[[], object]) -> None:
        with scope:
            await all_of_them.step(CROWD, make)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(step, first, lambda: made.append("first"))
        second.cancel()
        nursery.start_soon(step, second, lambda: made.append("second"))
        nursery.start_soon(step, third, lambda: made.append("third"))
    assert sorted(made) == ["first", "third"]
    assert second.cancelled_caught


async def test_nothing_runs_while_nobody_shakes_hands() -> None:
    all_of_them = Handshakes()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(all_of_them.step, ALONE, lambda: None)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_a_step_that_failed_is_no_work_for_the_collector_of_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError):
            await Handshakes().step(ALONE, lambda: 1 // 0)
        await wait_all_tasks_blocked()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [found for found in gc.garbage if isinstance(found, ZeroDivisionError)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
