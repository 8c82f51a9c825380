"""A run folder: its manifest, and the variants that were measured.

Reads `manifest.json` and `raw.json.gz` and nothing else.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from .variants import Variant

__all__ = ["Run", "Unreadable", "read"]


class Unreadable(Exception):
    """What is wrong with a run folder, in a sentence."""


@dataclass(frozen=True)
class Run:
    """A folder."""

    folder: Path
    scenario: str
    title: str
    command: str
    date: str
    machine: dict[str, str]
    warnings: list[str]
    variants: tuple[Variant, ...]

    @property
    def measured(self) -> list[Variant]:
        """Variants that have raw data."""
        return [variant for variant in self.variants if variant.raw is not None]


def read(folder: Path) -> Run:
    """Return the run that a folder holds; raises Unreadable."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        with gzip.open(folder / "raw.json.gz", "rt") as file:
            raw = json.load(file)
    except FileNotFoundError as missing:
        raise Unreadable(
            f"{folder} is not the folder of a run: there is no {Path(missing.filename).name}."
        ) from missing
    except (OSError, EOFError, ValueError) as wrong:
        raise Unreadable(f"The data in {folder} cannot be read: {wrong}") from wrong
    if len(manifest["variants"]) != len(raw["variants"]):
        raise Unreadable(
            f"{folder}: manifest.json has {len(manifest['variants'])} variants and raw.json.gz "
            f"{len(raw['variants'])}. They are not of the same run."
        )
    return Run(
        folder,
        manifest["scenario"],
        manifest["title"],
        manifest["command"],
        manifest["date"],
        {name: str(value) for name, value in manifest["machine"].items()},
        manifest.get("warnings") or [],
        tuple(map(Variant, manifest["variants"], raw["variants"])),
    )
