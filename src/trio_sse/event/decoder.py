"""How a client reads events back from the wire, by WHATWG HTML 9.2.5 (parsing) and 9.2.6
(interpreting).

Forgives whatever the standard forgives: only its own bound on memory raises.
"""

from __future__ import annotations

import sys

from .event import DEFAULT_TYPE, RETRY_DIGITS, Event, EventTooLarge

__all__ = ["Decoder"]

_BOM = b"\xef\xbb\xbf"


class Decoder:
    """Reads one event stream, in pieces of any size, as a browser does (WHATWG HTML, 9.2.6).

    It works on bytes: no byte of a multi-byte UTF-8 sequence looks like a line end or a colon,
    so that only what is kept needs decoding, and a sequence cut by `feed` needs no care.
    """

    last_event_id: str
    """What to send as Last-Event-ID when reconnecting; "" if there is nothing to send."""

    retry: int | None
    """Milliseconds to wait before reconnecting, if the server has said so."""

    def __init__(self, *, max_event_bytes: int | None = None) -> None:
        """Bound a line, and the data of an event, to `max_event_bytes`; None trusts the server."""
        self.last_event_id = ""
        self.retry = None
        self._limit = sys.maxsize if max_event_bytes is None else max_event_bytes
        self._failure: str | None = None
        self._at_start = True
        self._after_cr = False
        self._line = bytearray()  # a line that has not ended yet
        # The standard's three buffers. The id's is the only one that an event leaves filled.
        self._data = bytearray()
        self._type = ""
        self._id = ""

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Never waits for the byte after a line end.

        `id` is the last event id as of then, or None if there is none. Invalid UTF-8 becomes
        U+FFFD. An unfinished event at the end of the stream is no event.

        Raises EventTooLarge where the bound is passed, and from then on always. Events that
        were complete before that are returned first, and the next call raises.
        """
        events = [] if self._failure else self._interpret(self._complete_lines(data))
        if self._failure and not events:
            raise EventTooLarge(self._failure)
        return events

    def _complete_lines(self, data: bytes) -> list[bytes]:
        """Return the lines that end within `data`, without their ends (WHATWG HTML, 9.2.5)."""
        if data and self._after_cr:
            # A CR ended its line at once; a LF that turns up behind it belongs to that end.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        self._line += rest
        for number, line in enumerate((*lines, self._line)):
            if len(line) > self._limit:
                self._fail("a line")
                del lines[number:]
                break
        if lines and self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def _interpret(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            # No colon: the whole line is the name. A comment is a line whose name is empty.
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data += value
                self._data += b"\n"
                if len(self._data) > self._limit:
                    self._fail("an event's data")
                    break
            elif name == b"id":
                if b"\0" not in value:
                    self._id = value.decode(errors="replace")
            elif name == b"event":
                self._type = value.decode(errors="replace")
            elif name == b"retry" and value.isdigit() and len(value) <= RETRY_DIGITS:
                self.retry = int(value)
        return events

    def _dispatch(self, events: list[Event]) -> None:
        self.last_event_id = self._id
        if self._data:
            text = self._data[:-1].decode(errors="replace")
            events.append(_received(text, self._type or DEFAULT_TYPE, self._id or None))
            self._data.clear()
        self._type = ""

    def _fail(self, what: str) -> None:
        self._failure = f"{what} is larger than the {self._limit} bytes allowed for an event"


def _received(data: str, type_: str, id_: str | None) -> Event:
    # Not checked: it has been decoded, so it is text, and the standard lets a server send the
    # one thing that an Event's maker may not pass, a NUL in the type.
    event = object.__new__(Event)
    set_field = object.__setattr__
    set_field(event, "data", data)
    set_field(event, "type", type_)
    set_field(event, "id", id_)
    set_field(event, "retry", None)
    set_field(event, "comment", None)
    return event
