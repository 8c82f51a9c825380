"""Bars that lie, one below the other, each with its name above it and its value at its end.

The axis begins at zero: a bar that is twice as long is twice as much. What has no value says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .labels import width_of, wrapped
from .paper import PLAIN, Drawing, Look, Paper

__all__ = ["Bar", "Bars"]

MARGIN = 16.0
THICK = 16.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A name, and parts that add up; the first is solid, the others are light."""

    name: str
    parts: Sequence[float]
    written: str
    """The value as it stands at the bar's end; or, without parts, why there is none."""
    look: Look = PLAIN
    warn: bool = False
    """What is written is a warning."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The chart."""

    title: str
    subtitle: str
    bars: Sequence[Bar] = field(default=())

    def draw(self, width: float) -> Drawing:
        paper = Paper(width)
        y = paper.heading(self.title, self.subtitle, MARGIN) + 4
        longest = max((sum(bar.parts) for bar in self.bars), default=0.0)
        words = max((width_of(b.written, 12, bold=True) for b in self.bars if b.parts), default=0)
        # Where words at the end leave no room for bars, they stand above, behind the name.
        beside = words < width * 0.45
        room = width - 2 * MARGIN - (words + 10 if beside else 0)
        for bar in self.bars:
            for line in wrapped(bar.name, width - 2 * MARGIN, 12):
                y += 17
                paper.text(MARGIN, y, line)
            if not bar.parts or not beside:
                style = "warn" if bar.warn else "soft"
                for line in wrapped(bar.written, width - 2 * MARGIN, 12, bold=True):
                    y += 16
                    paper.text(MARGIN, y, line, style=style, bold=bool(bar.parts))
            if bar.parts:
                y += 5
                x = self._draw(paper, bar, y, room / longest if longest else 0.0)
                if beside:
                    paper.text(x + 7, y + THICK - 4, bar.written, bold=True)
                y += THICK
            y += 7
        return paper.drawing(y + 10, self.title)

    def _draw(self, paper: Paper, bar: Bar, y: float, scale: float) -> float:
        x = MARGIN
        for number, part in enumerate(bar.parts):
            # Even the shortest is to be seen.
            long = max(part * scale, 1.5)
            style = "light" if number else "full"
            paper.parts.append(f'<g class="k{bar.look.hue}">')
            hover = f"{bar.name}: {bar.written}"
            paper.path(f"M{x:.1f} {y:.1f}h{long:.1f}v{THICK:g}h{-long:.1f}z", style, hover)
            paper.parts.append("</g>")
            x += long
        return x
