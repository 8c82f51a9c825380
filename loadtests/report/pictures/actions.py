"""What was done to a run while it went on, as marks along its time."""

from __future__ import annotations

import re

from ...charts import Mark
from ...charts.numbers import count
from ..variants import Variant

__all__ = ["marks"]


def marks(variant: Variant, *, short: bool = False) -> list[Mark]:
    """Return the scripted actions, in seconds since measuring began.

    `short` is what variants have in common: without the bounds of measuring and how many stall.
    """
    found = [] if short else [Mark(0.0, "measuring begins")]
    found += [
        Mark(step.begin - variant.begin, f"{count(step.users)} clients") for step in variant.steps
    ]
    if burst := _matched(variant, "burst", r"(\d+)@([\d.]+)"):
        found.append(Mark(float(burst[1]), f"burst of {count(int(burst[0]))} events"))
    if stall := _matched(variant, "stall", r"(\d+)@([\d.]+):([\d.]+)"):
        begin, seconds, number = float(stall[1]), float(stall[2]), int(stall[0])
        connections = "1 connection stops" if number == 1 else f"{count(number)} connections stop"
        found.append(Mark(begin, "some stop reading" if short else f"{connections} reading"))
        found.append(Mark(begin + seconds, "they read again"))
    for setting, name in (
        ("drop_all_at", "all clients dropped"),
        ("restart_at", "server restarted"),
    ):
        if at := _matched(variant, setting, r"([\d.]+)"):
            found.append(Mark(float(at[0]), name))
    return found


def _matched(variant: Variant, setting: str, pattern: str) -> tuple[str, ...] | None:
    """Return the parts of a setting, written as on Locust's command line."""
    settings = variant.settings
    value = settings.get(setting, settings.get(setting.replace("_", "-")))
    found = re.fullmatch(pattern, str(value)) if value else None
    return found.groups() if found else None
