"""What a person sees meanwhile, and the table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from ..report.findings import findings
from ..report.judging import doubts, failures, outcome
from ..report.runs import Run
from ..report.tables import summary

__all__ = ["Progress", "closing"]


class Progress:
    """Lines with the time that has passed."""

    def __init__(self, variants: int) -> None:
        self._variants = variants
        self._number = 0
        self._begin = time.monotonic()

    def next(self, name: str) -> None:
        """A variant begins."""
        self._number += 1
        self._begin = time.monotonic()
        print(f"\n[{self._number}/{self._variants}] {name}", flush=True)

    def tell(self, words: str) -> None:
        """Something has happened."""
        print(f"  {time.monotonic() - self._begin:4.0f} s  {words}", flush=True)


def closing(run: Run) -> str:
    """Return the table, how it ended, what was found, and what went wrong or is in doubt."""
    table = summary(run)
    lines = ["", *_aligned((table.head, *table.rows)), "", outcome(run), *findings(run)]
    for variant in run.variants:
        said = [variant.skipped] if variant.skipped else failures(variant) + doubts(variant)
        lines += [f"- {variant.name}: {words}" for words in said]
    lines += [f"- The machine: {words}" for words in run.warnings]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if not n else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def complain(words: str) -> None:
    """Say why nothing can be done."""
    print(words, file=sys.stderr)
