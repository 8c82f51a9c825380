"""Followers against a plain list: however clients read, stall and open their windows, each stream
gets exactly its events, whole and in order, or a gap where the history no longer had them. Some are
compressed, and those are complete in the end, with the checksum of all that they were sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from support.http1_client import Http1Client
from support.http2_client import Http2Client
from support.memory_server import MemoryServer, serving
from support.sites import follow
from trio_sse.event import Event
from trio_sse.hub import GAP_TYPE, Hub, open_hub
from trio_sse.limits import Limits

# Nobody is dropped for being slow here; heartbeats come in between.
LIMITS = Limits(
    write_timeout=1e6, ping_interval=1e6, idle_timeout=1e6, heartbeat=2, compress_above=1000
)

TOPICS = ("a", "b")

NOISE = Random(1).randbytes(10_000).hex()
"""Text that compresses to half of it, so that windows are full of it too."""


@dataclass(frozen=True)
class Publish:
    topic: str
    size: int
    times: int


@dataclass(frozen=True)
class Open:
    """Open a stream on one of the connections, perhaps where another left off."""

    connection: int
    topics: tuple[str, ...]
    behind: int | None
    compressed: bool

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("accept-encoding", "deflate")] if self.compressed else []


@dataclass(frozen=True)
class Read:
    """Read what has come on a connection, and perhaps open its windows by as much."""

    connection: int
    gives_back: bool


@dataclass(frozen=True)
class Leave:
    """Cancel a stream."""

    stream: int


@dataclass(frozen=True)
class Turn:
    """Let the server run: some turns of the loop, until it has nothing to do, or for seconds."""

    how: int | Literal["all", "long"]


Step = Publish | Open | Read | Leave | Turn

STEPS = st.lists(
    st.one_of(
        st.builds(
            Publish,
            st.sampled_from(TOPICS),
            st.sampled_from((1, 100, 3_000, 20_000)),
            st.integers(1, 6),
        ),
        st.builds(
            Open,
            st.integers(0, 1),
            st.sampled_from((("a",), ("b",), ("a", "b"), ("*",))),
            st.none() | st.integers(0, 9),
            st.booleans(),
        ),
        st.builds(Read, st.integers(0, 1), st.booleans()),
        st.builds(Leave, st.integers(0, 20)),
        st.builds(Turn, st.integers(1, 5) | st.sampled_from(("all", "long"))),
    ),
    max_size=40,
)


@dataclass
class Watched:
    """A stream, and what is due on it."""

    topics: tuple[str, ...]
    due: int
    gone: int
    """Up to where the history had gone when it was opened."""
    gap: bool = False

    def hears(self, topic: str) -> bool:
        return topic in self.topics or "*" in self.topics


@dataclass
class Story:
    """What has been published, and the streams that listen."""

    hub: Hub
    published: list[tuple[str, str]] = field(default_factory=list)
    """Topic and data by position."""

    def publish(self, step: Publish) -> None:
        for _ in range(step.times):
            data = f"{len(self.published)} " + NOISE[: step.size]
            self.published.append((step.topic, data))
            self.hub.publish(step.topic, Event(data, id=f"#{len(self.published) - 1}"))

    def watched(self, step: Open) -> tuple[Watched, str | None]:
        """Return what a stream opened now is due, and the id it resumes from."""
        head = len(self.published)
        if step.behind is None:
            return Watched(step.topics, head, head), None
        last = head - 1 - step.behind
        first = self.hub.log.first
        if first <= last < head:
            return Watched(step.topics, last + 1, first), f"#{last}"
        # Not known any more, or not known yet: a gap is due, and then all there is.
        return Watched(step.topics, 0, first), f"#{last}"

    def check(self, watched: Watched, events: list[Event]) -> None:
        for event in events:
            if event.type == GAP_TYPE:
                watched.gap = True
                continue
            assert event.id is not None
            position = int(event.id[1:])
            topic, data = self.published[position]
            assert event.data == data, "an event is not what was published"
            assert watched.hears(topic), "an event of another topic"
            assert position >= watched.due, "an event came twice, or late"
            self.account_for(watched, position)
            watched.due = position + 1

    def account_for(self, watched: Watched, stop: int) -> None:
        missing = [
            position
            for position in range(watched.due, stop)
            if watched.hears(self.published[position][0])
        ]
        if missing:
            assert watched.gap, f"events {missing} are missing, and no gap is told"
            assert max(missing) < self.hub.log.first, "a gap in place of what is there"
        watched.gap = False


class Http2Audience:
    """Two connections with many streams each."""

    def __init__(self, server: MemoryServer, capacity: int, window: int) -> None:
        self.clients = [
            Http2Client(
                server.connect(capacity=capacity), stream_window=window, connection_window=0
            )
            for _ in range(2)
        ]
        for client in self.clients:
            client.flush()
        self.owed = [dict[int, int](), dict[int, int]()]
        self.streams: list[tuple[int, int, Watched]] = []

    async def open(self, story: Story, step: Open) -> None:
        client = self.clients[step.connection]
        # The server has to have the request before anything else is published.
        self.read(story, Read(step.connection, gives_back=True))
        await wait_all_tasks_blocked()
        watched, last_event_id = story.watched(step)
        headers = step.headers
        if last_event_id is not None:
            headers.append(("last-event-id", last_event_id))
        query = "&".join(f"topic={topic}" for topic in step.topics)
        stream_id = client.ask(f"/?{query}", headers=headers)
        await wait_all_tasks_blocked()
        self.streams.append((step.connection, stream_id, watched))

    def read(self, story: Story, step: Read) -> None:
        client = self.clients[step.connection]
        client.gives_back = step.gives_back
        before = {stream_id: len(body) for stream_id, body in client.bodies.items()}
        client.take()
        owed = self.owed[step.connection]
        for stream_id, body in client.bodies.items():
            arrived = len(body) - before.get(stream_id, 0)
            if not step.gives_back and arrived:
                owed[stream_id] = owed.get(stream_id, 0) + arrived
        if step.gives_back:
            for stream_id, count in owed.items():
                if stream_id in client.h2.streams and client.h2.streams[stream_id].open:
                    client.h2.acknowledge_received_data(count, stream_id)
            owed.clear()
            client.flush()
        for connection, stream_id, watched in self.streams:
            if connection == step.connection:
                events = client.unread(stream_id)
                story.check(watched, events)
                events.clear()

    def leave(self, number: int) -> None:
        if self.streams:
            connection, stream_id, _ = self.streams.pop(number % len(self.streams))
            self.clients[connection].reset(stream_id)

    @property
    def received(self) -> int:
        return sum(client.taken for client in self.clients)

    def watched(self) -> list[Watched]:
        return [watched for _, _, watched in self.streams]

    def check_the_ends(self) -> None:
        for connection, stream_id, _ in self.streams:
            client = self.clients[connection]
            assert stream_id in client.ended
            assert client.inflaters[stream_id].is_complete


class Http1Audience:
    """A connection for each stream."""

    def __init__(self, server: MemoryServer, capacity: int, window: int) -> None:
        self.server = server
        self.capacity = capacity
        self.streams: list[tuple[Http1Client, Watched]] = []

    async def open(self, story: Story, step: Open) -> None:
        watched, last_event_id = story.watched(step)
        client = Http1Client(self.server.connect(capacity=self.capacity))
        headers = step.headers
        if last_event_id is not None:
            headers.append(("last-event-id", last_event_id))
        query = "&".join(f"topic={topic}" for topic in step.topics)
        await client.ask(f"/?{query}", headers=headers)
        await client.head()
        self.streams.append((client, watched))

    def read(self, story: Story, step: Read) -> None:
        for client, watched in self.streams[step.connection :: 2]:
            events = client.take()
            story.check(watched, events)

    def leave(self, number: int) -> None:
        if self.streams:
            client, _ = self.streams.pop(number % len(self.streams))
            client.leave()

    @property
    def received(self) -> int:
        return sum(len(client.body) for client, _ in self.streams)

    def watched(self) -> list[Watched]:
        return [watched for _, watched in self.streams]

    def check_the_ends(self) -> None:
        for client, _ in self.streams:
            assert client.inflater.is_complete


Audience = type[Http1Audience] | type[Http2Audience]


async def play(kind: Audience, steps: list[Step], history: int, capacity: int, window: int) -> None:
    async with (
        open_hub(max_events=history) as hub,
        serving(follow(hub), LIMITS, hub=hub) as server,
    ):
        story = Story(hub)
        audience = kind(server, capacity, window)
        for step in steps:
            match step:
                case Publish():
                    story.publish(step)
                case Open():
                    await audience.open(story, step)
                case Read():
                    audience.read(story, step)
                case Leave():
                    audience.leave(step.stream)
                case Turn("all"):
                    await wait_all_tasks_blocked()
                case Turn("long"):
                    await trio.sleep(3)
                case Turn(int(turns)):
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
        # In the end everybody reads, and has everything.
        received, idle_rounds = 0, 0
        while idle_rounds < 3:
            for connection in (0, 1):
                await wait_all_tasks_blocked()
                audience.read(story, Read(connection, gives_back=True))
            idle_rounds = idle_rounds + 1 if audience.received == received else 0
            received = audience.received
        for watched in audience.watched():
            story.account_for(watched, len(story.published))
        assert hub.statistics().subscribers == len(audience.watched())
        server.drain()
        for _ in range(3):
            await wait_all_tasks_blocked()
            for connection in (0, 1):
                audience.read(story, Read(connection, gives_back=True))
        audience.check_the_ends()
        await trio.sleep(20)


@settings(max_examples=100, deadline=None)
@given(
    steps=STEPS,
    history=st.sampled_from((3, 10, 1000)),
    capacity=st.sampled_from((500, 5_000, 100_000)),
    window=st.sampled_from((500, 10_000, 65_535)),
)
def test_streams_of_http2_get_exactly_their_events(
    steps: list[Step], history: int, capacity: int, window: int
) -> None:
    clock = MockClock(autojump_threshold=0)
    trio.run(play, Http2Audience, steps, history, capacity, window, clock=clock)


@settings(max_examples=40, deadline=None)
@given(
    steps=STEPS,
    history=st.sampled_from((3, 10, 1000)),
    capacity=st.sampled_from((500, 5_000, 100_000)),
)
def test_streams_of_http1_get_exactly_their_events(
    steps: list[Step], history: int, capacity: int
) -> None:
    clock = MockClock(autojump_threshold=0)
    trio.run(play, Http1Audience, steps, history, capacity, 0, clock=clock)
