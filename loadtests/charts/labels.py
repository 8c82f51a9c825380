"""Words among marks: how wide they are, where a line breaks, and how labels keep apart.

Which font a reader has is not known, so widths are those of DejaVu Sans, the widest of the usual
ones: what does not overlap there does not anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["bound", "line_height", "spread", "width_of", "wrapped"]

_NARROW = "ijl.,:;'|!I()[]ft r·\u00a0"
_WIDE = "mwMWOQ@%→"


def width_of(words: str, size: float, *, bold: bool = False) -> float:
    """Return how many px a line takes at most."""
    ems = sum(0.4 if c in _NARROW else 0.95 if c in _WIDE else 0.64 for c in words)
    return ems * size * (1.11 if bold else 1.0)


_UNIT = re.compile(r"(?<=\d) (?=(?:µs|ms|s|min|B|KiB|MiB|GiB|%|million|billion)(?:\W|$))")


def bound(words: str) -> str:
    """Return words in which a number and its unit stay on one line."""
    return _UNIT.sub("\u00a0", words)


def line_height(size: float) -> float:
    """Return how far base lines are apart."""
    return round(size * 1.35)


def wrapped(words: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """Break words into lines that fit; a word that is too long has a line of its own."""
    lines: list[str] = []
    for word in bound(words).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, bold=bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart until each has its gap, as little as possible, in their order.

    Those that meet become a block that lies around where its members want to be.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[float, list[int]]] = []  # where it begins, who is in it

    def begin(members: list[int]) -> float:
        ideal = sum(wanted[m] - gap * n for n, m in enumerate(members)) / len(members)
        return max(low, min(ideal, high - gap * (len(members) - 1)))

    for index in order:
        members = [index]
        start = begin(members)
        while blocks and blocks[-1][0] + gap * len(blocks[-1][1]) > start:
            members = blocks.pop()[1] + members
            start = begin(members)
        blocks.append((start, members))
    placed = [0.0] * len(wanted)
    for start, members in blocks:
        for number, member in enumerate(members):
            placed[member] = start + gap * number
    return placed
