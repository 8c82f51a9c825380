"""HTTP/2 over h2: bytes in, happenings out; answers in, bytes out (`http2_answers`).

Owns one connection as its server sees it: what the client sends, and the requests with their
bodies that this makes. h2 does the grammar and the states of streams; here is what it leaves
to its user, and two things it does otherwise than a server on the open internet should:

- too many streams, and requests that are malformed, end a stream, not the connection and all
  the others' streams with it (RFC 9113, 5.1.2 and 8.1.1);
- a frame that is too long is refused by its header (`frames`).

Rules: nothing raises on what the peer sends. Uploads are bounded, a stream's and all of a
connection's. Whatever changes a window settles it first and refreshes it afterwards.
"""

from __future__ import annotations

from typing import Literal

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from ..limits import Limits
from ..message import Peer
from . import Refused
from .budget import Budget, Excess
from .fields import check_trailers, read_request
from .frames import (
    ACK,
    DATA,
    END_HEADERS,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Cutter,
    Frame,
    Violation,
)
from .group import LARGEST_WINDOW, Group
from .h2_server import most_header_bytes
from .happenings import Asked, Gone, Happening, Left, Pong, RefusedStream, WindowOpened
from .http2_answers import Http2Answers
from .uploads import Overrun

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
]

_WINDOW_UPDATE_LENGTH = 9 + 4
_PRIORITY_LENGTH = 9 + 5


