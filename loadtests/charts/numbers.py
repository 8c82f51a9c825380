"""Numbers as people read them: three digits that count, and the unit that suits.

Durations come in microseconds, sizes in bytes. A narrow no-break space would be finer before a
unit, but not every font has one; a plain space does.
"""

from __future__ import annotations

import math
import re

__all__ = ["count", "digits", "duration", "part", "plain", "size"]


def digits(value: float) -> str:
    """Write a number with three digits that count, and no more: 0.227, 10.4, 1,283."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    # What rounds up to the next power of ten has one digit less behind the point.
    places = 2 - math.floor(math.log10(float(f"{abs(value):.2e}")))
    return f"{value:,.{max(0, places)}f}"


def duration(microseconds: float) -> str:
    """Write a time in the unit in which it is at least one: 87.4 µs, 310 ms, 1.28 s, 2.5 min."""
    if abs(microseconds) < 999.5:
        return f"{digits(microseconds)} µs"
    if abs(microseconds) < 999_500:
        return f"{digits(microseconds / 1e3)} ms"
    if abs(microseconds) < 119.5e6:
        return f"{digits(microseconds / 1e6)} s"
    return f"{digits(microseconds / 60e6)} min"


def size(octets: float) -> str:
    """Write a number of bytes in the unit in which it is at least one."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(octets) >= factor * 0.9995:
            return f"{digits(octets / factor)} {unit}"
    return f"{digits(octets)} B"


def count(value: float) -> str:
    """Write how many: all digits up to a million, then three and the word."""
    for word, factor in (("billion", 1e9), ("million", 1e6)):
        if abs(value) >= factor:
            return f"{digits(value / factor)} {word}"
    return f"{value:,.0f}"


def plain(written: str) -> str:
    """Return a round number without the zeros that say nothing, as along an axis: 10 ms, 2.5 s."""
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda found: found[1].rstrip("."), written)


def part(value: float) -> str:
    """Write a part of 1 in per cent, never rounded to none or to all."""
    if 0 < value < 0.001:
        return "under 0.1 %"
    if 0.99 < value < 1:
        return f"{math.floor(value * 1000) / 10:g} %"
    return f"{value * 100:.3g} %"
