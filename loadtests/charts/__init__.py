"""Charts as SVG that needs nothing else: no script, no font, no host; by day and by night.

A chart is a value with a title that says what it shows. `draw(width)` lays it out for a width,
for a chart that is shrunk to a telephone cannot be read. Colour is never alone: lines differ by
marker and dash too. What is measured, and by whom, is not known here.
"""

from .bars import Bar, Bars
from .curves import Curves, Line, Mark, Panel
from .paper import STYLE, Chart, Drawing, Look
from .scales import Linear, Log, Nines, Scale, binary, whole
from .spans import Point, Span, Spans

__all__ = [
    "STYLE",
    "Bar",
    "Bars",
    "Chart",
    "Curves",
    "Drawing",
    "Line",
    "Linear",
    "Log",
    "Look",
    "Mark",
    "Nines",
    "Panel",
    "Point",
    "Scale",
    "Span",
    "Spans",
    "binary",
    "whole",
]
