"""Requests whose bodies are still on their way, over HTTP/2.

Owns the two bounds on them: a body may be as long as the limit says, and all that one
connection is sending at a time as long as a few such bodies. Bytes are acknowledged to the
client as they come, whatever becomes of them, so these bounds are all there is between a
client and our memory: flow control would stall the other uploads on the same connection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from ..message import Request

__all__ = ["Overrun", "Uploads"]

_BODIES = 4
"""Bodies of the greatest length that one connection may be sending at the same time. Those
who send any are publishers, with one small body after the other; a body for each of 256
streams, 1 MiB each, would be a hoard."""


class Overrun(Enum):
    """Which bound was passed: what the client said, or what we allow."""

    DECLARED = auto()
    BODY = auto()
    CONNECTION = auto()


@dataclass(slots=True)
class _Upload:
    request: Request
    body: bytearray
    declared: int | None
    """What its Content-Length says."""
    pieces: int = 0
    """The frames in which it came so far."""
    since: float | None = None
    """When it was first looked at."""


class Uploads:
    """The unfinished requests of one connection, by stream id."""

    __slots__ = ("_held", "_most", "_uploads")

    def __init__(self, max_body_bytes: int) -> None:
        self._most = max_body_bytes
        self._held = 0
        self._uploads: dict[int, _Upload] = {}

    def begin(self, stream_id: int, request: Request) -> None:
        """Wait for the body of a request."""
        length = request.headers.get("content-length")
        declared = None if length is None else int(length)
        self._uploads[stream_id] = _Upload(request, bytearray(), declared)

    def add(self, stream_id: int, data: bytes) -> Overrun | None:
        """Take a piece of a body that is awaited. After an overrun the upload is dropped."""
        upload = self._uploads[stream_id]
        upload.body += data
        upload.pieces += 1
        self._held += len(data)
        overrun = None
        if upload.declared is not None and len(upload.body) > upload.declared:
            overrun = Overrun.DECLARED
        elif len(upload.body) > self._most:
            overrun = Overrun.BODY
        elif self._held > _BODIES * self._most:
            overrun = Overrun.CONNECTION
        if overrun is not None:
            self.drop(stream_id)
        return overrun

    def pieces(self, stream_id: int) -> int | None:
        """Return in how many frames a body has come so far, or None if none is awaited."""
        upload = self._uploads.get(stream_id)
        return None if upload is None else upload.pieces

    def falls_short(self, stream_id: int) -> bool:
        """Tell whether a body that is awaited is not yet as long as its Content-Length says."""
        upload = self._uploads.get(stream_id)
        return upload is not None and len(upload.body) < (upload.declared or 0)

    def complete(self, stream_id: int) -> Request | None:
        """Return the request with its body, or None if none was awaited."""
        upload = self._uploads.get(stream_id)
        if upload is None:
            return None
        self.drop(stream_id)
        return replace(upload.request, body=bytes(upload.body))

    def drop(self, stream_id: int) -> bool:
        """Forget an upload; False if there was none."""
        upload = self._uploads.pop(stream_id, None)
        if upload is not None:
            self._held -= len(upload.body)
        return upload is not None

    def clear(self) -> None:
        """Forget all uploads."""
        self._uploads.clear()
        self._held = 0

    def overdue(self, now: float, patience: float) -> list[int]:
        """Drop the uploads that have not ended `patience` seconds after they were first seen
        here, and return their streams. `now` is in seconds by any clock; to be called often.
        """
        overdue = []
        for stream_id, upload in self._uploads.items():
            if upload.since is None:
                upload.since = now
            elif now - upload.since >= patience:
                overdue.append(stream_id)
        for stream_id in overdue:
            self.drop(stream_id)
        return overdue

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._uploads

    def __len__(self) -> int:
        return len(self._uploads)
