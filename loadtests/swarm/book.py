"""Who is told what connections receive. `ledger` and `receipts` are two such books.

A book is told of everything as it is read: it must be quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .client import Client
from .findings import Batch, Offence, Received

__all__ = ["Book"]


class Book(Protocol):
    """Takes down deliveries and faults. Times are in ns, by the clock of the target.

    `kernel` is when the kernel had what was read, `now` when the program has read it; without
    kernel's stamps both are the same.
    """

    def learn(self, events: Sequence[Received]) -> None:
        """Take note of events that somebody has received, before they are counted."""

    def read(self, length: int) -> None:
        """Count the bytes of one read."""

    def delivered(
        self, client: Client, batches: Sequence[Batch], begun: list[int], kernel: int, now: int
    ) -> None:
        """Count events that a client has received and parsed itself.

        `begun` are the numbers of those that are the first of their stream.
        """

    def passed(self, client: Client, first: int, last: int, kernel: int, now: int) -> None:
        """Count events `first` to `last`, which are known, for all streams of a client."""

    def blame(self, client: Client, offences: Sequence[Offence]) -> None:
        """Count faults."""
