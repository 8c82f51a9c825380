"""What servers did wrong to the clients of one process: how often, and for example to whom."""

from __future__ import annotations

from collections import Counter

from .client import Client
from .findings import Fault, Offence

__all__ = ["Faults"]

EXAMPLES = 20
EXAMPLES_A_FAULT = 6


class Faults:
    """Counts by kind. What turned up after all is not lost."""

    def __init__(self, process: str) -> None:
        """`process` begins each example."""
        self.examples: list[str] = []
        """Sentences that name the client as number:stream, and the events."""
        self._process = process
        self._counts: Counter[Fault] = Counter()
        self._examples_of: Counter[Fault] = Counter()
        self._taken: Counter[Fault] = Counter()
        """Since the last `take`."""

    def __getitem__(self, fault: Fault) -> int:
        return self._counts[fault]

    def found(self) -> dict[str, int]:
        """Return how often each fault has been found, if it has."""
        return {fault: number for fault, number in self._counts.items() if number}

    def take(self) -> dict[str, int]:
        """Return those found since the last `take`."""
        taken: dict[str, int] = dict(self._taken.items())
        self._taken.clear()
        return taken

    def blame(self, client: Client, offence: Offence) -> None:
        """Count a fault, and keep it as an example while there are few."""
        fault: Fault = "lost" if offence.fault == "skipped" else offence.fault
        if fault == "reordered":
            self._counts["lost"] -= 1
        self._counts[fault] += offence.events
        self._taken[fault] += offence.events
        if len(self.examples) < EXAMPLES and self._examples_of[fault] < EXAMPLES_A_FAULT:
            self._examples_of[fault] += 1
            self.examples.append(self._sentence(client, fault, offence))

    def _sentence(self, client: Client, fault: Fault, offence: Offence) -> str:
        text = f"{self._process}: client {client.number}:{offence.stream} of hub {client.server}"
        if offence.first is None:
            return f"{text} {fault}"
        if offence.last == offence.first:
            return f"{text} {fault} event {offence.first}"
        return f"{text} {fault} events {offence.first} to {offence.last}"
