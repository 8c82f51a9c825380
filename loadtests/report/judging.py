"""What must be said before a figure is believed: failures, what was skipped, what spoils times.

The runner decides whether a variant is ok; here it is put into words, and the thresholds are kept
over which a measurement says as much of the client or the machine as of the server.
"""

from __future__ import annotations

from enum import Enum

from ..charts.numbers import count, duration, part
from .runs import Run
from .variants import Variant

__all__ = ["Verdict", "doubts", "failures", "outcome", "sentence", "verdict"]

BUSY = 0.8
"""A client process busier than this may itself be what limits."""

PILED = 0.01
"""Part of the reads that held several events, of which only the last has its own kernel time."""

LATE_US = 50_000
"""A publisher that is later than this did not offer the load it should have, when it should."""

EXAMPLES = 3


class Verdict(Enum):
    """How a variant ended."""

    PASSED = "passed"
    SPOILT = "passed, with doubts"
    FAILED = "failed"
    SKIPPED = "skipped"


def verdict(variant: Variant) -> Verdict:
    """Judge a variant."""
    if variant.skipped is not None:
        return Verdict.SKIPPED
    if failures(variant):
        return Verdict.FAILED
    return Verdict.SPOILT if doubts(variant) else Verdict.PASSED


def failures(variant: Variant) -> list[str]:
    """Return what went wrong, in sentences."""
    if variant.skipped is not None:
        return []
    found = [sentence(problem) for problem in variant.problems]
    if variant.raw is None:
        return found or ["It was not measured, and no reason was written down."]
    if variant.faults:
        named = ", ".join(f"{count(number)} {name}" for name, number in variant.faults.items())
        found.append(f"Clients found events wrong: {named}.")
    examples = variant.measured.get("examples") or []
    if variant.faults and examples:
        found.append(f"For example: {'; '.join(examples[:EXAMPLES])}.")
    connected = variant.measured.get("connected", variant.users)
    if connected < variant.users:
        found.append(f"Only {count(connected)} of {count(variant.users)} clients were connected.")
    if variant.deliveries < variant.expected:
        missing = variant.expected - variant.deliveries
        found.append(f"{count(missing)} of {count(variant.expected)} deliveries are missing.")
    if not variant.ok and not found:
        found.append("The run says that it failed, and not why.")
    return found


def doubts(variant: Variant) -> list[str]:
    """Return what makes times say less of the server than they seem to, in sentences."""
    if variant.raw is None:
        return []
    found = []
    busiest = max((busy for _, _, busy in variant.measured.get("client_cpu") or ()), default=0.0)
    if busiest > BUSY:
        found.append(
            f"A client process was busy {part(busiest)} of the time: application times say as "
            "much of the client as of the server, and kernel times may."
        )
    reads = variant.measured.get("reads") or 0
    piled = (variant.measured.get("piled_reads") or 0) / reads if reads else 0.0
    if piled > PILED:
        found.append(
            f"{part(piled)} of the reads held more than one event (piled reads): the kernel's "
            "time of the earlier ones is that of the last, so their latency is too long."
        )
    publisher = variant.measured.get("publisher") or {}
    late = publisher.get("late_max_us") or 0
    if late > LATE_US:
        found.append(
            f"The publisher was late by up to {duration(late)}; such events count from when they "
            "were due."
        )
    if publisher.get("errors"):
        found.append(f"Publishing failed {count(publisher['errors'])} times.")
    return found


def outcome(run: Run) -> str:
    """Say in a sentence how the variants ended."""
    verdicts = [verdict(variant) for variant in run.variants]
    failed, skipped = verdicts.count(Verdict.FAILED), verdicts.count(Verdict.SKIPPED)
    spoilt = verdicts.count(Verdict.SPOILT)
    total = len(verdicts)
    said = []
    if failed:
        said.append("it failed" if total == 1 else f"{failed} of {total} variants failed")
    if skipped:
        said.append("it was skipped" if total == 1 else f"{skipped} of {total} were skipped")
    if not failed and skipped < total:
        checked = any(variant.expected for variant in run.measured)
        said.insert(
            0,
            f"every client received every event, once and in order{_or_told(run)}"
            if checked
            else "every client stayed connected; no event was published",
        )
    if spoilt:
        said.append("some times are in doubt" if total > 1 else "times are in doubt")
    words = "; ".join(said)
    return f"{words[0].upper()}{words[1:]}."


def _or_told(run: Run) -> str:
    gaps = sum((variant.measured.get("faults") or {}).get("gap") or 0 for variant in run.measured)
    if not gaps:
        return ""
    return f", or was told that the server had lost some ({count(gaps)} gap events, as expected)"


def sentence(words: str) -> str:
    """Return words that others wrote as a sentence."""
    words = words.strip()
    words = words[:1].upper() + words[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."
