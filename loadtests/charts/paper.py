"""What charts are drawn on: marks as SVG text, and how they look by day and by night.

Colours come from the style sheet by class, so that one chart follows the reader's choice of light
or dark, as an `<img>` (which carries the sheet) and inside a page (which has it once). The eight
hues keep apart for the common kinds of colour blindness, and each has a marker of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Protocol

from .labels import line_height, wrapped

__all__ = ["PLAIN", "STYLE", "Chart", "Drawing", "Look", "Paper"]

HUES = 8

STYLE = """
.chart { --ink: #1a1c20; --muted: #565a62; --hair: #e4e0d7; --axis: #8d8a82; --ground: #fdfcfa;
  --warn: #a34a00; font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
.chart text { fill: var(--ink); }
.chart .soft { fill: var(--muted); }
.chart .warn { fill: var(--warn); }
.chart .ground { fill: var(--ground); }
.chart .hair { stroke: var(--hair); fill: none; }
.chart .axis { stroke: var(--axis); fill: none; }
.chart .mark { stroke: var(--muted); stroke-dasharray: 3 3; fill: none; }
.chart .line { stroke: currentColor; fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .faint { stroke-width: 1.5; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
.chart .dash { stroke-dasharray: 7 4; }
.chart .full { fill: currentColor; }
.chart .open { fill: var(--ground); stroke: currentColor; stroke-width: 1.75; }
.chart .light { fill: currentColor; fill-opacity: .22; stroke: currentColor; stroke-width: 1.25; }
.chart .k0 { color: #0b62a8; } .chart .k1 { color: #c8500a; } .chart .k2 { color: #0a8262; }
.chart .k3 { color: #93479a; } .chart .k4 { color: #86690a; } .chart .k5 { color: #c22f66; }
.chart .k6 { color: #2387b8; } .chart .k7 { color: #50545c; }
@media (prefers-color-scheme: dark) {
.chart { --ink: #ebe8e1; --muted: #a2a6ae; --hair: #2a2e34; --axis: #6c717a; --ground: #14171a;
  --warn: #f5a55a; }
.chart .k0 { color: #62b0f5; } .chart .k1 { color: #f08a4b; } .chart .k2 { color: #45c79c; }
.chart .k3 { color: #cf8fd6; } .chart .k4 { color: #d9b83a; } .chart .k5 { color: #f57ba8; }
.chart .k6 { color: #86d3ee; } .chart .k7 { color: #b9bdc4; }
}
"""


@dataclass(frozen=True, slots=True)
class Look:
    """How a line, a bar or a marker is told from others."""

    hue: int = 0
    dashed: bool = False
    faint: bool = False
    """Beside another of the same hue: thin and dotted, and without markers."""


PLAIN = Look()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart laid out for a width, in px."""

    width: float
    height: float
    title: str
    body: str

    def inline(self, classes: str = "") -> str:
        """Return it for a page that has the style sheet."""
        return self._svg(f'class="{f"chart {classes}".strip()}"', "")

    def standalone(self) -> str:
        """Return it as a file of its own, on a ground of its own."""
        ground = f'<rect class="ground" width="{self.width:g}" height="{self.height:g}" rx="6"/>'
        style = " ".join(STYLE.split())
        return self._svg('class="chart" xmlns="http://www.w3.org/2000/svg"', style, ground) + "\n"

    def _svg(self, attributes: str, style: str, ground: str = "") -> str:
        sheet = f"<style>{style}</style>" if style else ""
        return (
            f'<svg {attributes} width="{self.width:g}" height="{self.height:g}" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(self.title)}">{sheet}{ground}\n{self.body}\n</svg>'
        )


class Chart(Protocol):
    """Anything that can be drawn for a width."""

    @property
    def title(self) -> str:
        """What it shows, in a sentence."""

    def draw(self, width: float) -> Drawing:
        """Lay it out."""


@dataclass(slots=True)
class Paper:
    """Marks, in the order in which they are drawn."""

    width: float
    parts: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        anchor: str = "start",
        style: str = "",
        bold: bool = False,
    ) -> None:
        """Write one line; `y` is its base line."""
        look = f' class="{style}"' if style else ""
        weight = ' font-weight="600"' if bold else ""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{where}{weight}{look}>'
            f"{escape(words)}</text>"
        )

    def heading(self, title: str, subtitle: str, margin: float) -> float:
        """Write title and subtitle, broken into lines; returns the y beneath them."""
        y = 8.0
        for words, size, bold in ((title, 16.0, True), (subtitle, 12.5, False)):
            for line in wrapped(words, self.width - 2 * margin, size, bold=bold):
                y += line_height(size)
                self.text(margin, y, line, size=size, bold=bold, style="" if bold else "soft")
            y += 3
        return y

    def path(self, d: str, style: str, hover: str = "") -> None:
        """Draw a path; `hover` is what a pointer that rests on it is told."""
        inside = f"<title>{escape(hover)}</title>" if hover else ""
        self.parts.append(
            f'<path class="{style}" d="{d}">{inside}</path>'
            if inside
            else f'<path class="{style}" d="{d}"/>'
        )

    def line(self, points: list[tuple[float, float]], look: Look) -> None:
        """Draw a line through points."""
        extra = " faint" if look.faint else " dash" if look.dashed else ""
        d = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<g class="k{look.hue}"><path class="line{extra}" d="M{d}"/></g>')

    def marker(
        self, x: float, y: float, look: Look, hover: str = "", *, shape: int | None = None
    ) -> None:
        """Draw the marker of a hue (or a shape by its number) around a point."""
        d = _SHAPES[(look.hue if shape is None else shape) % len(_SHAPES)]
        inside = f"<title>{escape(hover)}</title>" if hover else ""
        style = "open" if look.dashed else "full"
        self.parts.append(
            f'<g class="k{look.hue}"><path class="{style}" transform="translate({x:.1f} {y:.1f})" '
            f'd="{d}">{inside}</path></g>'
        )

    def drawing(self, height: float, title: str) -> Drawing:
        """Return what was drawn."""
        return Drawing(self.width, round(height), title, "\n".join(self.parts))


_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",  # a disc
    "M-3.6-3.6h7.2v7.2h-7.2z",  # a square
    "M0-4.8L4.6 3.4h-9.2z",  # a triangle
    "M0-5L5 0L0 5L-5 0z",  # a diamond
    "M0 4.8L4.6-3.4h-9.2z",  # a triangle on its tip
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",  # a cross
    "M-5-2h10v4h-10z",  # a bar, lying
    "M-1.8-5h3.6v10h-3.6z",  # a bar, standing
)
