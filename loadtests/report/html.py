"""A report as report.html: one page that asks no other for anything.

Each chart is there twice, laid out for a wide and for a narrow window; the style sheet shows one.
On a telephone the summary is a card for each variant instead of a table to be pushed sideways.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..charts import STYLE
from ..charts.labels import bound
from .document import Code, Document, Figure, Fold, Heading, Items, Part, Prose
from .tables import Table

__all__ = ["written"]

WIDE, NARROW = 860.0, 350.0
"""px for which charts are drawn."""

CARDS = 4
"""Columns from which on a table becomes cards in a narrow window."""

SHEET = Path(__file__).with_name("page.css")


def written(document: Document) -> str:
    """Return the page."""
    kind = "sound" if document.sound else "doubt"
    body = "\n".join(_part(part) for part in document.parts)
    title = escape(document.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        # So that a browser does not ask for one.
        '<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>\n{SHEET.read_text()}{STYLE}</style>\n</head>\n"
        f'<body>\n<main>\n<header>\n<p class="run">{escape(document.line)}</p>\n'
        f'<h1>{title}</h1>\n<p class="outcome {kind}">{_said(document.outcome)}</p>\n</header>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def _said(words: str) -> str:
    return escape(bound(words))


def _part(part: Part) -> str:
    match part:
        case Heading(words):
            return f"<h2>{escape(words)}</h2>"
        case Prose(words):
            return f"<p>{_said(words)}</p>"
        case Items(items, warns):
            inside = "\n".join(
                f"<li>{f'<strong>{_said(first)}</strong> ' if first else ''}{_said(rest)}</li>"
                for first, rest in items
            )
            return f"<ul{' class=warns' if warns else ''}>\n{inside}\n</ul>"
        case Code(words):
            return f"<pre><code>{escape(words)}</code></pre>"
        case Figure(_, chart):
            wide, narrow = chart.draw(WIDE), chart.draw(NARROW)
            return f"<figure>\n{wide.inline('wide')}\n{narrow.inline('narrow')}\n</figure>"
        case Table(head, rows):
            return _table(head, rows)
        case Fold(words, parts):
            inside = "\n".join(map(_part, parts))
            return f"<details>\n<summary>{escape(words)}</summary>\n{inside}\n</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kind = "cards" if len(head) >= CARDS else "pairs" if len(head) == 2 else ""
    lines = [f'<div class="table"><table class="{kind}">']
    if any(head):
        cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        cells = "".join(
            f'<td data-name="{escape(name)}">{_said(cell)}</td>'
            for name, cell in zip(head[1:], row[1:], strict=True)
        )
        lines.append(f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])
