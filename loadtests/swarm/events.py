"""One event stream, checked for order, loss, repetition and corruption.

Owns what an event must be (`payload` says how it was published) and which number comes next.
It reads what our server and others write, not all that the standard allows: fields have one
line each, lines end in LF or CRLF.
"""

from __future__ import annotations

from .. import payload
from .findings import Findings, Position, Received

__all__ = ["EventReader"]

GAP = b"event: trio-sse.gap"


class EventReader:
    """Reads one stream. It may start anywhere; from then on each number must come, in order."""

    __slots__ = ("_rest", "_skipped", "_topic", "position")

    def __init__(self, topic: str, position: Position) -> None:
        self.position = position
        self._topic = topic.encode()
        self._rest = b""
        self._skipped: set[int] = set()

    @property
    def between_events(self) -> bool:
        """True if no event is half here."""
        return not self._rest

    def feed(self, data: bytes, found: Findings) -> None:
        """Take the next bytes of the stream and note in `found` what they hold."""
        data = self._rest + data
        if b"\r" in data:
            # A CR at the end may be half of a line end.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n") + held
        *blocks, self._rest = data.split(b"\n\n")
        for block in blocks:
            self._read(block, found)

    def _read(self, block: bytes, found: Findings) -> None:
        id_, data = b"", None
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"data":
                data = value.removeprefix(b" ")
            elif name == b"id":
                id_ = value.removeprefix(b" ")
            elif line == GAP:
                found.faults.append("gap")
                return
        if data is None:
            return
        try:
            content = payload.read(data)
        except ValueError:
            content = None
        if content is None:
            found.faults.append("corrupt")
        elif content.topic != self._topic:
            found.faults.append("misdirected")
        else:
            self._place(Received(content.number, content.published, id_), found)

    def _place(self, event: Received, found: Findings) -> None:
        number = event.number
        last = self.position.number
        if last is not None and number != last + 1:
            if number in self._skipped:
                self._skipped.discard(number)
                found.faults.append("reordered")
                return
            if number <= last:
                found.faults.append("repeated")
                return
            found.faults += ["lost"] * (number - last - 1)
            self._skipped.update(range(last + 1, number))
        self.position = Position(number, event.id)
        found.received.append(event)
