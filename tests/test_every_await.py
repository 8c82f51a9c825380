"""A defect after any wait of what serves a connection costs that connection at most.

The busy scenario of test_every_checkpoint.py is run again and again. In the n-th run the n-th
time that a task of the connection goes on after an `await`, it is with a defect, as if what it
has waited for had failed in a way that nobody has thought of.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from itertools import count
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.logs import Log
from support.memory_server import serving
from support.reader import PROTOCOLS, Protocol
from test_every_checkpoint import CAPACITY, LIMITS, Scene
from trio_sse.hub import open_hub

TRIOS_OWN = "_nested_child_finished"
"""Where a nursery waits for its tasks. Nothing can fail there, and Trio counts on it."""

FOR_ALL = ".Turns._work"
"""The task that works for all connections, and is none's."""

pytestmark = pytest.mark.timeout(300)
"""Hundreds of runs take their time where a machine is busy."""


class Defect(Exception):
    """What nobody has thought of."""


class AfterAwait(trio.abc.Instrument):
    """Throws a defect into a task that goes on, the n-th time that one of the package's does."""

    def __init__(self, turn: int) -> None:
        self.where: str | None = None
        self._countdown = turn

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        if task.name.startswith("trio_sse.") and not task.name.endswith(FOR_ALL):
            task.coro = cast("types.CoroutineType[Any, Any, Any]", self._hampered(task.coro))

    async def _hampered(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return await self._steps(coro)

    @types.coroutine
    def _steps(self, coro: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Do what a coroutine does, but for the defect."""
        try:
            wish = coro.send(None)
            while True:
                try:
                    given = yield wish
                except BaseException as error:
                    wish = coro.throw(error)
                    continue
                place = innermost(coro)
                if place is not None:
                    self._countdown -= 1
                if place is not None and self._countdown == 0:
                    self.where = place
                    wish = coro.throw(Defect(place))
                else:
                    wish = coro.send(given)
        except StopIteration as end:
            return end.value


def innermost(coro: Any) -> str | None:
    """The last line of the package on the way to where a coroutine waits; None if not to fail."""
    place = None
    while hasattr(coro, "cr_frame"):
        code = coro.cr_frame.f_code
        if code.co_name == TRIOS_OWN:
            return None
        if "/trio_sse/" in code.co_filename:
            place = f"{code.co_filename}:{coro.cr_frame.f_lineno} {code.co_name}"
        coro = coro.cr_await
    return place


async def suffer(protocol: Protocol, turn: int) -> tuple[str | None, int]:
    """Return where the defect was, if there was such a turn, and how often the server counted."""
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            honest = Http1Client(server.connect())
            await honest.open("/follow")
            await trio.testing.wait_all_tasks_blocked()
            defect = AfterAwait(turn)
            trio.lowlevel.add_instrument(defect)
            client = server.connect(capacity=CAPACITY)
            await scene.play(protocol, client, lambda: defect.where is not None)
            await trio.sleep(60)
            trio.lowlevel.remove_instrument(defect)
            hub.publish("a", "and on it goes")
            while (await honest.data(1)) != ["and on it goes"]:
                pass
            assert server.statistics().connections == 1, defect.where
            assert server.statistics().streams == 1, defect.where
            assert scene.running_handlers == 0, defect.where
            honest.leave()
    return defect.where, server.statistics().failed


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_defect_after_any_await_costs_one_connection_at_most(
    protocol: Protocol, caplog: Log
) -> None:
    for turn in count(1):
        caplog.clear()
        clock = MockClock(autojump_threshold=0)
        where, counted = trio.run(suffer, protocol, turn, clock=clock)
        if where is None:
            break
        assert len([each for each in caplog.records if each.exc_info]) == 1, where
        assert counted == 1, where
    assert turn > 40
