"""A report as report.md, with its charts as SVG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from .document import Code, Document, Figure, Fold, Heading, Items, Part, Prose
from .tables import Table

__all__ = ["figures", "table", "text", "written"]

WIDTH = 860.0
"""px for which charts are drawn: what a page of Markdown usually leaves."""


def written(document: Document) -> str:
    """Return the text of the file."""
    lines = [f"# {text(document.title)}", "", text(document.line), "", f"**{document.outcome}**"]
    for part in document.parts:
        lines += ["", *_lines(part)]
    return "\n".join(lines) + "\n"


def figures(document: Document) -> dict[str, str]:
    """Return the SVG files by their names."""
    return {
        figure.file: figure.chart.draw(WIDTH).standalone() for figure in _figures(document.parts)
    }


def table(rows: Table) -> list[str]:
    """Return the lines of a table."""
    return [
        _row(rows.head),
        "|" + "---|" * len(rows.head),
        *map(_row, rows.rows),
    ]


def text(words: str) -> str:
    """Return words so that nothing in them is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", words)


def _figures(parts: Sequence[Part]) -> Iterator[Figure]:
    for part in parts:
        if isinstance(part, Figure):
            yield part
        elif isinstance(part, Fold):
            yield from _figures(part.parts)


def _lines(part: Part) -> list[str]:
    match part:
        case Heading(words):
            return [f"## {text(words)}"]
        case Prose(words):
            return [text(words)]
        case Items(items):
            return [
                f"- **{text(first)}** {text(rest)}" if first else f"- {text(rest)}"
                for first, rest in items
            ]
        case Code(words):
            return ["```console", f"$ {words}", "```"]
        case Figure(file, chart):
            return [f"![{text(chart.title)}]({file})"]
        case Table():
            return table(part)
        case Fold(words, parts):
            inside = [line for each in parts for line in ("", *_lines(each))]
            return ["<details>", f"<summary>{escape(words)}</summary>", *inside, "", "</details>"]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text(cell) for cell in cells) + " |"
