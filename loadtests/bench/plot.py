"""Lines over a logarithmic axis, as an SVG that needs nothing to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .figures import Series

__all__ = ["plot"]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")


def plot(title: str, series: Sequence[Series]) -> str:
    """Draw the series over subscribers; both axes are logarithmic."""
    across = [x for each in series for x, _ in each.points]
    up = [y for each in series for _, y in each.points]
    x_low, x_high = _decades(across)
    y_low, y_high = _decades(up)

    def place(x: float, y: float) -> tuple[float, float]:
        part_x = (math.log10(x) - x_low) / (x_high - x_low)
        part_y = (math.log10(y) - y_low) / (y_high - y_low)
        return (
            LEFT + part_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - part_y * (HEIGHT - TOP - BOTTOM),
        )

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for decade in range(x_low, x_high + 1):
        x, y = place(10**decade, 10**y_low)
        drawn.append(f'<path d="M{x:.1f} {TOP}V{y:.1f}" stroke="#ddd"/>')
        drawn.append(
            f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{10**decade:,}</text>'
        )
    for decade in range(y_low, y_high + 1):
        x, y = place(10**x_low, 10**decade)
        drawn.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        drawn.append(
            f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{10**decade:g}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">subscribers</text>')
    for number, each in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in each.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = TOP + 16 * (number + 1)
        drawn.append(f'<text x="{LEFT + 12}" y="{y}" fill="{colour}">{each.name}</text>')
    return "\n".join([*drawn, "</svg>\n"])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))
