"""Errands of a connection: what a nursery promises, for tasks that seldom come."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_sse.connection import Service
from trio_sse.connection.endpoint import Endpoint
from trio_sse.connection.errands import Errands
from trio_sse.limits import Limits
from trio_sse.routes import Routes
from trio_sse.transport import memory_pair


def nobody() -> None:
    raise AssertionError("nothing has failed")


async def test_errands_run_and_end_with_the_connection() -> None:
    told: list[str] = []

    async def errand(name: str) -> None:
        told.append(name)
        try:
            await trio.sleep_forever()
        finally:
            told.append(f"{name} is over")

    async with trio.open_nursery() as home:
        errands = Errands(home, nobody)
        errands.start_soon(errand, "early")
        await trio.testing.wait_all_tasks_blocked()
        errands.start_soon(errand, "late")
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["early", "late"]
        await errands.finish()
        assert sorted(told[2:]) == ["early is over", "late is over"]


async def test_the_end_waits_for_who_takes_his_time(autojump_clock: MockClock) -> None:
    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with trio.open_nursery() as home:
        errands = Errands(home, nobody)
        errands.start_soon(slow)
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await errands.finish()
        assert trio.current_time() == 3


async def test_nothing_starts_after_the_end_nor_close_to_it() -> None:
    async def errand() -> None:
        await trio.lowlevel.checkpoint()
        raise AssertionError("it went on")

    # Trio runs tasks that are due in any order: often enough is always.
    for attempt in range(200):
        async with trio.open_nursery() as home:
            errands = Errands(home, nobody)
            await trio.testing.wait_all_tasks_blocked()
            errands.cancel()
            for _ in range(attempt % 4):
                await trio.lowlevel.checkpoint()
            errands.start_soon(errand)
            await errands.finish()
            errands.start_soon(errand)


async def test_an_errand_that_fails_ends_the_others_and_is_told() -> None:
    told: list[str] = []

    async def wrong() -> None:
        raise ValueError("wrong")

    async def other() -> None:
        try:
            await trio.sleep_forever()
        finally:
            told.append("the other is over")

    async with trio.open_nursery() as home:
        errands = Errands(home, lambda: told.append("cut off"))
        errands.start_soon(other)
        await trio.testing.wait_all_tasks_blocked()
        errands.start_soon(wrong)
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["the other is over", "cut off"]
        with pytest.RaisesGroup(ValueError):
            await errands.finish()


async def test_errands_end_when_all_is_cancelled() -> None:
    async with trio.open_nursery() as home:
        errands = Errands(home, nobody)
        errands.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        home.cancel_scope.cancel()
        with pytest.raises(trio.Cancelled):
            await trio.sleep(1)
        await errands.finish()


async def test_an_errand_that_fails_as_all_is_cancelled_is_told_to_the_connection_alone() -> None:
    async def clumsy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("wrong")

    async with trio.open_nursery() as home:
        errands = Errands(home, lambda: None)
        errands.start_soon(clumsy)
        errands.start_soon(trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        home.cancel_scope.cancel()
        with pytest.RaisesGroup(ValueError):
            await errands.finish()


class Quiet(Endpoint):
    """A connection on which nothing is said."""

    async def _converse(self) -> None:
        await trio.sleep_forever()


async def test_no_errand_is_lost_while_those_before_are_let_go_of() -> None:
    # A new one comes after each step of the end of the old, which are in any order.
    for attempt in range(200):
        done: list[int] = []

        async def errand(number: int, done: list[int] = done) -> None:
            await trio.lowlevel.checkpoint()
            done.append(number)

        async with trio.open_nursery() as home:
            connection = Quiet(Service(Routes(), Limits()), memory_pair()[0])
            home.start_soon(connection.run)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(10):
                connection.start_soon(errand, number)
                if number % 2:
                    await trio.testing.wait_all_tasks_blocked()
                connection.tidy()
                connection.tidy()
                for _ in range((attempt + number) % 6):
                    await trio.lowlevel.checkpoint()
                    connection.tidy()
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(done) == list(range(10))
            while not connection.tidy():
                await trio.lowlevel.checkpoint()
            assert len(home.child_tasks) == 1
            connection.cut_off()


async def test_no_failure_is_lost_while_errands_are_let_go_of() -> None:
    async def wrong(go: trio.Event) -> None:
        await go.wait()
        raise ValueError("wrong")

    for _ in range(50):  # it fails before or after it is looked at
        with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
            async with trio.open_nursery() as home:
                connection = Quiet(Service(Routes(), Limits()), memory_pair()[0])
                home.start_soon(connection.run)
                await trio.testing.wait_all_tasks_blocked()
                go = trio.Event()
                connection.start_soon(wrong, go)
                await trio.testing.wait_all_tasks_blocked()
                connection.tidy()
                go.set()
                await trio.lowlevel.checkpoint()
                connection.tidy()
                connection.start_soon(trio.sleep_forever)


class Slow(Endpoint):
    """A connection whose own task takes its time to end."""

    may_end: trio.Event

    async def _converse(self) -> None:
        with trio.CancelScope(shield=True):
            await self.may_end.wait()


async def test_an_errand_begun_after_its_connection_was_cut_off_is_cancelled_at_once() -> None:
    told: list[str] = []

    async def errand() -> None:
        try:
            await trio.sleep_forever()
        finally:
            told.append("is over")

    async with trio.open_nursery() as home:
        connection = Slow(Service(Routes(), Limits()), memory_pair()[0])
        connection.may_end = trio.Event()
        home.start_soon(connection.run)
        await trio.testing.wait_all_tasks_blocked()
        connection.cut_off()
        connection.start_soon(errand)
        await trio.testing.wait_all_tasks_blocked()
        told_then = list(told)
        connection.may_end.set()
        assert told_then == ["is over"]
