"""HTTP/2, the requests: what h2 says has happened in, requests with their bodies out.

Owns what becomes of a stream from its first fields to the end of its body, and which of them
are refused. A malformed request is answered 400, so that whoever wrote it learns why, and its
stream is then reset with PROTOCOL_ERROR (RFC 9113, 8.1.1); the connection goes on.

Uploads are bounded, a stream's and all of a connection's.
"""

from __future__ import annotations

from typing import Literal

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)

from ..limits import Limits
from ..message import Peer
from . import Refused
from .budget import Budget, Excess
from .fields import are_trailers, read_request
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
from .http2_answers import Http2Answers
from .uploads import Overrun

__all__ = ["Http2Requests"]

_WRONG_LENGTH = Refused(400, "The body is not as long as its Content-Length says.")
_NO_TRAILERS = Refused(400, "Trailers end a request, and have no fields that may not be there.")


class Http2Requests(Http2Answers):
    """The half of `Http2` that understands."""

    __slots__ = ("_budget", "_excess", "_limits", "_now", "_peer", "_scheme")

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        super().__init__(limits)
        self._limits = limits
        self._peer = peer
        self._scheme = scheme
        self._budget = Budget(limits)
        self._excess: Excess | None = None
        """What was too much, to be said once the frame at hand is done with."""
        self._now = 0.0

    def _happening(self, event: Event) -> Happening | None:
        match event:
            case WindowUpdated():
                self._refresh(event.stream_id)
                return WindowOpened(event.stream_id)
            case RequestReceived():
                return self._asked(event)
            case DataReceived():
                return self._collect(event)
            case StreamEnded():
                return self._complete(event.stream_id)
            case TrailersReceived():
                return self._trailers(event)
            case StreamReset():
                return self._left(event.stream_id)
            case RemoteSettingsChanged():
                for stream_id in self.groups:
                    self._refresh(stream_id)
                return WindowsChanged()
            case PingAckReceived():
                return Pong()
            case ConnectionTerminated():
                self._end()
                return Gone("the client has said GOAWAY", event.error_code or 0, by_peer=True)
            case PriorityUpdated(stream_id=int(stream_id)) if event.depends_on == stream_id:
                # RFC 7540, 5.3.1. To RFC 9113 priorities mean nothing.
                return self._break_off(stream_id, ErrorCodes.PROTOCOL_ERROR)
        # PING and unknown frames, for instance, have no meaning here.
        return None

    def _asked(self, event: RequestReceived) -> Happening | None:
        stream_id = event.stream_id
        if self._draining or self.stream_count >= self._limits.max_streams_per_connection:
            # The client may safely ask again, here or elsewhere (RFC 9113, 8.7).
            self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
            self._came_to_nothing()
            return None
        self.stream_count += 1
        self._last_asked = stream_id
        request = read_request(event.headers, self._limits, peer=self._peer, scheme=self._scheme)
        if isinstance(request, Refused):
            return self._refuse(stream_id, request)
        if event.stream_ended is not None:
            if int(request.headers.get("content-length", "0")):
                return self._refuse(stream_id, _WRONG_LENGTH)
            return Asked(stream_id, request)
        self._uploads.begin(stream_id, request)
        if request.headers.get("expect", "").lower() == "100-continue":
            self.h2.send_headers(stream_id, [(b":status", b"100")])
        return None

    def _collect(self, event: DataReceived) -> Happening | None:
        stream_id = event.stream_id
        if stream_id not in self._uploads:
            # Its request has been refused, and it is thrown away. The others' window is returned;
            # of this stream no more is wanted than may be under way.
            self.h2.return_connection_window(event.flow_controlled_length)
            return None
        self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
        overrun = self._uploads.add(stream_id, event.data)
        if overrun is Overrun.DECLARED:
            return self._refuse(stream_id, _WRONG_LENGTH)
        if overrun is Overrun.BODY:
            reason = f"A body of {self._limits.max_body_bytes} bytes is allowed."
            return self._refuse(stream_id, Refused(413, reason))
        if overrun is Overrun.CONNECTION:
            self._came_to_nothing()
            self.reset(stream_id, ErrorCodes.REFUSED_STREAM)
        return None

    def _trailers(self, event: TrailersReceived) -> Happening | None:
        stream_id = event.stream_id
        if event.stream_ended is not None and are_trailers(event.headers):
            return None
        if self._uploads.drop(stream_id):
            return self._refuse(stream_id, _NO_TRAILERS)
        return self._break_off(stream_id, ErrorCodes.PROTOCOL_ERROR)

    def _complete(self, stream_id: int) -> Happening | None:
        if self._uploads.falls_short(stream_id):
            self._uploads.drop(stream_id)
            return self._refuse(stream_id, _WRONG_LENGTH)
        request = self._uploads.complete(stream_id)
        return None if request is None else Asked(stream_id, request)

    def _refuse(self, stream_id: int, refused: Refused) -> RefusedStream:
        """Have a request answered with an error, and its stream reset if it is malformed."""
        self._came_to_nothing()
        if refused.status == 400:
            self._malformed.add(stream_id)
        return RefusedStream(stream_id, refused)

    def _left(self, stream_id: int) -> Left | None:
        never_asked = self._uploads.drop(stream_id)
        self._forget(stream_id)
        return None if never_asked else Left(stream_id)

    def _break_off(self, stream_id: int, code: ErrorCodes) -> Left | None:
        """Reset a stream that the client has broken."""
        if not self.is_open(stream_id):
            return None
        self._came_to_nothing()
        self._reset(stream_id, code)
        return self._left(stream_id)

    def _came_to_nothing(self) -> None:
        """Have a stream paid for that the client has broken, or that is refused."""
        self._excess = self._excess or self._budget.futile(self._now)

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
