"""What a published event's data says, so that whoever receives it can tell what went wrong.

Owns the format: a checksum, the topic, a number that grows by one with each event of the
topic, when it was published, and padding up to a size. bare_loop.c writes the same.
Nothing but the standard library: peers run it in environments of their own.
"""

from __future__ import annotations

import time
import zlib
from typing import NamedTuple

__all__ = ["SIZE", "Payload", "make", "read"]

SIZE = 124
"""Bytes of data in the usual event: with its id and the field names some 150 on the wire."""


class Payload(NamedTuple):
    """What an event's data says."""

    topic: bytes
    number: int
    """Counts the events of the topic."""
    published: int
    """In ns, by the clock of who published: CLOCK_MONOTONIC, which all processes of a machine
    share, or where kernels stamp what they receive CLOCK_REALTIME, as they do."""


def make(topic: str, number: int, size: int = SIZE, at: int | None = None) -> str:
    """Return the data of an event, `size` bytes long (or as short as it gets).

    It is published now, by CLOCK_MONOTONIC, or `at` another moment, in ns: when it was due.
    """
    text = f"{topic} {number} {time.monotonic_ns() if at is None else at} "
    text = text.ljust(size - 9, "x")
    return f"{zlib.crc32(text.encode()):08x} {text}"


def read(data: bytes) -> Payload | None:
    """Return what the data says; None if it is not as it was published."""
    checksum, _, text = data.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    topic, number, published, _ = text.split(b" ", 3)
    return Payload(topic, int(number), int(published))
