"""Durations counted in bins, as HdrHistogram has them: exact to merge, and cheap to fill.

A bin is as wide as the duration's last significant bit: with 11 bits these are the very bins of
an HdrHistogram of three digits, with 8 a duration is known to 0.4 %. Durations are in µs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

__all__ = ["FINE", "Bins", "encoded", "index"]

FINE = 11
"""Significant bits of HdrHistogram's three digits."""

LONGEST = 3_600_000_000
"""What is longer than an hour counts as an hour."""


def index(us: int, bits: int) -> int:
    """Return the bin of a duration of 0 µs or more."""
    shift = us.bit_length() - bits
    return us if shift <= 0 else (shift << (bits - 1)) + (us >> shift)


class Bins:
    """How many durations are in each bin."""

    __slots__ = ("bits", "counts")

    def __init__(self, bits: int = FINE) -> None:
        self.bits = bits
        size = index(LONGEST, bits) + 1
        self.counts = array("Q" if bits == FINE else "L", bytes(8 * size))

    def add(self, us: int, number: int = 1) -> None:
        """Count a duration so many times."""
        self.counts[index(min(max(us, 0), LONGEST), self.bits)] += number

    def filled(self) -> list[int]:
        """Return index and count of each bin that is not empty, one after the other."""
        found: list[int] = []
        for at, number in enumerate(self.counts):
            if number:
                found += (at, number)
        return found

    def merge(self, filled: Iterable[int]) -> None:
        """Add what another has `filled`."""
        pairs = iter(filled)
        for at, number in zip(pairs, pairs, strict=True):
            self.counts[at] += number

    def median(self) -> float:
        """Return the middle of the bin of the middle one; 0.0 if there is none."""
        wanted = (sum(self.counts) + 1) // 2
        for at, number in enumerate(self.counts):
            wanted -= number
            if number and wanted <= 0:
                low, width = _bin(at, self.bits)
                return low + (width - 1) / 2
        return 0.0

    def values(self) -> Iterator[tuple[int, int]]:
        """Yield the lowest duration of each bin that is not empty, and its count."""
        for at, number in enumerate(self.counts):
            if number:
                yield _bin(at, self.bits)[0], number


def encoded(bins: Bins) -> str | None:
    """Return them as an HdrHistogram of three digits, in base64; None if there are none."""
    histogram = HdrHistogram(1, LONGEST, 3)
    for us, number in bins.values():
        histogram.record_value(max(us, 1), number)
    return str(histogram.encode().decode()) if histogram.get_total_count() else None


def _bin(at: int, bits: int) -> tuple[int, int]:
    """Return the lowest duration of a bin, and how many there are in it."""
    half = 1 << (bits - 1)
    shift = max(0, at // half - 1)
    return (at - shift * half) << shift, 1 << shift
