"""Events: what they are, and how they look on the wire.

An `Event` is checked where it is made, so that `encode` cannot fail and nothing a publisher
passes can smuggle in a field (WHATWG HTML, 9.2.5).

Refuses: an id or type that would break out of its line, text that has no UTF-8 form.
"""

from __future__ import annotations

import json as _json
import re
from dataclasses import KW_ONLY, dataclass

__all__ = [
    "DEFAULT_TYPE",
    "RETRY_DIGITS",
    "Event",
    "EventTooLarge",
    "InvalidEvent",
    "encode",
    "encode_comment",
]

DEFAULT_TYPE = "message"
"""The type that an event without an `event:` field is dispatched with (WHATWG HTML, 9.2.6)."""

RETRY_DIGITS = 18
"""Milliseconds of more digits do not fit into 64 bits: Chromium ignores them, and Python's int()
refuses to read thousands of them."""

_BREAKS_OUT = re.compile("[\r\n\0]")
_NAMES = {"\r": "a carriage return", "\n": "a line feed", "\0": "a NUL"}


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
