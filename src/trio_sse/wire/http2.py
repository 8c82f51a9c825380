"""HTTP/2 over h2: bytes in, happenings out; answers in, bytes out (`http2_answers`).

Owns one connection as its server sees it: frame after frame of what the client sends, and how
the connection ends. h2 does the grammar and the states of streams. What it leaves to its user,
and what it does otherwise than a server on the open internet should, is in `http2_frames` and
`http2_requests`, and in `frames`, where a frame that is too long is refused by its header.

Rules: nothing raises on what the peer sends. Whatever changes a window settles it first and
refreshes it afterwards.
"""

from __future__ import annotations

from typing import Literal

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from ..limits import Limits
from ..message import Peer
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    FRAME_HEADER_BYTES,
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
from .group import Group
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
from .http2_frames import Http2Frames, is_futile

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


class Http2(Http2Frames):
    """The server's side of one connection.

    The caller gives what it reads to `receive`, answers what comes out of it, and writes
    `output` after each call of either kind. Nothing blocks; sizes are in bytes.
    """

    __slots__ = ("_cutter",)

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        super().__init__(limits, peer=peer, scheme=scheme)
        self._cutter = Cutter(max_section_bytes=most_header_bytes(limits))

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
        if frame.kind in (PRIORITY, WINDOW_UPDATE):
            code = self._error_of_stream(frame)
            if code is not None:
                happening: Happening | None = self._break_off(frame.stream_id, code)
                if happening is not None:
                    happenings.append(happening)
                return
        if self._is_idle_talk(frame):
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
            self._excess = self._budget.fields(*self.h2.decoder.last_read, self._now)
            if self._excess is not None:
                return
        if is_futile(frame, events):
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
