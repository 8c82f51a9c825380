"""One event stream, checked for order, loss, repetition and corruption.

Owns what an event must be (`payload` says how it was published) and which number comes next.
What the bytes mean is told by the project's own decoder.
"""

from __future__ import annotations

from trio_sse.event import Decoder, Event

from .. import payload
from .findings import Fault, Findings, Offence, Position, Received

__all__ = ["EventReader"]

GAP = "trio-sse.gap"


class EventReader:
    """Reads one stream. It may start anywhere; from then on each number must come, in order."""

    __slots__ = (
        "_after_gap",
        "_decoder",
        "_id",
        "_number",
        "_retry",
        "_skipped",
        "_stream",
        "_tail",
        "_topic",
    )

    def __init__(self, topic: str, position: Position, stream: int = 0) -> None:
        """`stream` is its place among those of its connection."""
        self._topic = topic
        self._stream = stream
        self._number, self._id, skipped = position
        self._skipped = set(skipped)
        self._after_gap = False
        self._retry: int | None = None
        self._decoder: Decoder | None = None  # most streams are read by comparison only
        self._tail = b"\n\n"

    @property
    def number(self) -> int | None:
        """The number of the last event."""
        return self._number

    @property
    def position(self) -> Position:
        """Where it goes on."""
        return Position(self._number, self._id, frozenset(self._skipped))

    @property
    def at_rest(self) -> bool:
        """True if no event is half here, and the next one may not be just any."""
        return self._tail.endswith((b"\n\n", b"\r\n\r\n")) and not self._after_gap

    def restart(self) -> None:
        """Go on with the stream that continues this one: an unfinished event is no event."""
        self._decoder = None
        self._tail = b"\n\n"

    def feed(self, data: bytes, found: Findings) -> None:
        """Take the next bytes of the stream and note in `found` what they hold."""
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = Decoder()
        for event in decoder.feed(data):
            self._read(event, found)
        self._tail = data[-4:] if len(data) >= 4 else (self._tail + data)[-4:]
        if decoder.last_event_id:
            self._id = decoder.last_event_id.encode()
        if decoder.retry != self._retry:
            self._retry = found.retry = decoder.retry

    def _read(self, event: Event, found: Findings) -> None:
        if event.type == GAP:
            self._after_gap = True
            found.offences.append(Offence("gap", self._stream))
            return
        try:
            content = payload.read((event.data or "").encode())
        except ValueError:
            content = None
        if content is None:
            found.offences.append(Offence("corrupt", self._stream))
        elif content.topic.decode() != self._topic:
            found.offences.append(Offence("misdirected", self._stream))
        else:
            id_ = (event.id or "").encode()
            self._place(Received(content.number, content.published, id_, self._stream), found)

    def _place(self, event: Received, found: Findings) -> None:
        number, last = event.number, self._number
        if last is None:
            found.begun.append(event)
        elif number != last + 1:
            if number in self._skipped:
                self._skipped.discard(number)
                found.offences.append(Offence("reordered", self._stream, number, number))
                return
            if number <= last:
                found.offences.append(Offence("repeated", self._stream, number, number))
                return
            fault: Fault = "skipped" if self._after_gap else "lost"
            found.offences.append(Offence(fault, self._stream, last + 1, number - 1))
            self._skipped.update(range(last + 1, number))
        self._after_gap = False
        self._number = number
        found.received.append(event)
