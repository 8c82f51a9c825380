"""h2's connection, set up as the server's side, and relieved of some habits.

Owns which of h2's checks are on and what our SETTINGS say. Header fields are checked in
`fields` when they come in and are built by us when they go out, so h2 checks neither. What
breaks a stream alone, and would break the connection in h2, is let through to `Http2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.events import Event, PriorityUpdated, RequestReceived, StreamEnded, TrailersReceived
from h2.exceptions import ProtocolError, StreamIDTooLowError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs
from hpack.struct import Header
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from ..limits import Limits
from .field_coding import Field, FieldDecoder, FieldEncoder
from .frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_FRAME_SIZE,
    PREFACE,
    write_frame,
)

__all__ = ["H2Server", "most_header_bytes"]

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)

_CLOSED_KEPT = 64
"""Closed streams, some 500 bytes each, that h2 may keep until it walks over all streams."""


def most_header_bytes(limits: Limits) -> int:
    """Return how long a field section may be to be read at all, in bytes.

    Twice what is allowed is still read, and answered 431. Beyond, reading would end in the
    middle of the section: HPACK's state is lost, and with it the connection.
    """
    return 2 * limits.max_header_bytes


_KNOWN_SETTINGS = frozenset(SettingCodes)


class _ServerStream(H2Stream):
    """h2's stream, which leaves it to `Http2` what a request and its body must be.

    There that ends the stream, as RFC 9113, 8.1.1 asks. In h2 a wrong Content-Length, trailers
    that are not the end, and a response's pseudo-header field end the connection.
    """

    def receive_headers(
        self, headers: Iterable[Header], end_stream: bool, header_encoding: bool | str | None
    ) -> tuple[list[Frame], list[Event]]:
        """Take the fields of a request, or its trailers."""
        events = self.state_machine.process_input(StreamInputs.RECV_HEADERS)
        received = cast(RequestReceived | TrailersReceived, events[0])
        received.headers = cast(list[Header], headers)
        if end_stream:
            ended = self.state_machine.process_input(StreamInputs.RECV_END_STREAM)
            received.stream_ended = cast(StreamEnded, ended[0])
            events += ended
        return [], events


class H2Server(H2Connection):
    """h2's connection as a server's, with some habits less.

    h2 counts the open streams anew for each new one, by walking over them: 12 µs of a
    stream's set-up when 256 are opened. The walk has a purpose as well, it is where h2
    forgets closed streams. So here it is made once for many, and the number of streams is
    for `Http2` to bound: h2 would end the connection for one too many.
    """

    MAX_CLOSED_STREAMS = 1024
    """How many closed streams h2 remembers, to tell a late frame from a wrong one. Its own
    65,536 would be megabytes for each connection of a client that opens and closes."""

    decoder: FieldDecoder

    def __init__(self, limits: Limits) -> None:
        super().__init__(_CONFIGURATION)
        self._kept_by_purge = 0
        self.frames_sent = 0
        """Frames on streams that the client was sent: heads, and pieces of bodies but for those
        that it has itself cut short, by its windows."""
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.max_streams_per_connection,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.max_header_bytes,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
            },
        )
        self.decoder = FieldDecoder(most_header_bytes(limits))
        self.encoder = FieldEncoder()
        # The cutter takes the client's preface; h2 waits for one all the same.
        self.receive_data(PREFACE)

    def retire(self) -> None:
        """Break the cycle that h2 makes of itself: it would wait for the collector of cycles, which
        comes rarely, with all its streams.
        """
        self._frame_dispatch_table.clear()

    @property
    def open_inbound_streams(self) -> int:
        """Return 0: this is what h2 compares with its bound."""
        if len(self.streams) > self._kept_by_purge + _CLOSED_KEPT:
            self.purge()
        return 0

    def _begin_new_stream(self, stream_id: int, allowed_ids: AllowedStreamIDs) -> H2Stream:
        # A server without push opens none itself, so that this is always the client's.
        if stream_id <= self.highest_inbound_stream_id:
            raise StreamIDTooLowError(stream_id, self.highest_inbound_stream_id)
        if stream_id % 2 != allowed_ids:
            raise ProtocolError(f"a client's streams have odd numbers, not {stream_id}")
        self.streams[stream_id] = stream = _ServerStream(
            stream_id,
            config=self.config,
            inbound_window_size=self.local_settings.initial_window_size,
            outbound_window_size=self.remote_settings.initial_window_size,
        )
        stream.max_outbound_frame_size = self.max_outbound_frame_size
        self.highest_inbound_stream_id = stream_id
        return stream

    def _receive_settings_frame(self, frame: SettingsFrame) -> tuple[list[Frame], list[Event]]:
        # h2 keeps what it does not know as well, 65,536 numbers at 700 bytes each.
        frame.settings = {
            code: value for code, value in frame.settings.items() if code in _KNOWN_SETTINGS
        }
        return super()._receive_settings_frame(frame)

    def _receive_rst_stream_frame(self, frame: RstStreamFrame) -> tuple[list[Frame], list[Event]]:
        # h2 takes a stream that it does not know for one that it has forgotten (RFC 9113, 6.4).
        if not self.has_begun(frame.stream_id):
            raise ProtocolError(f"RST_STREAM for the stream {frame.stream_id}, which is idle")
        return super()._receive_rst_stream_frame(frame)

    def _receive_priority_frame(
        self, frame: HeadersFrame | PriorityFrame
    ) -> tuple[list[Frame], list[Event]]:
        event = PriorityUpdated()
        event.stream_id, event.depends_on = frame.stream_id, frame.depends_on
        return [], [event]

    def _receive_naked_continuation(self, frame: ContinuationFrame) -> None:
        # h2 would ask the stream, and ignore it if that has been reset and forgotten.
        raise ProtocolError("CONTINUATION comes without a head that is to go on")

    def head_frames(self, stream_id: int, fields: tuple[Field, ...], *, end_stream: bool) -> bytes:
        """Return the frames of an answer's head: what `send_headers` would queue.

        h2 makes objects of them first, and looks through the fields several times, which takes
        it three times as long. The stream has to be open.
        """
        state = self.streams[stream_id].state_machine
        state.process_input(StreamInputs.SEND_HEADERS)
        if end_stream:
            state.process_input(StreamInputs.SEND_END_STREAM)
        block = self.encoder.encode(fields)
        last = END_STREAM if end_stream else 0
        most = self.max_outbound_frame_size
        self.frames_sent += 1
        if len(block) <= most:
            return write_frame(HEADERS, last | END_HEADERS, stream_id, block)
        frames = [write_frame(HEADERS, last, stream_id, block[:most])]
        for start in range(most, len(block), most):
            flags = END_HEADERS if start + most >= len(block) else 0
            frames.append(write_frame(CONTINUATION, flags, stream_id, block[start : start + most]))
        return b"".join(frames)

    def data_frames(self, stream_id: int, data: memoryview, *, is_cut: bool) -> bytes:
        """Return the frames that carry data, and count it: what `send_data` would queue.

        The stream has to be open, and the windows have to have room. `is_cut` if they have none
        for the rest of it.
        """
        self.streams[stream_id].outbound_flow_control_window -= len(data)
        self.outbound_flow_control_window -= len(data)
        most = self.max_outbound_frame_size
        starts = range(0, len(data), most)
        self.frames_sent += len(starts) - is_cut
        if len(data) <= most:
            return write_frame(DATA, 0, stream_id, data)
        return b"".join(write_frame(DATA, 0, stream_id, data[at : at + most]) for at in starts)

    def return_connection_window(self, size: int) -> None:
        """Let the client send as much again, on whatever streams."""
        if size:
            self.increment_flow_control_window(size)

    def has_begun(self, stream_id: int) -> bool:
        """Tell whether a stream is, or was, the client's: not idle (RFC 9113, 5.1.1)."""
        return stream_id % 2 == 1 and stream_id <= self.highest_inbound_stream_id

    @property
    def within_section(self) -> bool:
        """True between a HEADERS frame and its last CONTINUATION, where nothing else may come."""
        return bool(self.incoming_buffer._headers_buffer)

    @property
    def unfinished_section(self) -> Frame | None:
        """The frame that such a section has begun with."""
        received = self.incoming_buffer._headers_buffer
        return received[0] if received else None

    def purge(self) -> None:
        """Forget closed streams."""
        self._kept_by_purge = super().open_inbound_streams
