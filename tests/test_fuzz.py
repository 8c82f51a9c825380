"""Damaged bytes of every kind: nothing raises what it should not, and nothing grows.

What is damaged are the files in tests/corpus, one for each thing that is worth to be near; what
hears them is in `hearers`. A few are tried here, millions by `make fuzz`, which lets the code that
is reached guide it (`fuzz.py`). A case that was found becomes a file, and is tried from then on.
"""

from __future__ import annotations

import contextlib
import os

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from hearers import HEARERS, LIMITS, corpus
from support.http1_client import Http1Client
from support.memory_server import serving
from support.sites import follow
from trio_sse.hub import open_hub
from trio_sse.transport import Broken

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
