"""HTTP/2 over h2: bytes in, happenings out; answers in, bytes out (`http2_answers`).

Owns one connection as its server sees it: frame after frame of what the client sends, what
each costs, and how the connection ends. h2 does the grammar and the states of streams; here
and in `http2_requests` is what it leaves to its user, and what it does otherwise than a server
on the open internet should:

- what is wrong with one stream ends that stream, not the connection and all the others'
  streams with it, which behind a proxy are other people's (RFC 9113, 5.4.2);
- a frame that is too long is refused by its header (`frames`).

Rules: nothing raises on what the peer sends. Whatever changes a window settles it first and
refreshes it afterwards.
"""

from __future__ import annotations

from typing import Literal

from h2.errors import ErrorCodes
from h2.events import Event, StreamReset
from h2.exceptions import ProtocolError

from ..limits import Limits
from ..message import Peer
from .budget import FREE_PIECES, Excess
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    FRAME_HEADER_BYTES,
    GOAWAY,
    HEADERS,
    PADDED,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Cutter,
    Frame,
    Violation,
    unpadded,
)
from .group import LARGEST_WINDOW, Group
from .h2_server import most_header_bytes
from .happenings import (
    Asked,
    Gone,
    Happening,
    Left,
    Pong,
    RefusedStream,
    WindowOpened,
    WindowsChanged,
)
from .http2_requests import Http2Requests

__all__ = [
    "Asked",
    "Gone",
    "Group",
    "Happening",
    "Http2",
    "Left",
    "Pong",
    "RefusedStream",
    "WindowOpened",
    "WindowsChanged",
]

_WINDOW_UPDATE_LENGTH = 9 + 4
_PRIORITY_LENGTH = 9 + 5
_RST_STREAM_LENGTH = 9 + 4
_GOAWAY_LENGTH = 9 + 8


