"""What a published event's data says, so that whoever receives it can tell what went wrong.

Owns the format: a checksum, the topic, a number that grows by one with each event of the
topic, when it was published, and padding up to a size. bare_loop.c writes the same.
Nothing but the standard library: peers run it in environments of their own.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from functools import cache
from typing import NamedTuple

__all__ = ["SIZE", "Payload", "make", "quotes", "read"]

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


def make(
    topic: str, number: int, size: int = SIZE, at: int | None = None, padding: str = ""
) -> str:
    """Return the data of an event, `size` bytes long (or as short as it gets).

    It is filled with x, or with what `padding` has from some place on, so that no two are alike.

    It is published now, by CLOCK_MONOTONIC, or `at` another moment, in ns: when it was due.
    """
    text = f"{topic} {number} {time.monotonic_ns() if at is None else at} "
    if padding:
        missing = max(0, size - 9 - len(text))
        start = number * 997 % max(1, len(padding) - missing)
        text += padding[start : start + missing]
    text = text.ljust(size - 9, "x")
    return f"{zlib.crc32(text.encode()):08x} {text}"


@cache
def quotes() -> str:
    """Return 60 KiB of prices as JSON, always the same: they compress as programs' data do."""
    chance = random.Random(1)
    rows: list[dict[str, object]] = []
    while len(rows) < 700:
        bid = chance.uniform(1, 500)
        rows.append(
            {
                "symbol": "".join(chance.choices("ABCDEFGHIKLMNOPQRSTUVW", k=4)),
                "bid": round(bid, 2),
                "ask": round(bid * chance.uniform(1.001, 1.01), 2),
                "volume": chance.randrange(1_000_000),
                "venue": chance.choice(("XETR", "XLON", "XPAR", "XNYS")),
            }
        )
    return json.dumps(rows)


def read(data: bytes) -> Payload | None:
    """Return what the data says; None if it is not as it was published."""
    checksum, _, text = data.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    topic, number, published, _ = text.split(b" ", 3)
    return Payload(topic, int(number), int(published))
