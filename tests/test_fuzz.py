"""Damaged bytes of every kind: nothing raises what it should not, and nothing grows.

What is damaged are the files in tests/corpus, one for each thing that is worth to be near.
`make fuzz` tries as many as FUZZ_EXAMPLES says; here it is a few. A case that was found becomes
a file, and is tried first from then on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.memory_server import serving
from support.sites import follow
from trio_sse.event import Decoder, EventTooLarge
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Peer, Response
from trio_sse.transport import Broken
from trio_sse.wire import Refused
from trio_sse.wire.http1 import Http1
from trio_sse.wire.http2 import Asked, Gone, Group, Http2, RefusedStream

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
PEER = Peer("192.0.2.7", 4711)
LIMITS = Limits(max_header_bytes=2_000, max_body_bytes=2_000, max_streams_per_connection=8)

FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def corpus(kind: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


def hear_http1(data: bytes, step: int) -> None:
    """Answer whatever can be answered, until the connection has to end."""
    http1 = Http1(LIMITS, peer=PEER, scheme="http")
    for start in range(0, len(data) + step, step):
        http1.receive(data[start : start + step])
        while (outcome := http1.next_request()) is not None:
            assert not isinstance(outcome, Refused) or 400 <= outcome.status < 600
            http1.pending()
            http1.respond(Response.text(200, "A page."))
            if http1.must_close:
                return
            http1.next_cycle()
        assert http1.buffered <= LIMITS.max_header_bytes + step


def hear_http2(data: bytes, step: int) -> None:
    """Answer each request by a stream, and send on it."""
    http2 = Http2(LIMITS, peer=PEER, scheme="http")
    http2.start()
    group = Group(http2)
    for start in range(0, len(data), step):
        happenings = http2.receive(data[start : start + step], start / 1_000)
        for happening in happenings:
            if isinstance(happening, Asked):
                http2.respond_head(happening.stream_id, 200, [("a", "b")])
                group.add(happening.stream_id)
            elif isinstance(happening, RefusedStream):
                http2.respond_head(happening.stream_id, happening.refused.status, [], end=True)
        assert not any(isinstance(each, Gone) for each in happenings[:-1])
        assert http2.stream_count <= LIMITS.max_streams_per_connection
        assert len(http2.output() + (group.frames(b"data: x\n\n") or b"")) < 100_000
    http2.overdue(1.0)
    http2.close()
    assert http2.stream_count == 0
    assert len(group) == 0


def decode(data: bytes, step: int) -> None:
    """Read it as a stream of events."""
    decoder = Decoder(max_event_bytes=1_000)
    with contextlib.suppress(EventTooLarge):
        for start in range(0, len(data), step):
            for event in decoder.feed(data[start : start + step]):
                assert len(event.data or "") <= 1_000


HEARERS: dict[str, Callable[[bytes, int], None]] = {
    "http1": hear_http1,
    "http2": hear_http2,
    "events": decode,
}


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """Something of the corpus, or two of them, with some bytes changed, lost, or repeated."""
    data = bytearray(draw(st.sampled_from(corpus(kind))))
    if draw(st.booleans()):
        other = draw(st.sampled_from(corpus(kind)))
        data = data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "flip", "lose", "repeat", "insert"])):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "lose":
                del data[at : at + draw(st.integers(1, 20))]
            case "repeat":
                piece = data[at : at + draw(st.integers(1, 50))]
                data[at:at] = piece * draw(st.sampled_from([1, 2, 100]))
            case _:
                data[at:at] = draw(st.binary(max_size=12))
    return bytes(data)


@pytest.mark.parametrize("kind", HEARERS)
@pytest.mark.parametrize("step", [1, 10, 100_000])
def test_the_corpus_itself_is_heard(kind: str, step: int) -> None:
    for data in corpus(kind):
        HEARERS[kind](data, step)


@FUZZ
@given(st.data(), st.integers(1, 300))
@pytest.mark.parametrize("kind", HEARERS)
def test_damaged_bytes_raise_nothing(kind: str, data: st.DataObject, step: int) -> None:
    HEARERS[kind](data.draw(damaged(kind)), step)


# -- a whole connection -------------------------------------------------------------------

Step = tuple[str, bytes | int]

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("say"), st.one_of(damaged("http1"), damaged("http2"))),
    st.tuples(st.just("hear"), st.integers(1, 5_000)),
    st.tuples(st.just("publish"), st.integers(1, 3_000)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


async def live_through(steps: list[Step], ends: str) -> None:
    """Have a client do these things beside an honest one, which must not notice it."""
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        honest = Http1Client(server.connect())
        await honest.open()
        client = server.connect(capacity=2_000)
        for number, (kind, what) in enumerate(steps):
            with contextlib.suppress(Broken):
                if isinstance(what, bytes):
                    client.send(what)
                elif kind == "hear":
                    for _ in range(what // 1_000 + 1):
                        client.receive()
                elif kind == "publish":
                    hub.publish("a", f"{number} {'x' * what}")
                    assert await honest.data(1) == [f"{number} {'x' * what}"]
                else:
                    await trio.sleep(what)
            await trio.testing.wait_all_tasks_blocked()
        if ends == "it leaves":
            client.close()
            await trio.testing.wait_all_tasks_blocked()
            assert server.statistics().connections == 1
        elif ends == "the server drains":
            server.drain()
            await trio.sleep(LIMITS.drain_timeout + 5)
            assert server.statistics().connections == 0
        assert server.statistics().failed == 0


@settings(FUZZ, max_examples=max(20, EXAMPLES // 10))
@given(
    st.lists(STEPS, max_size=8),
    st.sampled_from(["it leaves", "the server drains", "it is cut off"]),
)
def test_whatever_a_client_does_others_notice_nothing(steps: list[Step], ends: str) -> None:
    trio.run(live_through, steps, ends, clock=MockClock(autojump_threshold=0))