class Http2(Http2Answers):
    """The server's side of one connection.

    The caller gives what it reads to `receive`, answers what comes out of it, and writes
    `output` after each call of either kind. Nothing blocks; sizes are in bytes.
    """

    __slots__ = ("_budget", "_cutter", "_excess", "_limits", "_now", "_peer", "_scheme", "granted")

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        super().__init__(limits)
        self._limits = limits
        self._peer = peer
        self._scheme = scheme
        self._cutter = Cutter(max_section_bytes=most_header_bytes(limits))
        self._budget = Budget(limits)
        self._excess: Excess | None = None
        self.granted = self.connection_window
        """Bytes that the client has ever allowed on the connection."""
        self._now = 0.0

    def receive(self, data: bytes, now: float = 0.0) -> list[Happening]:
        """Take bytes from the peer and return what they made happen. Nothing after `Gone`.

        `now` is in seconds by any clock; where it stands still, what is spent does not come back.
        """
        happenings: list[Happening] = []
        self._now = now
        for frame in self._cutter.cut(data):
            if self._over:
                break
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
        if frame.kind == WINDOW_UPDATE:
            sent = self.granted - self.h2.outbound_flow_control_window
            self._excess = self._budget.window_update(self._now, sent)
        else:
            self._excess = self._budget.frame(frame, self._now)
        if self._excess is not None:
            return
        if frame.kind == PRIORITY and len(frame.whole) == _PRIORITY_LENGTH and frame.stream_id:
            # Who comes first is no question where all streams are to be served (RFC 9113, 5.3.2).
            if not self.h2.within_section:
                return
        elif frame.kind == WINDOW_UPDATE:
            if self._widen(frame):
                happenings.append(WindowOpened(frame.stream_id))
                return
            self._settle(frame.stream_id)
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            for stream_id in self.groups:
                self._settle(stream_id)
            # Else h2 would apply it to closed streams as well, whose windows may overflow.
            self.h2.purge()
        try:
            events = self.h2.receive_data(frame.whole)
        except ProtocolError as error:
            self._end()
            reason = f"{type(error).__name__}: {error}"
            offence = error.error_code.name.lower()
            happenings.append(Gone(reason, error.error_code, by_peer=False, offence=offence))
            return
        if _came_to_nothing(frame, events):
            self._excess = self._budget.futile(self._now)
        for event in events:
            happening = self._happening(event)
            if happening is not None:
                happenings.append(happening)

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

    def _happening(self, event: Event) -> Happening | None:
        match event:
            case WindowUpdated():
                self._refresh(event.stream_id)
                return WindowOpened(event.stream_id)
            case RequestReceived():
                return self._asked(event)
            case DataReceived():
                return self._collect(event)
            case TrailersReceived():
                return self._trailed(event)
            case StreamEnded():
                return self._complete(event.stream_id)
            case StreamReset():
                return self._left(event.stream_id)
            case RemoteSettingsChanged():
                for stream_id in self.groups:
                    self._refresh(stream_id)
                return WindowOpened(0)
            case PingAckReceived():
                return Pong()
            case ConnectionTerminated():
                self._end()
                return Gone("the client has said GOAWAY", event.error_code or 0, by_peer=True)
        # An acknowledgement of our SETTINGS, for instance, has no meaning here.
        return None

    def _asked(self, event: RequestReceived) -> Happening | None:
        stream_id = event.stream_id
        self._excess = self._budget.fields(len(event.headers), self._now)
        if self._excess is not None:
            return None
        if self._draining or self.stream_count >= self._limits.max_streams_per_connection:
            # The client may safely ask again, here or elsewhere (RFC 9113, 8.7).
            self.h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            self._excess = self._budget.futile(self._now)
            return None
        self.stream_count += 1
        self._last_asked = stream_id
        request = read_request(event.headers, self._limits, peer=self._peer, scheme=self._scheme)
        if isinstance(request, Refused):
            self._excess = self._budget.futile(self._now)
            return RefusedStream(stream_id, request)
        if event.stream_ended is not None:
            return Asked(stream_id, request)
        self._uploads.begin(stream_id, request)
        if request.headers.get("expect", "").lower() == "100-continue":
            self.h2.send_headers(stream_id, [(b":status", b"100")])
        return None

    def _collect(self, event: DataReceived) -> Happening | None:
        stream_id = event.stream_id
        self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
        overrun = self._uploads.add(stream_id, event.data)
        if overrun is Overrun.BODY:
            reason = f"A body of {self._limits.max_body_bytes} bytes is allowed."
            return RefusedStream(stream_id, Refused(413, reason))
        if overrun is Overrun.CONNECTION:
            self.reset(stream_id, ErrorCodes.REFUSED_STREAM)
        return None

    def _trailed(self, event: TrailersReceived) -> Happening | None:
        refused = check_trailers(event.headers)
        if refused is None or not self._uploads.drop(event.stream_id):
            return None
        self._excess = self._budget.futile(self._now)
        return RefusedStream(event.stream_id, refused)

    def _complete(self, stream_id: int) -> Happening | None:
        request = self._uploads.complete(stream_id)
        return None if request is None else Asked(stream_id, request)

    def _left(self, stream_id: int) -> Happening | None:
        never_asked = self._uploads.drop(stream_id)
        self._forget(stream_id)
        return None if never_asked else Left(stream_id)

    @property
    def uploads(self) -> int:
        """How many requests have begun whose bodies are still on their way."""
        return len(self._uploads)

    def overdue(self, now: float) -> list[RefusedStream]:
        """Return the requests whose bodies take too long; `now` is in seconds by any clock.

        To be called often: a body's time begins with the first call after its request.
        """
        late = Refused(408, "The request did not arrive in time.")
        overdue = self._uploads.overdue(now, self._limits.body_timeout)
        return [RefusedStream(stream_id, late) for stream_id in overdue]


def _came_to_nothing(frame: Frame, events: list[Event]) -> bool:
    """Tell whether a frame of a request broke its stream, or came for one that is gone.

    Either makes h2 send a RST_STREAM (CVE-2025-8671: a client has the server do the resetting).
    """
    if frame.kind == RST_STREAM:
        return False  # paid for already
    if not events:
        return frame.kind == DATA or (frame.kind == HEADERS and bool(frame.flags & END_HEADERS))
    return any(isinstance(event, StreamReset) for event in events)
