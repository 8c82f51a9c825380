"""Points of several kinds along one axis, a row for each thing: from the first to the last.

Each row says its values in words above it, so the axis is for comparing, not for reading off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .labels import width_of, wrapped
from .paper import PLAIN, Drawing, Look, Paper
from .scales import Scale

__all__ = ["Point", "Span", "Spans"]

MARGIN = 16.0
INSET = 12.0


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and what it is."""

    name: str
    value: float
    written: str


@dataclass(frozen=True, slots=True)
class Span:
    """A row. One without points says why it has none."""

    name: str
    points: Sequence[Point]
    look: Look = PLAIN
    missing: str = ""
    warn: bool = False


@dataclass(frozen=True, slots=True)
class Spans:
    """The chart; every row has the same kinds of points in the same order."""

    title: str
    subtitle: str
    scale: Scale
    caption: str
    spans: Sequence[Span]

    def draw(self, width: float) -> Drawing:
        paper = Paper(width)
        y = paper.heading(self.title, self.subtitle, MARGIN) + 4
        kinds = next((span.points for span in self.spans if span.points), ())
        y = self._key(paper, [point.name for point in kinds], y)
        left, right = MARGIN + INSET, width - MARGIN - INSET
        top, rows, at = y + 6, len(paper.parts), y + 6

        def place(value: float) -> float:
            return left + self.scale.at(value) * (right - left)

        for span in self.spans:
            for line in wrapped(span.name, width - 2 * MARGIN, 12):
                at += 17
                paper.text(MARGIN, at, line, bold=True)
            said = span.missing or "\u00a0· ".join(f"{p.name} {p.written}" for p in span.points)
            for line in wrapped(said, width - 2 * MARGIN, 12):
                at += 16
                paper.text(MARGIN, at, line, style="warn" if span.warn else "soft")
            if span.points:
                at += 14
                ends = [place(point.value) for point in span.points]
                paper.line([(min(ends), at), (max(ends), at)], span.look)
                # Who is last is drawn first, so that what comes before it is not hidden.
                for shape, point in reversed(list(enumerate(span.points))):
                    look = Look(span.look.hue, dashed=shape % 2 == 1)
                    hover = f"{span.name}: {point.name} {point.written}"
                    paper.marker(place(point.value), at, look, hover, shape=shape)
                at += 8
            at += 5
        hairs = Paper(width)
        free = -1e9
        y = at + 18
        for value, words in self.scale.ticks(right - left):
            x = place(value)
            hairs.path(f"M{x:.1f} {top:.1f}V{at + 2:.1f}", "hair")
            half = width_of(words, 12) / 2
            x = max(half + 4, min(x, width - half - 4))
            if x - half > free:
                paper.text(x, y, words, anchor="middle", style="soft")
                free = x + half + 6
        paper.parts[rows:rows] = hairs.parts
        for words in wrapped(self.caption, width - 2 * MARGIN, 12):
            y += 17
            paper.text(width - MARGIN, y, words, anchor="end", style="soft")
        return paper.drawing(y + 12, self.title)

    def _key(self, paper: Paper, names: Sequence[str], y: float) -> float:
        x = MARGIN + 4
        for shape, name in enumerate(names):
            taken = 12 + width_of(name, 12) + 20
            if x > MARGIN + 4 and x + taken - 20 > paper.width - MARGIN:
                x, y = MARGIN + 4, y + 19
            paper.marker(x, y + 10, Look(7, dashed=shape % 2 == 1), shape=shape)
            paper.text(x + 10, y + 14, name, style="soft")
            x += taken
        return y + 22 if names else y
