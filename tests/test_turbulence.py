"""A crowd of followers on real sockets that hold little: slow ones, compressed ones, and ones that
vanish while others come in their place. Whoever stays has every event once and in order, or is told
how many are lost.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random

import h11
import pytest
import trio

from support import visitor
from support.inflating import Inflater
from support.logs import Log, complaints
from support.sites import follow
from support.visitor import running, tls_pair
from trio_sse.event import Decoder, Event
from trio_sse.hub import GAP_TYPE, Hub, open_hub
from trio_sse.limits import Limits
from trio_sse.listening import Bind, Listener
from trio_sse.message import Peer

LIMITS = Limits(heartbeat=0.05, head_timeout=600, compress_above=300, write_timeout=600)
"""Heartbeats get in between, wherever there is room or none."""

SIZES = (1, 1, 10, 100, 100, 500, 1500, 9000)
"""Bytes of an event, each of which is two characters."""
CROWD = 60
ROUNDS = 200
HISTORY = 60
"""Events that are kept: fewer than one may be behind."""


class Secured:
    """A socket with TLS over it, which speaks when it is read from."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._arrived, self._encrypted = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._encrypted, server_hostname="127.0.0.1")
        self._unsent = b""
        self._is_over = False
        with contextlib.suppress(BlockingIOError):
            self._speak()

    def send(self, data: bytes) -> None:
        """Send all of it, as soon as it can be."""
        self._unsent += data

    def recv(self, most: int) -> bytes:
        """Return what has come, from so many bytes at most. Raises BlockingIOError."""
        arrived = self._sock.recv(most)
        if not arrived:
            assert self._is_over, "an end without close_notify, which is like a cut"
            return b""
        self._arrived.write(arrived)
        return self._speak()

    def close(self) -> None:
        """Be gone without a word."""
        self._sock.close()

    def _speak(self) -> bytes:
        data = b""
        try:
            self._tls.do_handshake()
            if self._unsent:
                self._tls.write(self._unsent)
                self._unsent = b""
            while piece := self._tls.read(100_000):
                data += piece
            self._is_over = True
        except ssl.SSLWantReadError:
            pass
        if self._encrypted.pending:
            self._sock.send(self._encrypted.read())
        if not data and not self._is_over:
            raise BlockingIOError
        return data


