"""What the program behind the server does wrong, and who publishes to it without end.

The handlers are those of `loadtests.server_under_test`; nobody else's server has them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count, islice

from hyperframe.frame import DataFrame

from .attack import Attack
from .case import Case
from .http1 import GET
from .http2_frames import HELLO, head, request

__all__ = ["CASES"]

POSTS = 2_000
"""Events that are published where an attack is made once."""
BATCH, AHEAD = 250, 2_000
SMALL_CROWD = 20
HOLD_SECONDS, SHORT_HOLD_SECONDS = 4.0, 1.5
HEARING_SECONDS, LOOK_SECONDS = 15.0, 0.1

PUBLISH = "/publish?topic=flood"
FOLLOW = b"GET /events?topic=flood HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hearer(threading.Thread):
    """Follows what is published, and checks that each number comes, in order."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.heard = 0
        self.fault: str | None = None
        self.is_there = threading.Event()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LOOK_SECONDS)
        self._last: int | None = None

    def run(self) -> None:
        """Read until all has come, something is wrong, or nothing more comes."""
        self._socket.sendall(FOLLOW)
        unread = b""
        with self._socket:
            while self.fault is None and self.heard != self._last:
                try:
                    data = self._socket.recv(1 << 16)
                except TimeoutError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    self.fault = f"cut off after {self.heard}"
                *lines, unread = (unread + data).split(b"\n")
                for line in lines:
                    self._take(line)

    def ended(self, last: int) -> str:
        """Wait until event `last` has come, and return how it went."""
        self._last = last
        self.join(HEARING_SECONDS)
        if self.is_alive():
            self.fault = f"heard {self.heard} of {last}"
        return self.fault or "all heard in order"

    def _take(self, line: bytes) -> None:
        if line.startswith(b":"):
            self.is_there.set()
        elif line.startswith(b"data: "):
            self.heard += 1
            if line != b"data: %d" % self.heard:
                self.fault = f"heard {line[6:60]!r} instead of {self.heard}"


def publishing(post: Callable[[int], bytes], *, http2: bool) -> Callable[[Attack], None]:
    """Publish one event after the other, as fast as they are taken, to somebody who follows."""

    def attack(attack: Attack) -> None:
        hearer = Hearer(attack.port)
        hearer.start()
        hearer.is_there.wait(HEARING_SECONDS)
        connection = attack.connect(http2=http2)
        if http2:
            connection.send(HELLO)
        posts: Iterator[bytes] = map(post, count(1))
        published = 0
        while published < POSTS if not attack.is_at_full_strength else attack.goes_on:
            published += BATCH
            if not connection.send(b"".join(islice(posts, BATCH))):
                break
            while connection.send(b"") and published - hearer.heard > AHEAD and hearer.is_alive():
                connection.wait(LOOK_SECONDS / 10)
        attack.ends[hearer.ended(published)] += 1
        connection.finish()
        attack.over(connection)

    return attack


def post_http1(number: int) -> bytes:
    body = b"%d" % number
    head = f"POST {PUBLISH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def post_http2(number: int) -> bytes:
    stream_id = 2 * number - 1
    body = DataFrame(stream_id, b"%d" % number, flags=["END_STREAM"]).serialize()
    return request(stream_id, POST, end=False) + body


POST = head(path=PUBLISH, method="POST")


def raising(attack: Attack) -> None:
    """Ask for what fails, again and again."""
    while attack.goes_on:
        connection = attack.connect()
        connection.send(b"GET /raises HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.wait(attack.patience)
        attack.over(connection)


def leaving_the_stubborn(attack: Attack) -> None:
    """Have handlers run that go on when they are cancelled, and say good-bye to each."""
    while attack.goes_on:
        crowd = [attack.connect() for _ in range(SMALL_CROWD)]
        for connection in crowd:
            connection.send(GET.replace(b" / ", b" /stubborn ") + b"\r\n")
            connection.wait_until(lambda: connection.end != "open")  # noqa: B023 - it is called now
        for connection in crowd:
            connection.finish()
            attack.over(connection)


def not_reading(attack: Attack) -> None:
    """Ask for a stream that never stops, and read none of it."""
    while attack.goes_on:
        connection = attack.connect(reads=False)
        connection.send(GET.replace(b" / ", b" /floods ") + b"\r\n")
        connection.hold(HOLD_SECONDS if attack.is_at_full_strength else SHORT_HOLD_SECONDS)
        attack.over(connection)


CASES = (
    Case(
        "a publisher that floods",
        "an application's own",
        publishing(post_http1, http2=False),
        ("204", "all heard in order"),
        protocol="HTTP/1.1",
        is_ours=True,
    ),
    Case(
        "a publisher that floods",
        "an application's own",
        publishing(post_http2, http2=True),
        ("GOAWAY NO_ERROR", "closed", "reset", "all heard in order"),
        is_ours=True,
    ),
    Case(
        "a handler that raises",
        "an application's own",
        raising,
        ("500",),
        "failed",
        protocol="HTTP/1.1",
        is_ours=True,
    ),
    Case(
        "handlers that go on without their client",
        "an application's own",
        leaving_the_stubborn,
        ("200",),
        "overstayed",
        protocol="HTTP/1.1",
        waits=True,
        is_ours=True,
    ),
    Case(
        "a handler that sends faster than is read",
        "an application's own",
        not_reading,
        ("200*", "reset", "closed"),
        "dropped",
        protocol="HTTP/1.1",
        waits=True,
        is_ours=True,
    ),
)
