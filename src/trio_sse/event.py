"""Events: what they are, how they look on the wire, and how a client reads them back.

Owns the text/event-stream format, both ways, by WHATWG HTML 9.2.5 (parsing) and 9.2.6
(interpreting).

Rules: pure values and bytes, no I/O, no clock, no Trio: load clients run this under gevent.
An `Event` is checked where it is made, so that `encode` cannot fail and nothing a publisher
passes can smuggle in a field. The decoder forgives whatever the standard forgives: only its
own bound on memory raises.

Refuses: an id or type that would break out of its line, text that has no UTF-8 form.
"""

from __future__ import annotations

import json as _json
import re
import sys
from dataclasses import KW_ONLY, dataclass

__all__ = ["Decoder", "Event", "EventTooLarge", "InvalidEvent", "encode", "encode_comment"]

DEFAULT_TYPE = "message"
"""The type that an event without an `event:` field is dispatched with (WHATWG HTML, 9.2.6)."""

RETRY_DIGITS = 18
"""Milliseconds of more digits do not fit into 64 bits: Chromium ignores them, and Python's int()
refuses to read thousands of them."""

_BREAKS_OUT = re.compile("[\r\n\0]")
_NAMES = {"\r": "a carriage return", "\n": "a line feed", "\0": "a NUL"}
_BOM = b"\xef\xbb\xbf"


class InvalidEvent(ValueError):
    """An event that cannot be written as a valid event stream; the sentence says which part."""


class EventTooLarge(ValueError):
    """An event is larger than the bound that was set for it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, for every client alike. Raises InvalidEvent if it could not be sent.

    A browser dispatches it to the listeners of its `type`, unless `data` is None.
    """

    data: str | None = None
    """Any text; CR, LF and CRLF all arrive as LF. None: no data, so a browser dispatches
    nothing, but takes the id and the retry. "": empty data, which is dispatched."""
    _: KW_ONLY
    type: str = DEFAULT_TYPE
    id: str | None = None
    """What a reconnecting client sends as Last-Event-ID. "" makes the client forget its own."""
    retry: int | None = None
    """Milliseconds that the client waits before it reconnects, from now on."""
    comment: str | None = None
    """Text that browsers skip, for people who watch the wire."""

    def __post_init__(self) -> None:
        if self.data is not None:
            _check_text("data", self.data)
        if self.type != DEFAULT_TYPE:
            _check_line("type", self.type)
            if not self.type:
                # A client reads an empty `event:` field as the default type (9.2.6).
                raise InvalidEvent("event type is empty: name it, or leave it out for 'message'")
        if self.id is not None:
            _check_line("id", self.id)
        if self.comment is not None:
            _check_text("comment", self.comment)
        if self.retry is not None:
            _check_retry(self.retry)

    @classmethod
    def json(
        cls,
        value: object,
        *,
        type: str = DEFAULT_TYPE,  # noqa: A002 - the field's name
        id: str | None = None,  # noqa: A002 - the field's name
        retry: int | None = None,
    ) -> Event:
        """Make an event whose data is `value` as compact JSON, which JSON.parse reads.

        Raises InvalidEvent if `value` has no JSON form; NaN and the infinities have none.
        """
        try:
            data = _json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise InvalidEvent(f"event data cannot be written as JSON: {error}") from None
        return cls(data, type=type, id=id, retry=retry)


def encode(event: Event) -> bytes:
    """Return the event as a client reads it: its fields, a line each, and a blank line."""
    # Joined with +, which takes the characters of a str enum; formatting would take its name.
    text = ""
    if event.comment is not None:
        text += _comment_lines(event.comment)
    if event.id is not None:
        text += "id: " + event.id + "\n"
    if event.type != DEFAULT_TYPE:
        text += "event: " + event.type + "\n"
    if event.retry is not None:
        text += f"retry: {event.retry:d}\n"
    if event.data is not None:
        # The space is always written: a client strips one, so that a space of the data's own
        # survives behind it.
        text += "data: " + _line_feeds(event.data).replace("\n", "\ndata: ") + "\n"
    return (text + "\n").encode()


def encode_comment(text: str = "") -> bytes:
    """Return a comment and a blank line; without text the shortest thing that can be sent.

    Raises InvalidEvent if `text` has no UTF-8 form.
    """
    _check_text("comment", text)
    return (_comment_lines(text) + "\n").encode()


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


def _comment_lines(text: str) -> str:
    return ": " + _line_feeds(text).replace("\n", "\n: ") + "\n" if text else ":\n"


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidEvent(f"event {name} must be a str, not {value.__class__.__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidEvent(
            f"event {name} has a lone surrogate at character {error.start}, which has no UTF-8 form"
        ) from None


def _check_line(name: str, value: str) -> None:
    _check_text(name, value)
    if found := _BREAKS_OUT.search(value):
        raise InvalidEvent(
            f"event {name} has {_NAMES[found[0]]} at character {found.start()}, "
            "which would end the field or make clients ignore it"
        )


def _check_retry(retry: object) -> None:
    # bool is an int to Python, but `retry: True` is nothing to a client.
    if not isinstance(retry, int) or isinstance(retry, bool):
        raise InvalidEvent(f"event retry must be an int, not {retry.__class__.__name__}")
    if not 0 <= retry < 10**RETRY_DIGITS:
        raise InvalidEvent(
            f"event retry must be 0 or more milliseconds, at most {RETRY_DIGITS} digits"
        )
