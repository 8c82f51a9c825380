"""Who holds the event loop is named, with the line it is at."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import trio

from support.visitor import running, visit
from trio_sse import Limits, Routes, Stream
from trio_sse.watchdog import watch

PATIENCE = 20.0


class Reader(logging.Handler):
    """Says when a line was logged, in whatever thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.came = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.came.set()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture(autouse=True)
def logged(reader: Reader) -> Iterator[None]:
    logger = logging.getLogger("trio_sse.server")
    logger.addHandler(reader)
    yield
    logger.removeHandler(reader)


async def test_a_handler_that_holds_the_loop_is_named_and_counted(reader: Reader) -> None:
    routes = Routes()

    @routes.get("/")
    async def wait_without_await(stream: Stream) -> None:
        assert reader.came.wait(PATIENCE)
        await stream.send("yes")

    async with running(routes, limits=Limits(held_warning=0.05)) as server:
        visitor = await visit(server)
        await visitor.get()
        await visitor.hear("yes\n")
        assert server.statistics().held >= 1
    assert "The event loop is held for" in reader.lines[0]
    assert "in wait_without_await" in reader.lines[0]
    assert "reader.came.wait(PATIENCE)" in reader.lines[0]


async def test_each_time_is_told_once(reader: Reader) -> None:
    told: list[None] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, 0.05, lambda: told.append(None))
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            reader.came.clear()
            assert reader.came.wait(PATIENCE)
            so_far = len(told)
            # Long enough for it to look again and again.
            threading.Event().wait(0.2)
            assert len(told) == so_far
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def test_it_ends_with_its_thread() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, 0.05, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        assert any(each.name == "trio-sse watchdog" for each in threading.enumerate())
        nursery.cancel_scope.cancel()
    assert not any(each.name == "trio-sse watchdog" for each in threading.enumerate())
