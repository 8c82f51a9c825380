"""A defect anywhere in what serves a connection costs that connection at most.

The busy scenario of test_every_checkpoint.py is run again and again. In each run one call of a
function of the connection or the wire raises as a defect would, each time from another place: all
places from which they are called have their turn.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.logs import Log
from support.memory_server import MemoryServer, serving
from support.reader import PROTOCOLS, Protocol
from test_every_checkpoint import CAPACITY, LIMITS, UPSETS, Scene
from trio_sse.connection.endpoint import Endpoint
from trio_sse.hub import open_hub

FOLDERS = ("/trio_sse/connection/", "/trio_sse/wire/")

LEFT_OUT = {
    "Handlers.ended": "without it the server waits for a handler that has ended, as it must for "
    "one that has not",
}
"""What cannot be seen to fail, and why."""

ACCOUNTING = ("Service.stream_closed", "Http1Connection._finish")
"""What counts a stream as over. Where this is what fails, it stays counted, and that is all."""

Place = tuple[str, str, int, int]
"""A function, the file and line that call it, and for which time. By names: to look up a code
object in a set takes longer than to run one."""

MOST_TIMES = int(os.environ.get("DEFECTS_AT_A_PLACE", "1"))
"""How often a place has its turn: at its 1st, 2nd, … call in a run. With 1000 that is each of the
2,500 calls there are, in a minute; they differ in little but what has been said before."""

pytestmark = pytest.mark.timeout(300)
"""Hundreds of runs take their time where a machine is busy."""


class Defect(Exception):
    """What nobody has thought of."""


@cache
def _is_ours(file: str) -> bool:
    return any(folder in file for folder in FOLDERS)


class Defects:
    """Raises in the first call from a place that none of those before it has seen fail."""

    def __init__(self, places: set[Place], honest: Endpoint) -> None:
        self.where: str | None = None
        self._places = places
        self._passed: Counter[tuple[str, str, int]] = Counter()
        self._honest = honest

    def trace(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if not _is_ours(code.co_filename) or code.co_qualname in LEFT_OUT:
            return
        if frame.f_lineno != code.co_firstlineno:
            return  # it is resumed after an `await`, where nothing of ours can raise
        caller = frame.f_back
        assert caller is not None
        called = code.co_qualname, caller.f_code.co_filename, caller.f_lineno
        times = self._passed[called] + 1
        place = *called, times
        if times > MOST_TIMES or (times == MOST_TIMES and place in self._places):
            return
        if not self._is_fair(frame):
            return
        self._passed[called] = times
        if place not in self._places:
            self._places.add(place)
            self.where = "{}, called in {}:{}".format(*called)
            raise Defect(self.where)

    def _is_fair(self, frame: FrameType) -> bool:
        """The honest connection is left alone, and what only the server itself calls."""
        seen_by_connection = False
        caller: FrameType | None = frame
        while caller is not None:
            owner = caller.f_locals.get("self")
            connection = owner if isinstance(owner, Endpoint) else None
            connection = connection or getattr(owner, "_connection", None)
            if connection is self._honest:
                return False
            seen_by_connection |= isinstance(connection, Endpoint)
            caller = caller.f_back
        return seen_by_connection

    @contextmanager
    def injected(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)


async def suffer(protocol: Protocol, places: set[Place]) -> tuple[str | None, int]:
    """Return where the defect was, if there was a place left for one, and how often the server
    has counted one.
    """
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            honest = Http1Client(server.connect())
            await honest.ask("/follow?topic=a")
            await honest.head()
            await trio.testing.wait_all_tasks_blocked()
            defects = Defects(places, server.connection)
            with defects.injected():
                await misbehave(scene, server, protocol, defects)
            if defects.where is not None and defects.where.startswith(ACCOUNTING):
                server.service.stream_closed()

            def rest() -> tuple[int, int, int]:
                counts = server.statistics()
                return counts.connections, counts.streams, scene.running_handlers

            for _ in range(60):
                if rest() != (1, 1, 0):
                    await trio.sleep(1)
            assert rest() == (1, 1, 0), defects.where
            hub.publish("a", "and on it goes")
            while (await honest.data(1)) != ["and on it goes"]:
                pass
            honest.leave()
    return defects.where, server.statistics().failed


async def misbehave(
    scene: Scene, server: MemoryServer, protocol: Protocol, defects: Defects
) -> None:
    """Play the scene, as far as the defect lets us."""
    client = server.connect(capacity=CAPACITY)
    talk = scene.talk_http2 if protocol == "HTTP/2" else scene.talk_http1
    with trio.move_on_after(30):
        try:
            await talk(client)
        except UPSETS:
            assert defects.where is not None
    client.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_defect_at_any_call_costs_one_connection_at_most(protocol: Protocol, caplog: Log) -> None:
    places: set[Place] = set()
    while True:
        caplog.clear()
        clock = MockClock(autojump_threshold=0)
        where, counted = trio.run(suffer, protocol, places, clock=clock)
        if where is None:
            break
        told = [each.name for each in caplog.records if each.exc_info]
        # Once, but twice if it is in what would have told of a handler's: there, and at the edge.
        assert told, where
        assert len(told) == len(set(told)), where
        assert counted == len(told), where
    assert len(places) > 100
