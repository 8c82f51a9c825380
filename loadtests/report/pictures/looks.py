"""How variants are told apart in all charts of a run, and sentences that range over them.

A hue for each server and protocol, and dashes for TLS, if that tells all apart; else a hue each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...charts import Look
from ..judging import Verdict, verdict
from ..runs import Run, Variant

__all__ = ["among", "crowd", "looks", "named", "reason"]

HUES = 8

Figures = Mapping[Variant, float]


def looks(run: Run) -> dict[Variant, Look]:
    """Return the look of each variant."""
    kinds = list(dict.fromkeys((variant.server, variant.protocol) for variant in run.variants))
    found = [
        Look(kinds.index((variant.server, variant.protocol)), dashed=variant.tls)
        for variant in run.variants
    ]
    if len(set(found)) < len(found) or len(kinds) > HUES:
        found = [Look(n % HUES, dashed=n >= HUES) for n in range(len(run.variants))]
    return dict(zip(run.variants, found, strict=True))


def named(variant: Variant) -> str:
    """Return its name, which says so where it failed."""
    failed = verdict(variant) is Verdict.FAILED
    return f"{variant.name} (failed)" if failed else variant.name


def reason(variant: Variant) -> str:
    """Say why there is nothing to draw."""
    if variant.skipped is not None:
        return f"skipped: {variant.skipped}"
    return "failed: not measured" if variant.raw is None else "no event was delivered"


def crowd(run: Run) -> str:
    """Say how many clients there were: 30,000, or 1,000 to 30,000."""
    least, most = (f(variant.users for variant in run.measured) for f in (min, max))
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def among(figures: Figures, written: Callable[[float], str]) -> tuple[str, str, str, str]:
    """Return the least and the greatest figure, each with the name of its variant.

    Those of failed variants count only if all failed: nobody is to be first by losing events.
    """
    sound = {v: figure for v, figure in figures.items() if verdict(v) is not Verdict.FAILED}
    ranked = sorted((sound or figures).items(), key=lambda item: item[1])
    (least, low), (greatest, high) = ranked[0], ranked[-1]
    return written(low), least.name, written(high), greatest.name
