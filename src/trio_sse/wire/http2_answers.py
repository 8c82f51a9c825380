"""HTTP/2, what the server says: answers in, bytes out.

Owns the streams that are open, their windows, and the last words (GOAWAY), which h2 would
have be the very last: announcing the end (`shutdown`) does not forbid to send what is left
(RFC 9113, 6.8).

Rules: nothing raises because the peer was faster: an answer to a stream that is gone goes
nowhere. A byte over a window never leaves. h2's window of a stream that is in a group is stale
(`group` says why), so each method here that lets h2 use it settles it first.
"""

from __future__ import annotations

from collections.abc import Iterable

from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from ..limits import Limits
from .fields import write_head
from .group import Group
from .h2_server import H2Server
from .uploads import Uploads

__all__ = ["Http2Answers"]

_UNWANTED_KEPT = 64
_LARGEST_STREAM_ID = 2**31 - 1


class Http2Answers:
    """The half of `Http2` that is spoken. Sizes are in bytes."""

    __slots__ = (
        "_draining",
        "_last_asked",
        "_malformed",
        "_output",
        "_over",
        "_unwanted",
        "_uploads",
        "groups",
        "h2",
        "stream_count",
    )

    stream_count: int
    """Streams that are open: being asked or being answered."""

    def __init__(self, limits: Limits) -> None:
        self._uploads = Uploads(limits.max_body_bytes)
        self._output = bytearray()
        self._last_asked = 0
        self._malformed: set[int] = set()
        """Streams whose request was malformed: their answers end with a reset."""
        self._unwanted: dict[int, int] = {}
        """What may still come of bodies on the last streams that we have reset, in bytes."""
        self._draining = False
        self._over = False
        self.h2 = H2Server(limits)
        self.groups: dict[int, Group] = {}
        self.stream_count = 0

    def start(self) -> None:
        """Queue our SETTINGS, the server's preface. To be called first."""
        self.h2.initiate_connection()

    def output(self) -> bytes:
        """Take what is to be written, in order; b"" if nothing is."""
        queued = self.h2.data_to_send()
        if self._output:
            queued = bytes(self._output + queued)
            self._output = bytearray()
        return queued

    def _queue(self, frames: bytes) -> None:
        """Queue frames that are not h2's after what h2 has queued."""
        self._output += self.h2.data_to_send()
        self._output += frames

    # -- what is answered -------------------------------------------------------------

    def is_open(self, stream_id: int) -> bool:
        """Tell whether the stream can still be sent something."""
        stream = self.h2.streams.get(stream_id)
        return stream is not None and stream.open and not self._over

    def respond_head(
        self,
        stream_id: int,
        status: int,
        headers: Iterable[tuple[str, str]],
        *,
        end: bool = False,
    ) -> None:
        """Queue the head of the answer; `end` if there is nothing else in it.

        Raises ValueError for a field that would be malformed; fields that belong to an
        HTTP/1.1 connection are left out.
        """
        fields = write_head(status, tuple(headers))
        if self.is_open(stream_id):
            ends = end and stream_id not in self._malformed
            self._queue(self.h2.head_frames(stream_id, fields, end_stream=ends))
            if end:
                self._ended(stream_id)

    @property
    def connection_window(self) -> int:
        """How many bytes the client takes now on all its streams together."""
        return self.h2.outbound_flow_control_window

    def window(self, stream_id: int) -> int:
        """Return how many bytes `send` would take now; 0 if the stream is closed."""
        if not self.is_open(stream_id):
            return 0
        self._settle(stream_id)
        return max(0, self.h2.local_flow_control_window(stream_id))

    def is_shut(self, stream_id: int) -> bool:
        """Tell whether the stream's own window has no room, whatever the connection's has."""
        if not self.is_open(stream_id):
            return True
        self._settle(stream_id)
        return bool(self.h2.streams[stream_id].outbound_flow_control_window <= 0)

    def send(self, stream_id: int, data: bytes | memoryview) -> int:
        """Queue as much of `data` as the windows have room for; return how much that was.

        After a 0 wait for `WindowOpened`, or `Left`: 0 is also what a closed stream takes.
        """
        taken = min(self.window(stream_id), len(data))
        if taken:
            is_cut = taken < len(data)
            self._queue(self.h2.data_frames(stream_id, memoryview(data)[:taken], is_cut=is_cut))
            self._refresh(stream_id)
        return taken

    def end(self, stream_id: int) -> None:
        """Queue the end of the answer, which needs no window."""
        if self.is_open(stream_id):
            if stream_id not in self._malformed:
                self.h2.end_stream(stream_id)
                self.h2.frames_sent += 1
            self._ended(stream_id)

    def reset(self, stream_id: int, error_code: int) -> None:
        """Break off a stream."""
        if self.is_open(stream_id):
            self._reset(stream_id, error_code)
            self._forget(stream_id)

    # -- the connection itself --------------------------------------------------------

    def ping(self) -> None:
        """Queue a PING; `Pong` follows if the client is alive."""
        if not self._over:
            self.h2.ping(b"trio-sse")

    def shutdown(self) -> None:
        """Announce the end: no new streams from now on, the open ones go on to theirs.

        The GOAWAY has the largest stream id, as the first of two should (RFC 9113, 6.8);
        `close` sends the second. Streams that cross it on the way are refused, unprocessed.
        """
        if self._over or self._draining:
            return
        self._draining = True
        frame = GoAwayFrame(0, last_stream_id=_LARGEST_STREAM_ID, error_code=ErrorCodes.NO_ERROR)
        # Not by h2, which would forbid all but GOAWAY after it.
        self._queue(frame.serialize())

    def close(self, error_code: int = ErrorCodes.NO_ERROR, reason: bytes = b"") -> None:
        """Queue the last GOAWAY: write `output` and close. All streams are closed by it."""
        if not self._over:
            self.h2.close_connection(error_code, reason or None, self._last_asked)
            self._end()

    def retire(self) -> None:
        """Let go of what would keep itself: the connection is over, and nothing is received."""
        self.h2.retire()

    # -- bookkeeping ------------------------------------------------------------------

    def _settle(self, stream_id: int) -> None:
        group = self.groups.get(stream_id)
        if group is not None:
            group.settle(stream_id)

    def _refresh(self, stream_id: int) -> None:
        group = self.groups.get(stream_id)
        if group is not None:
            group.refresh(stream_id)

    def _ended(self, stream_id: int) -> None:
        if stream_id in self._malformed:
            # "A server MAY send an HTTP response prior to [...] resetting" (RFC 9113, 8.1.1).
            self._reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
        elif self.h2.streams[stream_id].open:
            # Answered before the upload was complete: the rest is not wanted (RFC 9113, 8.1).
            self._reset(stream_id, ErrorCodes.NO_ERROR)
        self._forget(stream_id)

    def _reset(self, stream_id: int, error_code: int) -> None:
        # What is left of the window may be under way already. h2 keeps none for what is over.
        self._unwanted[stream_id] = self.h2.streams[stream_id].inbound_flow_control_window
        if len(self._unwanted) > _UNWANTED_KEPT:
            del self._unwanted[next(iter(self._unwanted))]
        self.h2.reset_stream(stream_id, error_code)

    def _forget(self, stream_id: int) -> None:
        self.stream_count -= 1
        self._uploads.drop(stream_id)
        self._malformed.discard(stream_id)
        group = self.groups.get(stream_id)
        if group is not None:
            group.discard(stream_id)

    def _end(self) -> None:
        self._over = True
        self.stream_count = 0
        self._malformed.clear()
        self._uploads.clear()
        for stream_id in tuple(self.groups):
            self.groups[stream_id].discard(stream_id)
