"""HTTP/1: how an answer begins, what frames its payloads, and how it ends (RFC 9112, 6 and 7).

Nothing here knows a connection: what is made of a payload, or of a head, serves every connection
that frames alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

import h11

from ..message import Protocol

__all__ = ["begin_stream", "chunk", "identity", "response_head"]

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def chunk(payload: bytes) -> bytes:
    """Frame a non-empty payload as one chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def identity(payload: bytes) -> bytes:
    """Frame a payload for HTTP/1.0, where the end of the connection ends the body."""
    return payload


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> h11.Response:
    """Return the head of an answer, for h11 to send.

    Raises h11.LocalProtocolError if a header cannot be sent: a mistake of the program.
    """
    return h11.Response(
        status_code=status,
        reason=_REASONS.get(status, b""),
        headers=[(name.encode(), value.encode()) for name, value in headers],
    )


@lru_cache(maxsize=256)
def begin_stream(
    method: str,
    protocol: Protocol,
    status: int,
    headers: tuple[tuple[str, str], ...],
    *,
    last: bool,
) -> tuple[bytes, bytes]:
    """Return the head of a stream and the bytes that will end it, as h11 makes them.

    Raises h11.LocalProtocolError as `response_head` does. Remembered, since the streams of a
    server begin alike, and this takes half as long as reading a request does. h11 needs a request
    to answer: it is given one of the same kind.
    """
    connection = h11.Connection(h11.SERVER)
    closing = "connection: close\r\n" if last else ""
    connection.receive_data(f"{method} / {protocol}\r\nhost: h\r\n{closing}\r\n".encode())
    connection.next_event()
    return connection.send(response_head(status, headers)), connection.send(h11.EndOfMessage())
