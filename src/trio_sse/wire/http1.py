"""HTTP/1.0 and HTTP/1.1 over h11: bytes in, requests out; answers in, bytes out.

Owns the turns of the conversation, and the question whether the connection may be used again.
`http1_reading` reads a request, `http1_framing` says how an answer begins and ends.

A stream may run for hours, and there are tens of thousands of them, so nothing of the reading
is kept meanwhile: what the end of the answer will be is settled with its head. For the same
reason payloads do not pass through here: `frame` is a plain function.

Refuses: keep-alive for HTTP/1.0, and protocol upgrades (ignored, as RFC 9110, 7.8 allows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Literal

import h11

from ..limits import Limits
from ..message import Peer, Request, Response
from . import Refused
from .http1_framing import begin_stream, chunk, identity, response_head
from .http1_reading import Http1Reading

__all__ = ["Http1"]


class _Phase(Enum):
    READING = auto()
    ASKED = auto()
    STREAMING = auto()
    ANSWERED = auto()


class Http1:
    """The server's side of one connection.

    The caller gives what it reads to `receive`, asks `next_request` until that is None,
    answers a request (or a `Refused`) with `respond`, or with `open` and `end`, and then
    either closes, if `must_close`, or calls `next_cycle`. What the peer does wrong comes out
    as a `Refused`; calls out of this order raise RuntimeError. Nothing blocks.
    """

    __slots__ = (
        "_buffer",
        "_closing",
        "_frame",
        "_limits",
        "_peer",
        "_phase",
        "_reading",
        "_scheme",
        "_tail",
        "closed",
    )

    closed: bool
    """The peer has sent its end of file. Requests that came before it may still be waiting."""

    def __init__(self, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]) -> None:
        self._limits = limits
        self._peer = peer
        self._scheme = scheme
        self._buffer = bytearray()
        self._reading: Http1Reading | None = None
        self._phase = _Phase.READING
        self._frame: Callable[[bytes], bytes] = identity
        self._tail = b""
        self._closing = False
        self.closed = False

    # -- reading ----------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; b"" is its end of file.

        What follows a refused request is dropped: where the next one starts is unknown.
        """
        if not data:
            self.closed = True
        elif not (self._closing and self._phase is not _Phase.READING):
            self._buffer += data

    @property
    def buffered(self) -> int:
        """Bytes received that are not yet part of a request: pipelined ones, for the caller
        to bound while it answers the one before.
        """
        return len(self._buffer)

    @property
    def head_started(self) -> bool:
        """Whether `next_request` has seen part of a request head, and waits for the rest."""
        return self._phase is _Phase.READING and self._reading is not None and not self.in_body

    @property
    def in_body(self) -> bool:
        """Whether `next_request` has a request's head and waits for the rest of its body."""
        return self._phase is _Phase.READING and self._head is not None

    @property
    def _head(self) -> Request | None:
        return None if self._reading is None else self._reading.head

    def pending(self) -> bytes:
        """Take what the protocol itself wants sent before the request is complete."""
        return b"" if self._reading is None else self._reading.pending()

    def next_request(self) -> Request | Refused | None:
        """Return the next complete request, or why there is none, or None: more is needed.

        None as well while a request is being answered.
        """
        if self._phase is not _Phase.READING:
            return None
        if self._reading is None:
            # "SHOULD ignore at least one empty line received prior to the request-line"
            # (RFC 9112, 2.2): old clients end a form with one. h11 does not.
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            if not self._buffer or self._buffer == b"\r":
                return None
            self._reading = Http1Reading(self._limits, peer=self._peer, scheme=self._scheme)
        outcome = self._reading.take(self._buffer, last=self.closed)
        if isinstance(outcome, Refused):
            self._give_up()
        elif outcome is not None:
            self._phase = _Phase.ASKED
        return outcome

    def _give_up(self) -> None:
        """Read no more: the next answer is the last."""
        self._phase = _Phase.ASKED
        self._closing = True
        self._buffer.clear()

    # -- answering --------------------------------------------------------------------

    def respond(self, response: Response) -> bytes:
        """Return the bytes of a whole answer; for a HEAD request, of its head.

        Before the request is complete it may be answered as well, and the connection is at
        its end then: for a caller that has waited for it long enough.

        Raises h11.LocalProtocolError if a header cannot be sent: a mistake of the program.
        """
        if self._phase is _Phase.READING:
            self._give_up()
        bodiless = response.status in (204, 304)
        length = () if bodiless else (("content-length", str(len(response.body))),)
        connection, head = self._send_head(response.status, (*response.headers, *length))
        if not bodiless and not self._is_head:
            head += connection.send(h11.Data(response.body))
        head += connection.send(h11.EndOfMessage())
        self._settle(_Phase.ANSWERED, last=connection.our_state is not h11.DONE)
        return head

    def open(self, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
        """Return the head of a stream without a foreseen end; for HEAD that is the answer.

        The stream is chunked on HTTP/1.1; on HTTP/1.0 the end of the connection ends it.
        Raises h11.LocalProtocolError as `respond` does.
        """
        if self._phase is not _Phase.ASKED or self._head is None:
            raise RuntimeError("there is no request to answer, or it has been answered")
        request = self._head
        asked_to_close = "close" in ",".join(request.headers.get_all("connection")).lower()
        last = self.must_close or asked_to_close or request.protocol == "HTTP/1.0"
        head, self._tail = begin_stream(
            request.method, request.protocol, status, tuple(headers), last=last
        )
        self._frame = chunk if self._tail else identity
        self._settle(_Phase.ANSWERED if self._is_head else _Phase.STREAMING, last=last)
        return head

    def end(self) -> bytes:
        """Return the bytes that end an opened stream; none on HTTP/1.0 and for HEAD."""
        if self._phase is _Phase.STREAMING:
            self._phase = _Phase.ANSWERED
            return self._tail
        return b""

    @property
    def frame(self) -> Callable[[bytes], bytes]:
        """The function that frames a payload for the opened stream: `chunk` or `identity`."""
        return self._frame

    def close_after(self) -> None:
        """Make this answer the connection's last; said in its head, if that is yet to come."""
        self._closing = True

    @property
    def must_close(self) -> bool:
        """Whether the connection is to be closed after this answer."""
        return self._closing or (self.closed and not self._buffer)

    def next_cycle(self) -> None:
        """Be ready for the next request, which may be buffered already."""
        if self._phase is not _Phase.ANSWERED or self.must_close:
            raise RuntimeError("the connection is not free for another request")
        self._phase = _Phase.READING

    @property
    def _is_head(self) -> bool:
        return self._reading is not None and self._reading.is_head

    def _send_head(
        self, status: int, headers: Iterable[tuple[str, str]]
    ) -> tuple[h11.Connection, bytes]:
        if self._phase is not _Phase.ASKED:
            raise RuntimeError("there is no request to answer, or it has been answered")
        reading = self._reading
        connection = h11.Connection(h11.SERVER) if reading is None else reading.h11
        if self.must_close:
            headers = (*headers, ("connection", "close"))
        return connection, connection.send(response_head(status, headers))

    def _settle(self, phase: _Phase, *, last: bool) -> None:
        """Be rid of h11 and of the request, for as long as the answer takes."""
        self._closing = self._closing or last
        self._phase = phase
        self._reading = None
