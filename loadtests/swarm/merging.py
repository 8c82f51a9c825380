"""What the receipts of several processes say together: exactly, without an average anywhere."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from .bins import LONGEST, Bins, encoded
from .tally import EVENT_BITS

__all__ = ["merge"]

EXAMPLES = 20


def merge(
    reports: Iterable[dict[str, Any]], published: Iterable[tuple[int, int]] = ()
) -> dict[str, Any]:
    """Return the figures of a window, from a report of each process; changes nothing.

    `published` has number and due time, in ns since the epoch, of each event: what nobody has
    received is expected too. Histograms are encoded HdrHistograms in µs, None if empty; an
    event is [number, due in s since the epoch, clients, first, median, last, last application
    in µs], None for times that nobody has seen.
    """
    known = list(reports)
    events = _events(known, published)
    faults: Counter[str] = Counter()
    for report in known:
        faults.update(report["faults"])
    return {
        "latency": {name: _together(known, name) for name in ("kernel", "application")},
        "connect": _together(known, "connect"),
        "first_event": _together(known, "first_event"),
        "recovery": _together(known, "recovery"),
        "events": [event.row() for event in events],
        "deliveries": sum(event.clients for event in events),
        "expected": sum(_expected(report, events) for report in known),
        "bytes": sum(report["bytes"] for report in known),
        "reads": sum(report["reads"] for report in known),
        "piled_reads": sum(report["piled_reads"] for report in known),
        "faults": dict(faults),
        "examples": _in_turn([report["examples"] for report in known])[:EXAMPLES],
    }


class _Event:
    """One event, with the receipts of all processes."""

    def __init__(self, number: int, due: int) -> None:
        self.number = number
        self.due = due
        self.clients = 0
        self._first = LONGEST
        self._last = 0
        self._last_application = 0
        self._bins = Bins(EVENT_BITS)

    def add(self, clients: int, first: int, last: int, application: int, bins: list[int]) -> None:
        """Add what one process has received."""
        self.clients += clients
        self._first = min(self._first, first)
        self._last = max(self._last, last)
        self._last_application = max(self._last_application, application)
        self._bins.merge(bins)

    def row(self) -> list[Any]:
        times: list[float | None] = [None] * 4
        if self.clients:
            middle = min(max(self._bins.median(), self._first), self._last)
            times = [self._first, middle, self._last, self._last_application]
        return [self.number, self.due / 1e9, self.clients, *times]


def _events(reports: list[dict[str, Any]], published: Iterable[tuple[int, int]]) -> list[_Event]:
    found: dict[int, _Event] = {}
    for report in reports:
        for number, due, *receipts in report["events"]:
            if number not in found:
                found[number] = _Event(number, due)
            found[number].add(*receipts)
    if reports:
        begin, end = reports[0]["window"]
        for number, due in published:
            if begin <= due <= end and number not in found:
                found[number] = _Event(number, due)
    return [found[number] for number in sorted(found)]


def _expected(report: dict[str, Any], events: list[_Event]) -> int:
    """Return how many deliveries were expected by the clients of one process."""
    joined = [when for when, _ in report["joined"]]
    streams = [0, *accumulate(streams for _, streams in report["joined"])]
    forgiven = dict(report["forgiven"])
    expected = 0
    for event in events:
        here = streams[bisect_left(joined, event.due + 1)]
        gone = sum(
            number
            for when, last, number in report["left"]
            if when <= event.due and last < event.number
        )
        expected += here - gone - forgiven.get(event.number, 0)
    return expected


def _together(reports: list[dict[str, Any]], name: str) -> str | None:
    bins = Bins()
    for report in reports:
        bins.merge(report[name])
    return encoded(bins)


def _in_turn(lists: list[list[str]]) -> list[str]:
    """Return the first of each, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [each[at] for at in range(longest) for each in lists if at < len(each)]
