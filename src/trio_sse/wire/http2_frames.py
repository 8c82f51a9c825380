"""HTTP/2, the frames: what each costs, and what h2 is not to hear of, or not as it is.

h2 takes several times as long over a frame as it takes to see that it is in order, or late. And
what is wrong with one stream must end that stream, not the connection and all the others' streams
with it, which behind a proxy are other people's (RFC 9113, 5.4.2).

Rule: the short ways round h2 are taken only outside a field section. Within one no frame but
CONTINUATION is in order, and h2 says so.
"""

from __future__ import annotations

from typing import Literal

from h2.errors import ErrorCodes
from h2.events import Event, StreamReset

from ..limits import Limits
from ..message import Peer
from .budget import FREE_PIECES, Excess
from .frames import (
    ACK,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
)
from .group import LARGEST_WINDOW
from .http2_requests import Http2Requests

__all__ = ["Http2Frames", "is_futile"]

_WINDOW_UPDATE_LENGTH = 9 + 4
_PRIORITY_LENGTH = 9 + 5
_RST_STREAM_LENGTH = 9 + 4
_GOAWAY_LENGTH = 9 + 8


class Http2Frames(Http2Requests):
    """The judgement of `Http2` on each frame."""

    __slots__ = ("granted",)

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        super().__init__(limits, peer=peer, scheme=scheme)
        self.granted = self.connection_window
        """Bytes that the client has ever allowed on the connection."""

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
        if self.h2.within_section or not self.is_open(frame.stream_id):
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

    def _is_idle_talk(self, frame: Frame) -> bool:
        """Tell whether a frame is in order, and there is nothing to be done about it."""
        if frame.kind == PRIORITY:
            # Who comes first is no question where all are to be served (RFC 9113, 5.3.2).
            is_whole = len(frame.whole) == _PRIORITY_LENGTH and frame.stream_id > 0
            return is_whole and not self.h2.within_section
        return frame.kind == GOAWAY and self._is_farewell(frame)

    def _is_farewell(self, frame: Frame) -> bool:
        """Tell whether a GOAWAY only says that no further requests will come.

        The streams that are open then go on until they end or the client closes (RFC 9113, 6.8);
        h2 ends them. A client that shuts down gracefully waits for its answers like that.
        """
        is_whole = len(frame.whole) >= _GOAWAY_LENGTH and not frame.stream_id
        says_no_error = frame.whole[13:_GOAWAY_LENGTH] == bytes(4)
        return is_whole and says_no_error and self.stream_count > 0 and not self.h2.within_section


def is_futile(frame: Frame, events: list[Event]) -> bool:
    """Tell whether a frame of a request broke its stream, or came for one that is gone.

    Either makes h2 send a RST_STREAM (CVE-2025-8671: a client has the server do the resetting).
    """
    if frame.kind == RST_STREAM:
        return False  # paid for already
    if not events:
        return frame.kind == DATA or (frame.kind == HEADERS and bool(frame.flags & END_HEADERS))
    return any(isinstance(event, StreamReset) for event in events)
