"""Whose work is done next, and what others notice of it. Here a turn has time for one step."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_sse.connection.turns import Turns
from trio_sse.message import Peer

CROWD, ALONE = Peer("192.0.2.1", 1), Peer("192.0.2.2", 1)


async def test_a_crowd_of_one_address_does_not_go_before_others() -> None:
    all_of_them = Turns(0.0)
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
    all_of_them = Turns(0.0)
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
    all_of_them = Turns(0.0)
    assert await all_of_them.step(ALONE, lambda: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        await all_of_them.step(ALONE, lambda: 1 // 0)
    assert await all_of_them.step(ALONE, lambda: "done again") == "done again"


async def test_who_gives_up_costs_nothing_more() -> None:
    all_of_them = Turns(0.0)
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


async def test_nothing_runs_while_nobody_waits() -> None:
    all_of_them = Turns(0.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(all_of_them.step, ALONE, lambda: None)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_a_step_that_failed_is_no_work_for_the_collector_of_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError):
            await Turns(0.0).step(ALONE, lambda: 1 // 0)
        await wait_all_tasks_blocked()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [found for found in gc.garbage if isinstance(found, ZeroDivisionError)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_what_there_is_time_for_is_done_at_once() -> None:
    turns = Turns(1_000.0)
    for number in range(100):
        with pytest.raises(StopIteration) as returned:
            turns.now_or_in_turn(CROWD, lambda number=number: number).send(None)  # type: ignore[misc]
        assert returned.value.value == number


async def test_what_there_is_no_time_for_waits_its_turn() -> None:
    turns = Turns(0.0)
    made: list[Peer] = []
    async with trio.open_nursery() as nursery:
        for peer in [CROWD] * 50 + [ALONE]:

            def make(peer: Peer = peer) -> None:
                made.append(peer)

            nursery.start_soon(turns.now_or_in_turn, peer, make)
    assert len(made) == 51
    assert ALONE in made[:2]


async def test_who_comes_while_others_wait_does_not_go_before_them() -> None:
    turns = Turns(1_000.0)  # there is time for all of it
    turns._at_work = True  # but nobody is: whoever waits goes on waiting
    made: list[Peer] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.step, CROWD, lambda: made.append(CROWD))
        await wait_all_tasks_blocked()
        nursery.start_soon(turns.now_or_in_turn, ALONE, lambda: made.append(ALONE))
        await wait_all_tasks_blocked()
        assert not made
        nursery.cancel_scope.cancel()


async def test_a_step_may_end_the_wait_for_itself() -> None:
    turns = Turns(0.0)
    with trio.CancelScope() as scope:
        await turns.step(CROWD, scope.cancel)
    assert scope.cancelled_caught
    assert await turns.step(CROWD, lambda: "done") == "done"
