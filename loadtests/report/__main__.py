"""The command: makes the reports of runs, and the index of all of them.

    python -m loadtests.report [FOLDER ...]

Without a folder, those of all runs under results/, of benchmark and soak too. With folders outside
of results/, the index there is left alone. Ends with 1 if a folder could not be read, and says why.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import ROOT
from ..bench import report as bench
from ..soak import report as soak
from . import html, index, markdown
from .document import report
from .runs import Run, Unreadable, read

__all__ = ["main"]

REMADE = ("manifest.json", "bench.json", "soak.json")
"""What a folder holds that pages are made from."""


def main(argv: list[str], results: Path = ROOT / "results") -> int:
    """Make them; prints the path of each."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="of a run")
    folders: list[Path] = parser.parse_args(argv).folders
    there = [folder for file in REMADE for folder in _folders(results, file)]
    failed = False
    for folder in folders or there:
        try:
            page = _remade(folder)
        except Unreadable as reason:
            print(reason, file=sys.stderr)
            failed = True
        else:
            if page is not None:
                print(page)
    ours = {folder.resolve() for folder in there}
    if not folders or any(folder.resolve() in ours for folder in folders):
        print(write_index(results))
    return 1 if failed else 0


def _remade(folder: Path) -> Path | None:
    """Make the pages of a folder again; None if there is nothing to make them from."""
    for file, remake in (("bench.json", bench.remake), ("soak.json", soak.remake)):
        if (folder / file).exists():
            try:
                return remake(folder)
            except bench.UNREADABLE as wrong:
                raise Unreadable(f"{folder / file} cannot be read: {wrong!r}.") from wrong
    return write(read(folder))


def write(run: Run) -> Path:
    """Write the report of a run beside its data, and remove charts it no longer has."""
    document = report(run)
    files = markdown.figures(document)
    for old in run.folder.glob("*.svg"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (run.folder / name).write_text(content)
    (run.folder / "report.html").write_text(html.written(document))
    page = run.folder / "report.md"
    page.write_text(markdown.written(document))
    return page


def write_index(results: Path) -> Path:
    """Write the index of all runs that can be read."""
    runs = []
    for folder in _folders(results, "manifest.json"):
        try:
            runs.append(read(folder))
        except Unreadable as reason:
            print(f"Not in the index: {reason}", file=sys.stderr)
    benchmarks = []
    for folder in _folders(results, "bench.json"):
        try:
            benchmarks.append(index.benchmark(folder))
        except bench.UNREADABLE as wrong:
            print(f"Not in the index: {folder / 'bench.json'}: {wrong!r}.", file=sys.stderr)
    soaks = []
    for folder in _folders(results, "soak.json"):
        try:
            soak.load(folder)
        except bench.UNREADABLE as wrong:
            print(f"Not in the index: {folder / 'soak.json'}: {wrong!r}.", file=sys.stderr)
        else:
            soaks.append(folder)
    page = results / "README.md"
    page.write_text(
        index.written(
            runs,
            benchmarks,
            list(results.glob("*-profiles*")),
            _folders(results, "abuse.json"),
            _folders(results, "conformance.md"),
            soaks,
        )
    )
    return page


def _folders(results: Path, file: str) -> list[Path]:
    return sorted(found.parent for found in results.glob(f"*/{file}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
