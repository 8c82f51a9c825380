"""What a client may cost without asking anything: allowances that time gives back.

HTTP/2 has frames that make a server work and carry no request. A few of each are how the
protocol works; a flood of them is an attack (CVE-2019-9511 to 9518, CVE-2023-44487,
CVE-2025-8671). So each kind is paid for out of an allowance, and who has spent it is sent
away with ENHANCE_YOUR_CALM (RFC 9113, 10.5). A frame within it costs one subtraction.

Owns: what a frame costs, and the allowances of one connection. Refuses to read a clock:
time is an argument, in seconds by any clock that does not go back.
"""

from __future__ import annotations

from typing import NamedTuple

from ..limits import Limits
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    FRAME_HEADER_BYTES,
    HEADERS,
    PADDED,
    RST_STREAM,
    SETTINGS,
    Frame,
)

__all__ = ["FREE_PIECES", "Allowance", "Budget", "Excess"]

SECONDS_AT_ONCE = 10
"""An allowance holds so many seconds' worth, to be spent at once if need be. With 100 a second
that is 1,000, what nghttp2 and Envoy allow; a page that closes all of its streams spends 256."""

SETTINGS_COST = 10
"""Clients send SETTINGS once, and few ever a second; Apache Traffic Server allows 14 a minute."""

SMALL_DATA = 256
"""DATA with fewer bytes than this, padding not counted, costs an upload's price and brings
next to nothing. Uploads come in frames of kilobytes, only their last is short."""

FREE_PIECES = 4
"""Frames of a body that are free however short they are. Who publishes small events may write each
in two pieces, and then say in an empty frame that this was all (httpx does), hundreds of times a
second. To read such a frame takes a tenth of what its request does."""

ANSWERS_A_FRAME = 2
BYTES_AN_ANSWER = 512
"""What a client that returns what it got at once sends for each frame: a WINDOW_UPDATE for the
connection, and one for the stream. If it has left the stream meanwhile, some (h2's users, for
one) send a RST_STREAM for each frame that was under way. Who reads a long frame in pieces returns
each of them; nobody honest does so byte by byte. So a frame that the client's window has cut short
pays by its length alone: who opens windows byte by byte would be sent a frame for each, and have
two more for it (CVE-2019-9511)."""

MOST_ANSWERS = 1_000_000
"""What of that is kept for later. More frames cannot be under way: the kernel holds 6 MiB for a
client to read (tcp_rmem, tcp(7)), which is 500,000 of the shortest. Who was sent events for
hours must not be able to save for a flood of them."""

FREE_FIELDS = 100
FIELDS_A_TOKEN = 20
"""Fields of a request beyond the free ones. HPACK reads each in 20 µs, and a byte can stand for
one: a request within the limits may have a thousand. Apache allows 100; a browser with all the
180 cookies that it keeps for a site may split them into as many fields (RFC 9113, 8.2.3)."""


FREE_HEAD_BYTES = 8 * 1024
HEAD_BYTES_A_TOKEN = 512
"""Of HEADERS, beyond the free ones, and of CONTINUATION, which only large heads need: reading
Huffman's code takes 40 µs for so many, and a request may have 64 KiB of it. The free ones are what
most servers allow in all."""

FREE_READ_BYTES = 16 * 1024
READ_BYTES_A_TOKEN = 1024
"""Of what a head stands for, beyond the free ones. A byte can stand for the 4 KiB of HPACK's table,
and 5 KB of requests that wait for their bodies were 8 MB of memory; 256 times the free ones are
half of that. A proxy whose clients have large cookies, and all come back, is to pay little."""


class Allowance:
    """A token bucket, filled anew when it is empty.

    Not each time it is used: who keeps within it costs a subtraction, and no look at the time.
    So at most twice what it holds can be spent at once.
    """

    __slots__ = ("_full", "_left", "_rate", "_since")

    def __init__(self, rate: float) -> None:
        """Take how much comes back in a second."""
        self._rate = rate
        self._full = self._left = rate * SECONDS_AT_ONCE
        self._since: float | None = None

    def spend(self, cost: int, now: float) -> bool:
        """Pay; False, and nothing is paid, if there is too little left."""
        self._left -= cost
        if self._left >= 0 or self._fill(now):
            return True
        self._left += cost
        return False

    def earn(self, tokens: float, most: float) -> None:
        """Add to what is left, which becomes `most` at most."""
        self._left = min(self._left + tokens, most)

    def _fill(self, now: float) -> bool:
        # Not known before: until now nobody has asked for the time.
        passed = SECONDS_AT_ONCE if self._since is None else now - self._since
        self._left += min(self._full, passed * self._rate)
        self._since = now
        return self._left >= 0


