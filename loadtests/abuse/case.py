"""One line of the table: an attack, what it is known by, and what our server must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .attack import Attack

__all__ = ["Case", "Protocol"]

Protocol = Literal["HTTP/2", "HTTP/1.1", "TLS"]


@dataclass(frozen=True, slots=True)
class Case:
    """An attack."""

    name: str
    reference: str
    """The RFC's section or the CVE."""
    attack: Callable[[Attack], None] = field(repr=False)
    ends: tuple[str, ...]
    """How our server may end a connection of it."""
    offence: str | tuple[str, ...] | None = None
    """What it is counted as in the server's statistics: an offence or another count, or one of
    several. None if nobody could say that it is one: it is answered like everyone."""
    protocol: Protocol = "HTTP/2"
    waits: bool = False
    """It ends when the server's patience does."""
    is_ours: bool = False
    """Only our server has what it needs."""
    keeps_memory: bool = False
    """It takes what as many honest clients take, and all of that may stay with the process
    (docs/security.md, Memory after a storm)."""
    pieces: Callable[[], Iterator[bytes]] | None = field(default=None, repr=False)
    """What it says, if that is all there is to it."""
