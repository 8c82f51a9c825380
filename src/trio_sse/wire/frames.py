"""Cuts what an HTTP/2 client sends at its frame borders (RFC 9113, 3.4 and 4.1).

h2 takes bytes and says afterwards what they did. Whoever settles windows with it lazily must
know beforehand which streams a frame concerns, and a frame that is too long must be refused
by its header: h2 first waits for the whole of it, up to 16 MiB. So the cutting is done here,
and h2 is given one whole frame at a time (0.7 µs more a frame than all at once).

Owns: the client's preface, the length limits, the bytes of an unfinished frame. Refuses: a
wrong preface, a first frame that is not SETTINGS, and what is longer than we allow. That comes
out as a `Violation`, and nothing after it. Knows nothing of what is in a frame but padding.
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from h2.errors import ErrorCodes

__all__ = ["MAX_FRAME_SIZE", "Cutter", "Frame", "Violation", "unpadded", "write_frame"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

MAX_FRAME_SIZE = 16_384
"""SETTINGS_MAX_FRAME_SIZE, in bytes: the protocol's initial value and its least. Requests
are small; longer frames would only hold up the others'."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9
ACK = END_STREAM = 1
END_HEADERS = 4
PADDED = 8
WITH_PRIORITY = 0x20

FRAME_HEADER_BYTES = 9

_HEADER = struct.Struct(">HBBBL")


class Frame(NamedTuple):
    """One whole frame: its type, flags and stream, and the bytes of it, header included."""

    kind: int
    flags: int
    stream_id: int
    whole: bytes


class Violation(NamedTuple):
    """What ends the connection, and the error code for the GOAWAY that says so."""

    code: ErrorCodes
    reason: str


def write_frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview) -> bytes:
    """Return the bytes of a frame."""
    length = len(payload)
    return b"".join((_HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id), payload))


def unpadded(frame: Frame) -> Frame | Violation:
    """Return HEADERS without their padding (RFC 9113, 6.2).

    hyperframe counts the priority as fields, so that padding could reach into it, and refuses
    padding that is followed by nothing, which is allowed.
    """
    payload = frame.whole[FRAME_HEADER_BYTES:]
    room = len(payload) - (6 if frame.flags & WITH_PRIORITY else 1)
    if room < 0:
        reason = "HEADERS are too short for their padding and priority"
        return Violation(ErrorCodes.FRAME_SIZE_ERROR, reason)
    if payload[0] > room:
        return Violation(ErrorCodes.PROTOCOL_ERROR, "HEADERS have more padding than they are long")
    flags = frame.flags & ~PADDED
    rest = payload[1 : len(payload) - payload[0]]
    whole = write_frame(frame.kind, flags, frame.stream_id, rest)
    return Frame(frame.kind, flags, frame.stream_id, whole)


class Cutter:
    """Bytes in, frames out. Holds at most one unfinished frame: 16 KiB and its header."""

    __slots__ = ("_expects", "_longest_section", "_partial", "_section")

    def __init__(self, *, max_section_bytes: int) -> None:
        self._longest_section = max_section_bytes
        self._section = 0
        self._partial = b""
        self._expects: Literal["preface", "settings", "frames", "nothing"] = "preface"

    @property
    def has_begun(self) -> bool:
        """Whether the first frame has come."""
        return self._expects in ("frames", "nothing")

    def cut(self, data: bytes) -> list[Frame | Violation]:
        """Return the frames that are whole now; the rest of `data` is kept for the next call."""
        data = self._partial + data
        found: list[Frame | Violation] = []
        at = self._skip_preface(data, found)
        while self._expects in ("settings", "frames") and len(data) - at >= _HEADER.size:
            high, low, kind, flags, stream_id = _HEADER.unpack_from(data, at)
            length = high << 8 | low
            violation = self._violation(kind, flags, length)
            if violation is not None:
                self._refuse(found, violation)
            elif len(data) - at < _HEADER.size + length:
                break
            else:
                self._expects = "frames"
                self._section = length + (self._section if kind == CONTINUATION else 0)
                whole = data[at : at + _HEADER.size + length]
                # The highest bit is reserved and ignored (RFC 9113, 4.1).
                found.append(Frame(kind, flags, stream_id & 0x7FFF_FFFF, whole))
                at += len(whole)
        self._partial = data[at:] if self._expects != "nothing" else b""
        return found

    def _violation(self, kind: int, flags: int, length: int) -> Violation | None:
        if self._expects == "settings" and (kind != SETTINGS or flags & ACK):
            return Violation(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if length > MAX_FRAME_SIZE:
            reason = f"a frame of {length} bytes is longer than the {MAX_FRAME_SIZE} allowed"
            return Violation(ErrorCodes.FRAME_SIZE_ERROR, reason)
        if kind == SETTINGS and flags & ACK and length:
            # RFC 9113, 6.5; h2 calls it a PROTOCOL_ERROR.
            reason = f"a SETTINGS acknowledgement has {length} bytes and must have none"
            return Violation(ErrorCodes.FRAME_SIZE_ERROR, reason)
        if kind == CONTINUATION and self._section + length > self._longest_section:
            # h2 allows 64 frames, a megabyte, and the time to decode it grows with its square.
            reason = f"a field section is longer than the {self._longest_section} bytes allowed"
            return Violation(ErrorCodes.ENHANCE_YOUR_CALM, reason)
        return None

    def _skip_preface(self, data: bytes, found: list[Frame | Violation]) -> int:
        """Return where the frames begin in `data`."""
        if self._expects != "preface":
            return 0
        if not PREFACE.startswith(data[: len(PREFACE)]):
            reason = "this is not HTTP/2's preface"
            self._refuse(found, Violation(ErrorCodes.PROTOCOL_ERROR, reason))
        elif len(data) >= len(PREFACE):
            self._expects = "settings"
            return len(PREFACE)
        return 0

    def _refuse(self, found: list[Frame | Violation], violation: Violation) -> None:
        found.append(violation)
        self._expects = "nothing"
