"""Which events a client should have and has not, when everyone is to have everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .client import Client
from .findings import Offence

__all__ = ["missing"]


def missing(client: Client, numbers: list[int], due: Callable[[int], int]) -> Iterator[Offence]:
    """Yield what each stream of a client misses of events, in runs.

    `numbers` go up; `due` says when an event was. What was due before the client had joined it
    need not have, and what it has skipped is a fault that has been found already.
    """
    joined = client.joined
    if joined is None or not numbers:
        return
    if client.first <= numbers[0] and not client.lacking(numbers[-1]):
        return  # Hardly anyone misses anything.
    expected = [number for number in numbers if joined <= due(number)]
    for place, position in enumerate(client.where()):
        last = position.number or 0
        lacking = [number for number in expected if not client.first <= number <= last]
        for first, end in _runs(lacking):
            yield Offence("missing", place, first, end)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of numbers that follow each other."""
    start = 0
    for at, number in enumerate(numbers, 1):
        if at == len(numbers) or numbers[at] != number + 1:
            yield numbers[start], number
            start = at