class Excess(NamedTuple):
    """What was too much: a short name to count it by, and a sentence for the client and the log."""

    offence: str
    reason: str


class Budget:
    """The allowances of one connection. Each method returns the `Excess`, if there is one."""

    __slots__ = ("_answers", "_control", "_credited", "_futile")

    def __init__(self, limits: Limits) -> None:
        self._control = Allowance(limits.max_control_frames_per_second)
        self._futile = Allowance(limits.max_futile_streams_per_second)
        self._answers = Allowance(limits.max_control_frames_per_second)
        self._credited = 0.0

    def frame(self, frame: Frame, now: float) -> Excess | None:
        """Pay for a frame that answers nothing that was sent. Requests, and bodies, are free."""
        kind = frame.kind
        if kind == HEADERS:
            return self._head(len(frame.whole) - FREE_HEAD_BYTES, now)
        if kind == CONTINUATION and len(frame.whole) > HEAD_BYTES_A_TOKEN:
            return self._head(len(frame.whole), now)
        if kind == DATA:
            return self._data(frame, now)
        if kind == RST_STREAM:
            return self.futile(now)
        cost = SETTINGS_COST if kind == SETTINGS and not frame.flags & ACK else 1
        if self._control.spend(cost, now):
            return None
        return Excess("control_frames", "too many frames that ask and bring nothing")

    def futile(self, now: float) -> Excess | None:
        """Pay for a stream that came to nothing: taken back by the client, broken, or refused."""
        if self._futile.spend(1, now):
            return None
        return Excess("futile_streams", "too many streams that were taken back, broken or refused")

    def fields(self, count: int, size: int, now: float) -> Excess | None:
        """Pay for the fields that a section stands for, and for their bytes."""
        cost = max(0, count - FREE_FIELDS) // FIELDS_A_TOKEN
        cost += max(0, size - FREE_READ_BYTES) // READ_BYTES_A_TOKEN
        if not cost or self._control.spend(cost, now):
            return None
        return Excess("header_fields", "too many requests with too many fields, or too large ones")

    def window_updates(self, count: int, now: float, frames: int, size: int) -> Excess | None:
        """Pay for windows opened by a client that was sent so many frames, and bytes of DATA.

        By a WINDOW_UPDATE that is one, by SETTINGS as many as there are streams, each of which
        may have something to say: 256 took 5 ms for each 15 bytes.
        """
        if self._answer(count, now, frames, size):
            return None
        return Excess("window_updates", "too many windows opened for what was sent")

    def late_reset(self, now: float, frames: int, size: int) -> Excess | None:
        """Pay for a RST_STREAM of a stream that is over already, by the same measure."""
        if self._answer(1, now, frames, size):
            return None
        return Excess("futile_streams", "too many streams taken back that are over")

    def _answer(self, cost: int, now: float, frames: int, size: int) -> bool:
        if self._answers.spend(cost, now):
            return True
        # Credited only now that it is needed, so that sending costs next to nothing.
        earned = frames * ANSWERS_A_FRAME + size / BYTES_AN_ANSWER
        self._answers.earn(earned - self._credited, MOST_ANSWERS)
        self._credited = earned
        return self._answers.spend(cost, now)

    def _head(self, excess: int, now: float) -> Excess | None:
        if excess <= 0 or self._control.spend(1 + excess // HEAD_BYTES_A_TOKEN, now):
            return None
        return Excess("header_fields", "too many requests with too large heads")

    def _data(self, frame: Frame, now: float) -> Excess | None:
        length = len(frame.whole) - FRAME_HEADER_BYTES
        if frame.flags & PADDED and length:
            length -= 1 + frame.whole[FRAME_HEADER_BYTES]
        if length >= SMALL_DATA or frame.flags & END_STREAM or self._control.spend(1, now):
            return None
        return Excess("control_frames", "too many frames of a body with next to nothing in them")
