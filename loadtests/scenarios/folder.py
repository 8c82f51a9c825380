"""What came of a run, as the folder results/<date>-<scenario>-<words>/.

`loadtests.report` reads it. Nothing that was written earlier is written over: the second run of a
day gets a number.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .load import SHOWN
from .table import Scenario, Variant
from .trial import Outcome

__all__ = ["named", "write"]

FOREIGN = 0.1
"""Part of the servers' processor that other programs may have before it is said."""

DIGITS = 7
"""Of a figure: more are noise, and do not compress."""


def named(scenario: Scenario, variants: Sequence[Variant], note: str, day: str) -> str:
    """Return the name of a run's folder."""
    words = note or " ".join(_words(variants))
    return f"{day}-{scenario.folder}-{re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-')}"


def write(
    folder: Path,
    scenario: Scenario,
    outcomes: Sequence[Outcome],
    *,
    machine: dict[str, str],
    warnings: Sequence[str],
    date: str,
) -> Path:
    """Write the manifest and the raw data; return the folder, which may have got a number."""
    folder = _unused(folder)
    manifest = {
        "scenario": scenario.folder,
        "title": scenario.titled([outcome.variant for outcome in outcomes]),
        "command": machine["command"],
        "date": date,
        "machine": {name: value for name, value in machine.items() if name != "command"},
        "warnings": [*warnings, *_warnings(outcomes)],
        "variants": [outcome.manifest for outcome in outcomes],
    }
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    raw = {"variants": [_rounded(outcome.raw) for outcome in outcomes]}
    # Without a time in it, so that the same data makes the same bytes.
    content = gzip.compress(json.dumps(raw, separators=(",", ":")).encode(), mtime=0)
    (folder / "raw.json.gz").write_bytes(content)
    return folder


def _warnings(outcomes: Sequence[Outcome]) -> list[str]:
    """Say once what was said of several."""
    about: dict[str, list[str]] = {}
    for outcome in outcomes:
        for words in outcome.warnings:
            about.setdefault(words, []).append(outcome.variant.name)
    said = list(about)
    if len(outcomes) > 1:
        said = [f"{'; '.join(names)}: {words}" for words, names in about.items()]
    return said + _on_others([each.foreign for each in outcomes if each.foreign is not None])


def _on_others(parts: Sequence[float]) -> list[str]:
    if not parts or max(parts) <= FOREIGN:
        return []
    low, high = f"{min(parts):.0%}", f"{max(parts):.0%}"
    several = f"from {low} to {high}" if low != high else high
    return [
        f"Other programs had {several} of the servers' processor while it was measured: times are "
        "longer than they need to be, and vary."
    ]


def _words(variants: Sequence[Variant]) -> list[str]:
    loads = [variant.load for variant in variants]
    protocols = dict.fromkeys(load.protocol for load in loads)
    words = [SHOWN[only].replace("/1.1", "1").replace("/", "") for only in protocols]
    if len(words) > 1:
        words = ["both protocols"]
    sizes = dict.fromkeys(load.users for load in loads)
    words += map(str, sizes)
    return [*words, "tls"] if all(load.tls for load in loads) else words


def _unused(folder: Path) -> Path:
    number = 1
    found = folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def _rounded(content: Any) -> Any:
    match content:
        case float() if math.isfinite(content) and content < 1e6:
            return float(f"{content:.{DIGITS}g}")
        case float():
            return round(content, 6)
        case dict():
            return {key: _rounded(value) for key, value in content.items()}
        case list():
            return [_rounded(value) for value in content]
    return content
