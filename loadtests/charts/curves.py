"""Lines over an axis, in panels one above the other that share it.

Each panel has one unit, said above it. Lines are named at their ends where there is room, and
else in a key above, with the sample of the line and its marker. Marks across all panels say what
was done when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .labels import spread, width_of, wrapped
from .paper import PLAIN, Drawing, Look, Paper
from .scales import Scale

__all__ = ["Curves", "Line", "Mark", "Panel"]

MARGIN = 16.0
ROOMY = 560.0
"""From this width on, lines are named at their ends."""
MOST_MARKERS = 14
SMALL = 12.0
GAP = 15.0
DENSER = 2.5
"""How much closer values may stand along the height than along the width, where words are long."""
SAMPLE = 34.0
"""px for a leader and the marker before a name at a line's end."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line and its name."""

    name: str
    points: Sequence[tuple[float, float]]
    look: Look = PLAIN
    stepped: bool = False
    """Drawn as steps: what counts for the time until the next point."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share a unit, which the caption says."""

    caption: str
    scale: Scale
    lines: Sequence[Line]
    height: float = 190.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at a value of the shared axis."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The chart."""

    title: str
    subtitle: str
    across: Scale
    across_caption: str
    panels: Sequence[Panel]
    marks: Sequence[Mark] = field(default=())
    named_at_ends: bool = True
    """Else there is a key: for lines that end in the same place."""

    def draw(self, width: float) -> Drawing:
        paper = Paper(width)
        y = paper.heading(self.title, self.subtitle, MARGIN) + 8
        at_ends = self.named_at_ends and width >= ROOMY
        ticks = [words for p in self.panels for _, words in p.scale.ticks(p.height * DENSER)]
        left = MARGIN + max(width_of(words, SMALL) for words in ticks) + 6
        right = width - MARGIN - 8
        if at_ends:
            right -= max((width_of(n, SMALL) + SAMPLE for n in self._names()), default=0)
        else:
            y = self._key(paper, y)
        y = self._mark_names(paper, y, left, right)
        for panel in self.panels:
            y = self._panel(paper, panel, y, left, right, named=at_ends) + 14
        y += 3
        free = -1e9
        for value, words in self.across.ticks(right - left):
            x = left + self.across.at(value) * (right - left)
            half = width_of(words, SMALL) / 2
            # The last may reach over the edge of the panel, but not of the paper.
            x = min(x, width - 4 - half)
            if x - half > free:
                paper.text(x, y, words, size=SMALL, anchor="middle", style="soft")
                free = x + half + 6
        for words in wrapped(self.across_caption, right - left, SMALL):
            y += 18
            paper.text(right, y, words, size=SMALL, anchor="end", style="soft")
        return paper.drawing(y + 14, self.title)

    def _names(self) -> list[str]:
        return [line.name for panel in self.panels for line in panel.lines]

    def _key(self, paper: Paper, y: float) -> float:
        if len(set(self._names())) < 2:
            return y
        x, seen = MARGIN, set()
        for panel in self.panels:
            for line in panel.lines:
                if line.name in seen or not line.name:
                    continue
                seen.add(line.name)
                taken = 34 + width_of(line.name, SMALL) + 18
                if x > MARGIN and x + taken - 18 > paper.width - MARGIN:
                    x, y = MARGIN, y + 19
                paper.line([(x, y + 8), (x + 26, y + 8)], line.look)
                if not line.look.faint:
                    paper.marker(x + 13, y + 8, line.look)
                paper.text(x + 34, y + 12, line.name, size=SMALL)
                x += taken
        return y + 22 if seen else y

    def _mark_names(self, paper: Paper, y: float, left: float, right: float) -> float:
        """Write the names of marks above the panels, in as many rows as they need."""
        rows: list[float] = []
        for mark in sorted(self.marks, key=lambda mark: mark.at):
            taken = width_of(mark.name, 11)
            x = left + self.across.at(mark.at) * (right - left)
            x = max(MARGIN, min(x - taken / 2, paper.width - MARGIN - taken))
            row = next((n for n, end in enumerate(rows) if end < x), len(rows))
            rows[row : row + 1] = [x + taken + 10]
            paper.text(x, y + 12 + 15 * row, mark.name, size=11, style="soft")
        return y + 15 * len(rows) + (6 if rows else 0)

    def _panel(
        self, paper: Paper, panel: Panel, y: float, left: float, right: float, *, named: bool
    ) -> float:
        for words in wrapped(panel.caption, right - MARGIN, SMALL):
            y += 16
            paper.text(MARGIN, y, words, size=SMALL, bold=True)
        top, bottom = y + 12, y + 12 + panel.height

        def place(point: tuple[float, float]) -> tuple[float, float]:
            return (
                left + self.across.at(point[0]) * (right - left),
                bottom - panel.scale.at(point[1]) * panel.height,
            )

        for value, words in panel.scale.ticks(panel.height * DENSER):
            height = bottom - panel.scale.at(value) * panel.height
            paper.path(f"M{left:.1f} {height:.1f}H{right:.1f}", "hair")
            paper.text(left - 6, height + 4, words, size=SMALL, anchor="end", style="soft")
        for value, _ in self.across.ticks(right - left):
            x = left + self.across.at(value) * (right - left)
            paper.path(f"M{x:.1f} {top:.1f}V{bottom:.1f}", "hair")
        for mark in self.marks:
            x = left + self.across.at(mark.at) * (right - left)
            paper.path(f"M{x:.1f} {top:.1f}V{bottom:.1f}", "mark", mark.name)
        paper.path(f"M{left:.1f} {bottom:.1f}H{right:.1f}", "axis")
        lines = [line for line in panel.lines if line.points]
        for line in lines:
            places = [place(point) for point in line.points]
            paper.line(_stepped(places) if line.stepped else places, line.look)
            if line.look.faint:
                continue
            every = max(1, len(places) // MOST_MARKERS)
            for (x, height), (value, reached) in list(zip(places, line.points, strict=True))[
                ::every
            ]:
                said = f"{_near(self.across, value)}: {_near(panel.scale, reached)}"
                paper.marker(x, height, line.look, f"{line.name}: {said}" if line.name else said)
        if named:
            ends = [place(line.points[-1]) for line in lines]
            labels = spread([end[1] for end in ends], GAP, top + 4, max(bottom, top + GAP))
            for line, end, label in zip(lines, ends, labels, strict=True):
                if not line.name:
                    continue
                if abs(label - end[1]) > 3 or end[0] < right - 3:
                    paper.path(
                        f"M{end[0] + 5:.1f} {end[1]:.1f}L{right + 8:.1f} {label:.1f}", "hair"
                    )
                if line.look.faint:
                    paper.line([(right + 14, label), (right + 28, label)], line.look)
                else:
                    paper.line([(right + 13, label), (right + 29, label)], line.look)
                    paper.marker(right + 21, label, line.look)
                paper.text(right + SAMPLE, label + 4, line.name, size=SMALL)
        return bottom


def _stepped(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    stepped = places[:1]
    for x, y in places[1:]:
        stepped += [(x, stepped[-1][1]), (x, y)]
    return stepped


def _near(scale: Scale, value: float) -> str:
    """Write a value as its axis does."""
    written = getattr(scale, "written", None)
    return written(value) if written else f"p{value * 100:.6g}"
