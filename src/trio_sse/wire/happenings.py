"""What happens on an HTTP/2 connection: the values that `Http2.receive` returns.

They are frozen and know nothing. A `stream_id` is the protocol's, an odd number.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..message import Request
from . import Refused

__all__ = [
    "Asked",
    "Gone",
    "Happening",
    "Left",
    "Pong",
    "RefusedStream",
    "WindowOpened",
    "WindowsChanged",
]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request is complete, body included. Answer it with `respond_head`."""

    stream_id: int
    request: Request


@dataclass(frozen=True, slots=True)
class RefusedStream:
    """A request to be answered with an error and no more, also if it is not yet complete."""

    stream_id: int
    refused: Refused


@dataclass(frozen=True, slots=True)
class Left:
    """The client has cancelled a stream that was `Asked` (or refused), or has broken it."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """There is more room: on one stream, or, if `stream_id` is 0, on the connection."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class WindowsChanged:
    """There may be more room on each stream, or less: by the client's SETTINGS."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The client has answered a `ping`."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The connection is over: write what `output` still has, and close.

    `error_code` is that of the GOAWAY which ended it, the client's (`by_peer`) or ours.
    """

    reason: str
    error_code: int
    by_peer: bool
    offence: str = ""
    """What the client did, in a word to count it by; "" if it has only left."""


Happening = Asked | RefusedStream | Left | WindowOpened | WindowsChanged | Pong | Gone
