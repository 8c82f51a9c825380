"""How variants are told apart in all charts of a run, and sentences that range over them.

A hue for each server and protocol, and dashes for TLS, if that tells all apart; else a hue each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...charts import Look
from ...charts.numbers import count
from ..judging import Verdict, verdict
from ..runs import Run
from ..variants import Variant

__all__ = ["crowd", "looks", "named", "reason", "sound", "spoken", "told"]

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


def spoken(variant: Variant) -> str:
    """Return its name for the middle of a sentence, which has commas of its own."""
    return variant.name.replace(",", "")


def sound(figures: Figures) -> Figures:
    """Leave out failed variants unless all failed: nobody is to be first by losing events."""
    kept = {v: figure for v, figure in figures.items() if verdict(v) is not Verdict.FAILED}
    return kept or figures


def told(
    figures: Figures,
    written: Callable[[float], str],
    *,
    alone: str,
    several: str,
    alike: str,
    unlike: str = "",
    clients: Figures | None = None,
) -> str:
    """Say the least and the greatest figure: the words for one variant, for several, for a tie.

    In them {low} and {high} are the figures, {first} and {last} the variants that have them. If
    the variants had different numbers of `clients` the words are `unlike`, in which {few} and
    {many} are those of the first and the last.
    """
    ranked = sorted(sound(figures).items(), key=lambda item: item[1])
    (first, least), (last, greatest) = ranked[0], ranked[-1]
    low, high = written(least), written(greatest)
    words = alone if len(figures) == 1 else alike if low == high else several
    few = many = ""
    if clients is not None:
        few, many = count(clients[first]), count(clients[last])
        words = unlike if few != many else words
    return words.format(
        low=low, first=spoken(first), few=few, high=high, last=spoken(last), many=many
    )
