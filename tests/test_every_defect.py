"""A defect anywhere in what serves a connection costs that connection at most.

The busy scenario of test_every_checkpoint.py is run again and again. In each run one call of a
function of the connection or the wire, of all calls there are, raises as a defect would.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

ACCOUNTING = ("stream_closed", "_finish", "ended")
"""What counts a stream or a handler as over cannot be shown to do so when it is what fails."""

RUNS = 60
"""For each protocol, spread over the hundreds of calls that the scenario makes."""

pytestmark = pytest.mark.timeout(300)
"""Hundreds of runs take their time where a machine is busy."""


class Defect(Exception):
    """What nobody has thought of."""


class Defects:
    """Raises in the n-th call that belongs to another connection than the honest one."""

    def __init__(self, call: int, honest: Endpoint) -> None:
        self.calls = 0
        self.where: str | None = None
        self._call = call
        self._honest = honest

    def trace(self, frame: FrameType, event: str, argument: Any) -> None:
        if not any(folder in frame.f_code.co_filename for folder in FOLDERS):
            return
        if frame.f_code.co_name in ACCOUNTING:
            return
        if frame.f_lineno != frame.f_code.co_firstlineno:
            return  # it is resumed after an `await`, where nothing of ours can raise
        self.calls += 1
        if self.where is None and self.calls >= self._call and self._is_fair(frame):
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
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


async def suffer(protocol: Protocol, call: int) -> Defects:
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            honest = Http1Client(server.connect())
            await honest.ask("/follow?topic=a")
            await honest.head()
            await trio.testing.wait_all_tasks_blocked()
            defects = Defects(call, server.connection)
            with defects.injected():
                await misbehave(scene, server, protocol, defects)
            hub.publish("a", "and on it goes")
            while (await honest.data(1)) != ["and on it goes"]:
                pass
            await trio.sleep(60)
            assert server.statistics().connections == 1, defects.where
            assert server.statistics().streams == 1, defects.where
            assert scene.running_handlers == 0, defects.where
            honest.leave()
    return defects


async def misbehave(
    scene: Scene, server: MemoryServer, protocol: Protocol, defects: Defects
) -> None:
    """Play the scene, as far as the defect lets us."""
    client = server.connect(capacity=CAPACITY)
    talk = scene.talk_http2 if protocol == "HTTP/2" else scene.talk_http1
    with trio.move_on_after(100):
        try:
            await talk(client)
        except UPSETS:
            assert defects.where is not None
    client.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_defect_at_any_call_costs_one_connection_at_most(protocol: Protocol, caplog: Log) -> None:
    clock = MockClock(autojump_threshold=0)
    calls = trio.run(suffer, protocol, sys.maxsize, clock=clock).calls
    assert calls > 300
    for run in range(RUNS):
        caplog.clear()
        clock = MockClock(autojump_threshold=0)
        defects = trio.run(suffer, protocol, 1 + run * calls // RUNS, clock=clock)
        told = [each.name for each in caplog.records if each.exc_info]
        # Once, but twice if it is in what would have told of a handler's: there, and at the edge.
        assert len(told) == len(set(told)), defects.where
