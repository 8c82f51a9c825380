"""What a reader of the log is sent: the events it has found, after a gap if some are lost."""

from __future__ import annotations

from ..event import Event, encode
from ..log import Reading

__all__ = ["GAP_TYPE", "encoded", "gap"]

GAP_TYPE = "trio-sse.gap"
"""The type of the event that says: what you asked for is no longer all there. Its data is
JSON, `{"lost": n}`: at most n events over all topics, or null where that is not known."""


def gap(lost: int | None) -> Event:
    """Return the event that says how many events are lost at most; None if nobody knows."""
    return Event.json({"lost": lost}, type=GAP_TYPE)


def encoded(reading: Reading, cursor: int, first: int) -> bytes:
    """Return what `reading` has for one who stood at `cursor` when the log's first was `first`.

    `cursor` may be after the place from which it was read.
    """
    parts = [entry.encoded for entry in reading.entries if entry.position >= cursor]
    if cursor < first:
        parts.insert(0, encode(gap(first - cursor)))
    return b"".join(parts)
