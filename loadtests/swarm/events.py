"""One event stream, checked for order, loss, repetition and corruption.

Owns what an event must be (`payload` says how it was published) and which number comes next.
What the bytes mean is told by the project's own decoder. It is asked once: streams that stand
at one event and are sent the same bytes receive the same.
"""

from __future__ import annotations

from typing import NamedTuple

from trio_sse.event import Decoder, Event

from .. import payload
from .findings import Fault, Findings, Offence, Position, Received

__all__ = ["EventReader", "Known"]

GAP = "trio-sse.gap"

ENDS = (b"\n\n", b"\r\n\r\n")
"""Of an event."""


class Outcome(NamedTuple):
    """What whole events turned out to be, if there was nothing wrong with them."""

    number: int | None
    """Of the last event."""
    id: bytes
    """The last event id; b"" if there was none."""
    events: tuple[Received, ...]
    retry: int | None


class Known(dict[tuple[str, int | None, bytes], Outcome]):
    """What came of bytes, by the stream's topic and the number of the event before them."""

    MOST = 512
    """How many outcomes are kept: those of the last events."""

    def keep(self, topic: str, number: int | None, data: bytes, outcome: Outcome) -> None:
        if len(self) >= self.MOST:
            self.clear()
        self[topic, number, data] = outcome


class EventReader:
    """Reads one stream. It may start anywhere; from then on each number must come, in order."""

    __slots__ = (
        "_after_gap",
        "_decoder",
        "_id",
        "_known",
        "_retry",
        "_skipped",
        "_stream",
        "_tail",
        "_topic",
        "number",
    )

    def __init__(self, topic: str, position: Position, stream: int, known: Known) -> None:
        """`stream` is its place among those of its connection."""
        self._topic = topic
        self._stream = stream
        self._known = known
        self.number, self._id, skipped = position
        """The number of the last event."""
        self._skipped = set(skipped)
        self._after_gap = False
        self._retry: int | None = None
        self._decoder: Decoder | None = None
        """What has begun to read an event that is not complete."""
        self._tail = b""

    @property
    def position(self) -> Position:
        """Where it goes on."""
        return Position(self.number, self._id, self.skipped)

    @property
    def skipped(self) -> frozenset[int]:
        """Numbers before the last event that have not turned up."""
        return frozenset(self._skipped)

    @property
    def at_rest(self) -> bool:
        """True if no event is half here, and the next one may not be just any."""
        return self._decoder is None and not self._after_gap

    def restart(self) -> None:
        """Go on with the stream that continues this one: an unfinished event is no event."""
        self._decoder = None

    def feed(self, data: bytes, found: Findings) -> None:
        """Take the next bytes of the stream and note in `found` what they hold."""
        if self._decoder is None and not (self._skipped or self._after_gap):
            outcome = self._known.get((self._topic, self.number, data))
            if outcome is None:
                self._understand(data, found, keep=True)
            else:
                self._take_over(outcome, found)
        else:
            self._understand(data, found, keep=False)

    def _take_over(self, outcome: Outcome, found: Findings) -> None:
        number, id_, events, retry = outcome
        if events:
            if self.number is None:
                found.begun.append(events[0].number)
            found.received.append((self._stream, events))
        self.number = number
        if id_:
            self._id = id_
        if retry is not None and retry != self._retry:
            self._retry = found.retry = retry

    def _understand(self, data: bytes, found: Findings, *, keep: bool) -> None:
        decoder = self._decoder
        if decoder is None:
            decoder, self._tail = Decoder(), b""
        before, offences = self.number, len(found.offences)
        received: list[Received] = []
        for event in decoder.feed(data):
            self._read(event, received, found)
        events = tuple(received)
        found.learned += received
        self._tail = data[-4:] if len(data) >= 4 else (self._tail + data)[-4:]
        self._decoder = None if self._tail.endswith(ENDS) else decoder
        # Who takes it over begins from the number before it, too.
        self.number = before
        outcome = Outcome(
            received[-1].number if received else before,
            decoder.last_event_id.encode(),
            events,
            decoder.retry,
        )
        self._take_over(outcome, found)
        if keep and self.at_rest and len(found.offences) == offences:
            self._known.keep(self._topic, before, data, outcome)

    def _read(self, event: Event, received: list[Received], found: Findings) -> None:
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
            id_ = (event.id or "").encode() or self._id
            self._place(Received(content.number, content.published, id_), received, found)

    def _place(self, event: Received, received: list[Received], found: Findings) -> None:
        number, last = event.number, self.number
        if last is not None and number != last + 1:
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
        self.number = number
        received.append(event)
