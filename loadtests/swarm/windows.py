"""What an HTTP/2 client lets the server send, and when it says that there is room again.

Two kinds of client: `default`, which leaves the windows as the protocol has them, 65,535 bytes
for a stream and for the connection, and `wide`, which opens them as far as browsers do or
further. Both return what they have taken once half a window has been used, as Chromium and
curl do (RFC 9113, 6.9).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Literal

__all__ = ["Width", "Windows"]

Width = Literal["default", "wide"]

DEFAULT = 65_535
WIDE_STREAM = 2**24
WIDE_CONNECTION = 2**30

WINDOW_UPDATE = 8
SETTINGS_INITIAL_WINDOW_SIZE = 4

_UPDATE = struct.Struct(">HBBBLL")


class Windows:
    """The windows of one connection: what has been taken and not been returned, in bytes."""

    __slots__ = ("_by_stream", "_connection", "_everywhere", "_first", "_most", "_width")

    def __init__(self, width: Width, stream_ids: Iterable[int], first: float) -> None:
        """`first` is the part of half a window after which streams return theirs first.

        Streams that were all opened at once would otherwise all return at one event for ever,
        which the clients of a real server do not.
        """
        self._width = width
        self._by_stream = dict.fromkeys(stream_ids, 0)
        self._everywhere = 0
        """What has arrived on each stream, beside what `_by_stream` says."""
        self._most = 0
        """The most that any stream has in `_by_stream`."""
        self._connection = 0
        self._first = first

    @property
    def patience(self) -> int:
        """The bytes after which what has arrived must be counted, or a window might close."""
        return DEFAULT * 3 // 8 if self._width == "default" else WIDE_STREAM // 8

    def settings(self) -> bytes:
        """Return what SETTINGS have to say."""
        if self._width == "default":
            return b""
        return struct.pack(">HL", SETTINGS_INITIAL_WINDOW_SIZE, WIDE_STREAM)

    def widen(self) -> bytes:
        """Return the frame that opens the connection's window, which SETTINGS cannot."""
        return b"" if self._width == "default" else _update(0, WIDE_CONNECTION - DEFAULT)

    def opened(self, stream_id: int) -> None:
        """Note a stream that has been opened since."""
        self._settle()
        self._by_stream[stream_id] = 0

    def ended(self, stream_id: int) -> None:
        """Note that a stream is over: its own window is of no use any more."""
        self._settle()
        self._by_stream.pop(stream_id, None)

    def _settle(self) -> None:
        """Say of each stream by itself what has arrived on all of them."""
        if self._everywhere:
            for each in self._by_stream:
                self._by_stream[each] += self._everywhere
            self._most += self._everywhere
            self._everywhere = 0

    def arrived(self, stream_id: int, length: int) -> None:
        """Count what one stream has been sent. What comes after its end counts too, but not
        against a window of its own (RFC 9113, 6.9).
        """
        self._connection += length
        if stream_id in self._by_stream:
            owed = self._by_stream[stream_id] = self._by_stream[stream_id] + length
            self._most = max(self._most, owed)

    def arrived_everywhere(self, length: int) -> None:
        """Count what all streams together have been sent, each as much as the others."""
        self._connection += length
        self._everywhere += length // len(self._by_stream)

    def due(self) -> bytes:
        """Return the WINDOW_UPDATE frames that are to be sent now."""
        frames = []
        connection, stream = (
            (DEFAULT, DEFAULT) if self._width == "default" else (WIDE_CONNECTION, WIDE_STREAM)
        )
        if self._connection >= connection // 2:
            frames.append(_update(0, self._connection))
            self._connection = 0
        enough = max(1, round(stream // 2 * self._first))
        if self._everywhere + self._most >= enough:
            self._first = 1.0
            self._settle()
            for stream_id, owed in self._by_stream.items():
                if owed >= enough:
                    frames.append(_update(stream_id, owed))
                    self._by_stream[stream_id] = 0
            self._most = max(self._by_stream.values(), default=0)
        return b"".join(frames)


def _update(stream_id: int, increment: int) -> bytes:
    return _UPDATE.pack(0, 4, WINDOW_UPDATE, 0, stream_id, increment)
