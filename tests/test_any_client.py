"""A client that does anything, allowed or not, in any order, while events are published.

The server never raises and never complains, lets go of it within the timeouts, and has nothing
left of it. `make fuzz` tries as many clients as FUZZ_EXAMPLES says.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from conformance import test_connection, test_frames, test_requests
from conformance.witness import LINE, block, setting
from hearers import corpus
from http2_client import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    raw,
)
from support.memory_server import serving
from test_every_checkpoint import LIMITS, Scene
from trio_sse.connection.turns import Turns
from trio_sse.hub import open_hub
from trio_sse.transport import Broken, MemoryTransport

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

LONGEST_PATIENCE = 700
"""Seconds after which a client that does nothing more is gone: first its buffer fills up with
heartbeats, at three seconds each, then `write_timeout` passes."""

Step = tuple[str, bytes | int]

# -- what a client says ---------------------------------------------------------------------

STREAMS = st.sampled_from([1, 3, 5, 7, 9, 11])
TARGETS = st.sampled_from(["/follow", "/follow", "/handle", "/zap", "/", "/nowhere"])
NUMBERS = st.sampled_from([0, 1, 10, 100, 1000, 65_535, 2**31 - 1])


def asking(stream_id: int, target: str, posts: bool, last_id: str, flags: int) -> bytes:
    line = [(":method", "POST" if posts else "GET"), *LINE[1:3], (":path", target)]
    more = [("last-event-id", last_id)] if last_id else []
    return raw(HEADERS, END_HEADERS | flags, stream_id, block([*line, *more]))


ILLEGAL = sorted(
    {
        *(data for data, _ in test_connection.CONNECTION_ERRORS.values()),
        *(data for data, _ in test_connection.STREAM_ERRORS.values()),
        *(data for data, _ in test_frames.CONNECTION_ERRORS.values()),
        *(data for data, _ in test_frames.STREAM_ERRORS.values()),
        *test_requests.MALFORMED.values(),
    }
)

FRAMES = st.one_of(
    st.builds(
        asking,
        STREAMS,
        TARGETS,
        st.booleans(),
        st.sampled_from(["", "earliest", "?"]),
        st.sampled_from([0, 1, 1, 1]),
    ),
    st.builds(
        lambda stream_id, size, flags: raw(DATA, flags, stream_id, b"d" * size),
        STREAMS,
        st.sampled_from([0, 1, 500, 6000]),
        st.integers(0, 1),
    ),
    st.builds(lambda stream_id: raw(RST_STREAM, 0, stream_id, bytes(4)), STREAMS),
    st.builds(
        lambda stream_id, size: raw(WINDOW_UPDATE, 0, stream_id, size.to_bytes(4)),
        st.one_of(st.just(0), STREAMS),
        NUMBERS,
    ),
    st.builds(
        lambda identifier, value: raw(SETTINGS, 0, 0, setting(identifier, value)),
        st.sampled_from([1, 3, 4, 4, 6]),
        NUMBERS,
    ),
    st.builds(lambda stream_id: raw(PRIORITY, 0, stream_id, bytes(5)), STREAMS),
    st.just(raw(PING, 0, 0, bytes(8))),
    st.just(raw(PING, 1, 0, b"trio-sse")),
    st.just(raw(GOAWAY, 0, 0, bytes(8))),
    st.sampled_from(ILLEGAL),
)
PARTS = st.builds(lambda data, end: data[:end], FRAMES, st.integers(1, 30))
HTTP2_WORDS = st.one_of(FRAMES, FRAMES, FRAMES, FRAMES, PARTS)

REQUESTS = [
    f"{method} {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()
    for method, more in [("GET", ""), ("HEAD", ""), ("POST", "Content-Length: 5\r\n")]
    for target in ("/follow", "/handle", "/zap", "/", "/nowhere")
]
HTTP1_WORDS = st.one_of(
    st.sampled_from(REQUESTS),
    st.sampled_from([b"hello", b"\r\n", b"GET", b"5\r\nhello\r\n0\r\n\r\n", b"\0" * 100]),
    st.sampled_from(corpus("http1")),
    st.builds(lambda data, end: data[:end], st.sampled_from(REQUESTS), st.integers(1, 30)),
)

# -- what it does ---------------------------------------------------------------------------


def doings(words: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Step]]:
    step: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("say"), words),
        st.tuples(st.just("say"), words),
        st.tuples(st.just("hear"), st.integers(1, 20)),
        st.tuples(st.just("publish"), st.sampled_from([1, 100, 3000])),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 25])),
        st.tuples(st.just("turns"), st.integers(1, 6)),
        st.tuples(st.just("settle"), st.just(0)),
    )
    return st.lists(step, max_size=25)


ENDINGS = st.sampled_from(["it leaves", "it falls silent", "the server drains"])


async def do(client: MemoryTransport, scene: Scene, step: Step) -> None:
    kind, what = step
    if isinstance(what, bytes):
        client.send(what)
    elif kind == "hear":
        for _ in range(what):
            client.receive()
    elif kind == "publish":
        scene.hub.publish("a", "x" * what)
    elif kind == "wait":
        await trio.sleep(what)
    elif kind == "turns":
        for _ in range(what):
            await trio.lowlevel.checkpoint()
    else:
        await trio.testing.wait_all_tasks_blocked()


async def live(begins: bytes, steps: list[Step], ending: str, capacity: int, alone: bool) -> None:
    """Be a client for its whole life; `alone` if nobody else is being heard."""
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            if not alone:
                server.service.hearing = Turns(0.0)
            client = server.connect(capacity=capacity)
            with contextlib.suppress(Broken):
                client.send(begins)
                for step in steps:
                    await do(client, scene, step)
            if ending == "it leaves":
                client.close()
                hub.publish("a", "x")
                await trio.sleep(1)
            elif ending == "it falls silent":
                await trio.sleep(LONGEST_PATIENCE)
            else:
                server.drain()
                await trio.sleep(LIMITS.drain_timeout + LIMITS.write_timeout + 1)
            assert server.statistics().connections == 0
            assert server.statistics().streams == 0
            assert server.statistics().failed == 0
            assert hub.statistics().audiences == 0
            assert scene.running_handlers == 0
            assert all(transport.closed for transport in server.transports)


class Complaints(logging.Handler):
    """Whatever is logged that is more than the news of a client's misdeed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture(scope="module")
def complaints() -> Iterator[Complaints]:
    handler = Complaints()
    logging.getLogger("trio_sse").addHandler(handler)
    yield handler
    logging.getLogger("trio_sse").removeHandler(handler)


FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@FUZZ
@given(doings(HTTP2_WORDS), ENDINGS, st.sampled_from([200, 1500, 100_000]), st.booleans())
def test_whatever_it_does_over_http2_it_is_let_go_of(
    complaints: Complaints, steps: list[Step], ending: str, capacity: int, alone: bool
) -> None:
    begins = PREFACE + raw(SETTINGS)
    trio.run(live, begins, steps, ending, capacity, alone, clock=MockClock(autojump_threshold=0))
    assert complaints.texts == []


@FUZZ
@given(doings(HTTP1_WORDS), ENDINGS, st.sampled_from([200, 1500]))
def test_whatever_it_does_over_http1_it_is_let_go_of(
    complaints: Complaints, steps: list[Step], ending: str, capacity: int
) -> None:
    trio.run(live, b"", steps, ending, capacity, True, clock=MockClock(autojump_threshold=0))
    assert complaints.texts == []