class Follower:
    """A client that reads as little as it likes and checks all that it reads."""

    def __init__(
        self,
        sock: socket.socket | Secured,
        random: Random,
        topic: str,
        cursor: int,
        last_id: str,
    ) -> None:
        self.sock = sock
        self.topic = topic
        self.haste = random.choice((1000, 4000, 100_000))
        """How many bytes it reads at a time."""
        self.received: list[int] = []
        """The places of the events that came."""
        self.lost: list[int] = []
        """Before each of them, how many were said to be lost."""
        self.cursor = cursor
        self.is_complete = False
        self._h11 = h11.Connection(h11.CLIENT)
        self._inflater = Inflater({})
        self._decoder = Decoder()
        fields = [("host", "x"), ("last-event-id", last_id)]
        if random.random() < 0.5:
            fields.append(("accept-encoding", "deflate"))
        target = f"/?topic={topic}"
        request = self._h11.send(h11.Request(method="GET", target=target, headers=fields))
        if random.random() < 0.2:
            request = (request or b"").replace(b"HTTP/1.1", b"HTTP/1.0")
        self.sock.send((request or b"") + (self._h11.send(h11.EndOfMessage()) or b""))

    def read(self, most: int) -> None:
        """Read what is there, `most` bytes of it."""
        try:
            data = self.sock.recv(most)
        except BlockingIOError:
            return
        self._h11.receive_data(data)
        while (event := self._h11.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                self._inflater = Inflater(headers)
            elif isinstance(event, h11.Data):
                self._hear(self._decoder.feed(self._inflater.feed(bytes(event.data))))
            else:
                assert isinstance(event, h11.EndOfMessage), event
                assert self._inflater.is_complete
                self.is_complete = True
                return

    async def read_until(self, condition: Callable[[Follower], bool]) -> None:
        """Read all that comes until something is so."""
        while not condition(self):
            self.read(100_000)
            await trio.lowlevel.checkpoint()

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            assert event.data is not None
            if event.type == GAP_TYPE:
                assert len(self.lost) == len(self.received), "two gaps without anything in between"
                self.lost.append(json.loads(event.data)["lost"])
            else:
                place, _, text = event.data.partition(" ")
                assert text == text_of(int(place))
                self.received.append(int(place))
                if len(self.lost) < len(self.received):
                    self.lost.append(0)


def text_of(place: int) -> str:
    """Say what the event in this place is: of one size or another."""
    random = Random(place)
    return random.randbytes(random.choice(SIZES)).hex()


class Turbulence:
    """What goes on, drawn from one seed."""

    def __init__(self, hub: Hub, path: str, tls: ssl.SSLContext | None) -> None:
        self.hub = hub
        self.path = path
        self.tls = tls
        self.random = Random(1)
        self.topics: list[str] = []
        self.ids: list[str] = []
        """Of the events published so far, by their places."""
        self.crowd: list[Follower] = []

    async def go_on(self) -> None:
        """Have a little happen, of one kind."""
        draw = self.random
        match draw.randrange(5):
            case 0 | 1:
                for _ in range(draw.randrange(8)):
                    self.publish()
            case 2:
                for _ in range(min(draw.randrange(8), len(self.crowd))):
                    self.go()
            case 3:
                while len(self.crowd) < CROWD:
                    self.come()
            case _:
                for follower in self.crowd:
                    if draw.random() < 0.7:
                        follower.read(follower.haste)
        for _ in range(draw.randrange(12)):
            await trio.lowlevel.checkpoint()

    def come(self) -> None:
        """Have somebody come who was there before, up to any time."""
        last = self.random.randrange(len(self.ids))
        topic = self.random.choice("a*")
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(self.path)
        plain.setblocking(False)
        sock = plain if self.tls is None else Secured(plain, self.tls)
        self.crowd.append(Follower(sock, self.random, topic, last + 1, self.ids[last]))

    def go(self) -> None:
        """Have somebody vanish, with what has come unread."""
        gone = self.crowd.pop(self.random.randrange(len(self.crowd)))
        gone.sock.close()

    def publish(self, topics: str = "aaab") -> None:
        """Publish something to one of these topics."""
        topic = self.random.choice(topics)
        place = len(self.ids)
        self.topics.append(topic)
        self.ids.append(self.hub.publish(topic, f"{place} {text_of(place)}"))

    def check(self, follower: Follower) -> None:
        """Assert that it has heard all that is of its topic, but for what it was told is lost."""
        cursor = follower.cursor
        for place, lost in zip(follower.received, follower.lost, strict=True):
            passed = range(cursor, place)
            heard = ("a", "b") if follower.topic == "*" else ("a",)
            missing = sum(self.topics[each] in heard for each in passed)
            assert missing <= lost <= len(passed)
            cursor = place + 1
        assert cursor == len(self.ids)


@pytest.fixture
def slow_pump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let others run after every few writes, and carry little at a time. It takes its time."""
    monkeypatch.setattr(visitor, "PATIENCE", 250)
    monkeypatch.setattr("trio_sse.hub.pump.SLICE_SECONDS", 0.0001)
    monkeypatch.setattr("trio_sse.hub.pump.OUTLETS_AT_ONCE", 4)
    monkeypatch.setattr("trio_sse.hub.pump.BATCH_BYTES", 10_000)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server's sockets hold little, each as much as it happens to."""
    random = Random(5)
    accept = Listener.accept

    def accept_narrow(self: Listener) -> tuple[socket.socket, Peer]:
        sock, peer = accept(self)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, random.choice((4096, 8192, 30_000)))
        return sock, peer

    monkeypatch.setattr(Listener, "accept", accept_narrow)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("narrow", "slow_pump")
@pytest.mark.parametrize("is_secured", [False, True])
async def test_whoever_stays_has_all_of_it(
    tmp_path: Path, caplog: Log, *, is_secured: bool
) -> None:
    ours, theirs = tls_pair() if is_secured else (None, None)
    bind = Bind(unix=str(tmp_path / "socket"), tls=ours)
    async with (
        open_hub(max_events=HISTORY) as hub,
        running(follow(hub), bind, limits=LIMITS) as server,
    ):
        turbulence = Turbulence(hub, str(tmp_path / "socket"), theirs)
        turbulence.publish()
        for _ in range(ROUNDS):
            await turbulence.go_on()
        turbulence.publish("a")
        for follower in turbulence.crowd:
            await follower.read_until(lambda each: each.received[-1:] == [len(turbulence.ids) - 1])
        server.drain()
        for follower in turbulence.crowd:
            await follower.read_until(lambda each: each.is_complete)
            turbulence.check(follower)
            follower.sock.close()
    assert not complaints(caplog)
