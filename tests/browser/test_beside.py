"""A Trio program beside the test: reached into, ended with the block, heard when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio

from trio_sse import Bind, Event, Hub, Response, Routes, Server, open_hub, serve
from trio_sse.mercure import PATH, mount

from .beside import beside

if TYPE_CHECKING:
    from playwright.sync_api import Page

TWO_EVENTS = """(address) => new Promise((resolve) => {
    const heard = [];
    const source = new EventSource(address);
    source.onmessage = (event) => {
        heard.push(event.data);
        if (heard.length === 2) { source.close(); resolve(heard); }
    };
})"""


async def hub_server(task_status: trio.TaskStatus[tuple[Hub, Server]]) -> None:
    async with open_hub() as hub, trio.open_nursery() as nursery:
        routes = Routes()
        mount(routes, hub)
        page = (("content-type", "text/html"),)
        routes.get("/", lambda request: Response(200, b"<!doctype html>", page))
        server = await nursery.start(serve, routes, Bind(port=0))
        task_status.started((hub, server))


def test_a_page_receives_what_the_test_publishes(page: Page) -> None:
    with beside(hub_server) as running:
        hub, server = running.started
        page.goto(str(server.addresses[0]))
        first = running.call(hub.publish, "news", "first")
        running.call(hub.publish, "news", "second")
        running.call(hub.publish, "other", "not this one")
        running.call(hub.publish, "news", Event(json.dumps("third")))
        address = f"{PATH}?topic=news&lastEventID={first}"
        assert page.evaluate(TWO_EVENTS, address) == ["second", '"third"']


def test_what_the_program_raises_is_raised_in_the_test() -> None:
    async def fails(task_status: trio.TaskStatus[str]) -> None:
        task_status.started("well")
        raise RuntimeError("and then not")

    with pytest.raises(BaseExceptionGroup) as raised, beside(fails) as running:
        assert running.started == "well"
    assert raised.group_contains(RuntimeError, match="and then not")


def test_a_program_that_never_starts_says_why() -> None:
    async def fails(task_status: trio.TaskStatus[None]) -> None:
        raise RuntimeError("no place to listen")

    with pytest.raises(BaseExceptionGroup) as raised, beside(fails):
        pytest.fail("the block must not begin")
    assert raised.group_contains(RuntimeError, match="no place to listen")


def test_the_program_ends_with_the_block() -> None:
    ended: list[str] = []

    async def waits(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            ended.append("ended")

    with beside(waits):
        assert ended == []
    assert ended == ["ended"]
