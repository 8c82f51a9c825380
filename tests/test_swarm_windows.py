"""The load client's HTTP/2 windows, judged by h2: a server that uses them up goes on."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
import termios
import time

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from crowds import Gathering, due_now, gathering
from impostor import PATIENCE, ROOT, Impostor, event

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.swarm.windows import Width


class Exhausting:
    """Sends each stream up to the last byte that the windows allow, and waits for more.

    h2 raises if a window is opened wider than the protocol has it.
    """

    def __init__(self, client: socket.socket, content: bytes) -> None:
        """`content` is what each stream is sent first."""
        client.setblocking(False)
        self._client = client
        self._content = content
        self._left: dict[int, bytes] = {}
        self._connection = H2Connection(H2Configuration(client_side=False))
        self._connection.initiate_connection()
        self._unsent = b""
        self.exhausted = 0
        """How often a stream had to wait for a window."""

    def offer(self, content: bytes) -> None:
        """Send more to each stream."""
        for stream_id in self._left:
            self._left[stream_id] += content

    def turn(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for each in self._connection.receive_data(self._client.recv(65_536)):
                if isinstance(each, RequestReceived):
                    self._connection.send_headers(each.stream_id, [(":status", "200")])
                    self._left[each.stream_id] = self._content
        for stream_id, left in self._left.items():
            self._left[stream_id] = self._send(stream_id, left)
        self._unsent += self._connection.data_to_send()
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[self._client.send(self._unsent) :]

    def _send(self, stream_id: int, left: bytes) -> bytes:
        """Send what may be sent; return what is left."""
        while left:
            window = self._connection.local_flow_control_window(stream_id)
            event_ends = left.index(b"\n\n") + 2
            room = min(window, self._connection.max_outbound_frame_size, event_ends)
            if not room:
                self.exhausted += 1
                break
            self._connection.send_data(stream_id, left[:room])
            left = left[room:]
        return left


def unread(crowd: Gathering) -> int:
    """The bytes that wait in the socket of the only client."""
    (fd,) = crowd.crowd.connections
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize(
    ("windows", "streams", "count", "size"),
    [
        pytest.param("default", 1, 100, 3_000, id="of one stream"),
        pytest.param("default", 3, 100, 3_000, id="of the connection"),
        pytest.param("default", 2, 3, 100_000, id="smaller than an event"),
        pytest.param("wide", 1, 300, 60_000, id="wide ones"),
    ],
)
def test_a_server_that_uses_up_the_windows_goes_on(
    windows: Width, streams: int, count: int, size: int
) -> None:
    content = b"".join(event(number, size=size) for number in range(1, count)) + due_now(count)
    with (
        Impostor("http2") as impostor,
        gathering([impostor.port], "http2", streams=streams, windows=windows) as crowd,
    ):
        crowd.until(impostor.pending)
        server = Exhausting(impostor.take(), content)

        def has_all() -> bool:
            server.turn()
            return crowd.crowd.connected == streams and crowd.crowd.behind(count) == 0

        crowd.until(has_all)
        assert server.exhausted
        assert crowd.figures()["faults"] == {}
        assert crowd.crowd.events == count * streams


def test_a_window_that_closes_far_behind_a_level_of_the_tape_is_opened_again() -> None:
    with (
        Impostor("http2") as impostor,
        gathering([impostor.port], "http2", windows="default") as crowd,
    ):
        crowd.until(impostor.pending)
        server = Exhausting(impostor.take(), due_now(1))

        def has(number: int) -> bool:
            server.turn()
            return crowd.crowd.connected == 1 and crowd.crowd.behind(number) == 0

        crowd.until(lambda: has(1))  # and is on the tape
        # Of the second so much fits the window that the first is not yet worth an update.
        server.offer(event(2, size=30_000) + event(3, size=60_000))
        deadline = time.monotonic() + PATIENCE
        while not server.exhausted or unread(crowd) < 65_000:  # to be read in one piece
            assert time.monotonic() < deadline
            server.turn()
        crowd.until(lambda: has(3))
        assert server.exhausted
