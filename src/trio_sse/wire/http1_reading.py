"""HTTP/1: the reading of one request, its body included, within the limits.

Owns an h11 connection, from the first byte of a request to the head of its answer. h11 does
the grammar, `head` the rules that h11 leaves to its user, `http1_strict` those that it bends.

Refuses: tunnels (CONNECT), transfer codings other than chunked, and what is over a limit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import h11

from ..limits import Limits
from ..message import Peer, Request
from . import Refused
from .head import body_too_large, read_head
from .http1_strict import MOST_FIELDS, ChunkedBody, fields_in, problem_in_head

__all__ = ["Http1Reading"]

# All that h11 makes of a request; it says so of nothing less than any event.
_Event = h11.Request | h11.Data | h11.EndOfMessage


class Http1Reading:
    """One request, as far as it has arrived. Nothing blocks; nothing raises on what arrives."""

    __slots__ = (
        "_body",
        "_chunks",
        "_fed",
        "_limits",
        "_peer",
        "_pending",
        "_raw",
        "_scheme",
        "h11",
        "head",
        "is_head",
    )

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        self._limits = limits
        self._peer = peer
        self._scheme = scheme
        self._raw = bytearray()
        """The head as it came, until it is whole."""
        self._chunks: ChunkedBody | None = None
        self._fed = 0
        self._body = bytearray()
        self._pending = b""
        # One less than the limit: h11 complains of more than this without a whole head,
        # and `_feed` hands it at most the limit, so that a head may be just the limit.
        self.h11 = h11.Connection(h11.SERVER, limits.max_header_bytes - 1)
        self.head: Request | None = None
        """The request without its body, once that much has arrived."""
        self.is_head = False
        """It asks by HEAD, and is answered without a body, also if it is refused."""

    def take(self, buffer: bytearray, *, last: bool) -> Request | Refused | None:
        """Take what the request needs out of `buffer`, and return it once it is complete.

        `last` says that nothing comes after the buffer. None if more is needed.
        """
        while True:
            match event := self._next_event(buffer, last=last):
                case h11.Request():
                    refused = self._begin(event)
                    if refused is not None:
                        return refused
                    if self.head is not None and not self._has_body(self.head):
                        # h11 would say so in another event, which takes it another 4 µs.
                        buffer[:0] = self.h11.trailing_data[0]
                        return self.head
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > self._limits.max_body_bytes:
                        return body_too_large(self._limits)
                case h11.EndOfMessage():
                    buffer[:0] = self.h11.trailing_data[0]
                    head = cast(Request, self.head)
                    return replace(head, body=bytes(self._body)) if self._body else head
                case _:
                    return event

    def _begin(self, event: h11.Request) -> Refused | None:
        """Take the head. What came after it is still in h11's hands."""
        self.is_head = event.method == b"HEAD"
        unread = self.h11.trailing_data[0]
        problem = problem_in_head(bytes(self._raw[: len(self._raw) - len(unread)]))
        if problem is not None:
            return _malformed(problem)
        head = read_head(event, self._limits, peer=self._peer, scheme=self._scheme)
        if isinstance(head, Refused):
            return head
        self.head = head
        if "transfer-encoding" in head.headers:
            self._chunks = ChunkedBody()
            self._chunks.arrived(unread)
        self._raw = bytearray()
        return None

    def _has_body(self, head: Request) -> bool:
        return self._chunks is not None or "content-length" in head.headers

    def pending(self) -> bytes:
        """Take what the protocol itself wants sent before the request is complete."""
        pending, self._pending = self._pending, b""
        return pending

    def _next_event(self, buffer: bytearray, *, last: bool) -> _Event | Refused | None:
        while True:
            if self._chunks is not None and self._chunks.problem is not None:
                # Before h11 reads it: what it says of it would depend on how much has come.
                return _malformed(self._chunks.problem)
            try:
                event = self.h11.next_event()
            except h11.RemoteProtocolError as error:
                return self._grammar_refused(error)
            if event is not h11.NEED_DATA:
                return cast(_Event, event)
            seen = len(self._raw)
            if not self._feed(buffer, last=last):
                return None
            if self.head is None and fields_in(self._raw, seen) > MOST_FIELDS:
                return Refused(431, f"The request head has more than {MOST_FIELDS} fields.")

    def _feed(self, buffer: bytearray, *, last: bool) -> bool:
        """Give h11 more of what is buffered; False when there is nothing more to give."""
        # h11 checks the size of a head only while it lacks the end, so no more than what a
        # head may have is ever in its hands.
        room = self._limits.max_header_bytes - (self._fed if self.head is None else 0)
        piece = bytes(buffer[:room])
        if not piece and not last:
            if self.h11.they_are_waiting_for_100_continue:
                self._pending += self.h11.send(
                    h11.InformationalResponse(status_code=100, reason=b"Continue", headers=[])
                )
            return False
        del buffer[:room]
        self._fed += len(piece)
        if self.head is None:
            self._raw += piece
        elif self._chunks is not None:
            self._chunks.arrived(piece)
        self.h11.receive_data(piece)
        return True

    def _grammar_refused(self, error: h11.RemoteProtocolError) -> Refused:
        match error.error_status_hint:
            case 431 if self.head is None:
                most = self._limits.max_header_bytes
                return Refused(431, f"The request head is larger than {most} bytes.")
            case 431:
                return _malformed("chunk extensions and trailers are too long")
            case 501:
                return Refused(501, "No transfer coding but chunked is understood.")
            case _:
                # h11 quotes the bytes after ": b", which may be long and are the peer's.
                what = str(error).partition(": b")[0]
                return _malformed(what)


def _malformed(what: str) -> Refused:
    return Refused(400, f"The request is malformed: {what}.")