class Http2(Http2Requests):
    """The server's side of one connection.

    The caller gives what it reads to `receive`, answers what comes out of it, and writes
    `output` after each call of either kind. Nothing blocks; sizes are in bytes.
    """

    __slots__ = ("_cutter", "granted")

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        super().__init__(limits, peer=peer, scheme=scheme)
        self._cutter = Cutter(max_section_bytes=most_header_bytes(limits))
        self.granted = self.connection_window
        """Bytes that the client has ever allowed on the connection."""

    @property
    def has_begun(self) -> bool:
        """Whether the client's SETTINGS have come, which are due first (RFC 9113, 3.4)."""
        return self._cutter.has_begun

    @property
    def unfinished_head(self) -> object | None:
        """What stands for the head that has begun and not ended, if there is one: only one can be,
        and nothing else can be said meanwhile (RFC 9113, 4.3). Another for each.
        """
        return self.h2.unfinished_section

    def receive(self, data: bytes, now: float = 0.0) -> list[Happening]:
        """Take bytes from the peer and return what they made happen. Nothing after `Gone`.

        `now` is in seconds by any clock; where it stands still, what is spent does not come back.
        """
        happenings: list[Happening] = []
        self._now = now
        for frame in self._cutter.cut(data):
            if self._over:
                break
            if isinstance(frame, Frame) and frame.kind == HEADERS and frame.flags & PADDED:
                frame = unpadded(frame)
            if isinstance(frame, Violation):
                self._send_away(frame.code, frame.reason, frame.code.name.lower(), happenings)
                break
            self._take(frame, happenings)
            if self._excess is not None and not self._over:
                offence, reason = self._excess
                self._send_away(ErrorCodes.ENHANCE_YOUR_CALM, reason, offence, happenings)
        return happenings

    def _send_away(
        self, code: ErrorCodes, reason: str, offence: str, happenings: list[Happening]
    ) -> None:
        self.close(code, reason.encode())
        happenings.append(Gone(reason, code, by_peer=False, offence=offence))

    def _take(self, frame: Frame, happenings: list[Happening]) -> None:
        is_late = frame.kind == RST_STREAM and self._is_late(frame)
        self._excess = self._charge(frame, is_late=is_late)
        if self._excess is not None or is_late:
            # Late, it says nothing that h2 would want to hear, which takes ten times as long.
            return
        if frame.kind == WINDOW_UPDATE:
            if self._widen(frame):
                happenings.append(WindowOpened(frame.stream_id))
                return
            self._settle(frame.stream_id)
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            for stream_id in self.groups:
                self._settle(stream_id)
            # Else h2 would apply it to closed streams as well, whose windows may overflow.
            self.h2.purge()
        if frame.kind in (PRIORITY, WINDOW_UPDATE) and not self.h2.within_section:
            code = self._error_of_stream(frame)
            if code is not None:
                happening: Happening | None = self._break_off(frame.stream_id, code)
                if happening is not None:
                    happenings.append(happening)
                return
            if frame.kind == PRIORITY and len(frame.whole) == _PRIORITY_LENGTH and frame.stream_id:
                # Who comes first is no question where all are to be served (RFC 9113, 5.3.2).
                return
        if frame.kind == GOAWAY and self._is_farewell(frame):
            return
        try:
            events = self.h2.receive_data(frame.whole)
        except ProtocolError as error:
            self._end()
            reason = f"{type(error).__name__}: {error}"
            offence = error.error_code.name.lower()
            happenings.append(Gone(reason, error.error_code, by_peer=False, offence=offence))
            return
        if frame.kind in (HEADERS, CONTINUATION) and frame.flags & END_HEADERS:
            # Also of a stream that is gone, of which there is no event: all are read.
            self._excess = self._budget.fields(*self.h2.decoder.read, self._now)
            if self._excess is not None:
                return
        if _is_futile(frame, events):
            self._came_to_nothing()
            if frame.kind == DATA and frame.stream_id in self._unwanted:
                self._unwanted[frame.stream_id] -= len(frame.whole) - FRAME_HEADER_BYTES
                if self._unwanted[frame.stream_id] < 0:
                    code = ErrorCodes.FLOW_CONTROL_ERROR
                    reason = "a body goes on beyond the window of its stream"
                    self._send_away(code, reason, code.name.lower(), happenings)
                    return
        for event in events:
            happening = self._happening(event)
            if happening is not None:
                happenings.append(happening)

    def _charge(self, frame: Frame, *, is_late: bool) -> Excess | None:
        if frame.kind == WINDOW_UPDATE:
            return self._budget.window_updates(1, self._now, *self._sent)
        if is_late:
            return self._budget.late_reset(self._now, *self._sent)
        if frame.kind == DATA:
            pieces = self._uploads.pieces(frame.stream_id)
            if pieces is not None and pieces < FREE_PIECES:
                return None
        excess = self._budget.frame(frame, self._now)
        if excess is None and frame.kind == SETTINGS and not frame.flags & ACK:
            excess = self._budget.window_updates(self.stream_count, self._now, *self._sent)
        return excess

    @property
    def _sent(self) -> tuple[int, int]:
        """How many frames on streams, and bytes of DATA, the client was sent so far."""
        return self.h2.frames_sent, self.granted - self.h2.outbound_flow_control_window

    def _is_late(self, frame: Frame) -> bool:
        """Tell whether a RST_STREAM is in order, but its stream has ended already.

        A client may have sent it before it knew, or in answer to what came for a stream that it
        has left (RFC 9113, 5.1).
        """
        if len(frame.whole) != _RST_STREAM_LENGTH or self.h2.within_section:
            return False
        return self.h2.has_begun(frame.stream_id) and not self.is_open(frame.stream_id)

    def _widen(self, frame: Frame) -> bool:
        """Count a WINDOW_UPDATE that is in order: on the connection, or on a stream in a group.

        False leaves it to h2, which knows what to say of one that is not. Clients with windows
        of 64 KiB send one every few events, and h2 takes several times as long over each.
        """
        if len(frame.whole) != _WINDOW_UPDATE_LENGTH or self.h2.within_section:
            return False
        # The highest bit is reserved and ignored (RFC 9113, 6.9).
        increment = int.from_bytes(frame.whole[-4:]) & LARGEST_WINDOW
        if not increment:
            return False
        if frame.stream_id:
            group = self.groups.get(frame.stream_id)
            return group is not None and group.widen(frame.stream_id, increment)
        window = self.h2.outbound_flow_control_window + increment
        if window > LARGEST_WINDOW:
            return False
        self.h2.outbound_flow_control_window = window
        self.granted += increment
        return True

    def _error_of_stream(self, frame: Frame) -> ErrorCodes | None:
        """Tell what is wrong with a frame that breaks its stream, but in h2 the connection.

        A stream that has not begun can't be reset (RFC 9113, 6.4): there h2 has its way.
        """
        if not self.is_open(frame.stream_id):
            return None
        length = len(frame.whole)
        if frame.kind == PRIORITY:
            if length != _PRIORITY_LENGTH:
                return ErrorCodes.FRAME_SIZE_ERROR  # RFC 9113, 6.3
            depends_on = int.from_bytes(frame.whole[9:13]) & 0x7FFF_FFFF
            # RFC 7540, 5.3.1. RFC 9113 says no more what a priority is.
            return ErrorCodes.PROTOCOL_ERROR if depends_on == frame.stream_id else None
        increment = int.from_bytes(frame.whole[-4:]) & LARGEST_WINDOW
        if length != _WINDOW_UPDATE_LENGTH or increment:
            return None
        return ErrorCodes.PROTOCOL_ERROR  # RFC 9113, 6.9

    def _is_farewell(self, frame: Frame) -> bool:
        """Tell whether a GOAWAY only says that no further requests will come.

        The streams that are open then go on until they end or the client closes (RFC 9113, 6.8);
        h2 ends them. A client that shuts down gracefully waits for its answers like that.
        """
        is_whole = len(frame.whole) >= _GOAWAY_LENGTH and not frame.stream_id
        says_no_error = frame.whole[13:_GOAWAY_LENGTH] == bytes(4)
        return is_whole and says_no_error and self.stream_count > 0 and not self.h2.within_section


def _is_futile(frame: Frame, events: list[Event]) -> bool:
    """Tell whether a frame of a request broke its stream, or came for one that is gone.

    Either makes h2 send a RST_STREAM (CVE-2025-8671: a client has the server do the resetting).
    """
    if frame.kind == RST_STREAM:
        return False  # paid for already
    if not events:
        return frame.kind == DATA or (frame.kind == HEADERS and bool(frame.flags & END_HEADERS))
    return any(isinstance(event, StreamReset) for event in events)
