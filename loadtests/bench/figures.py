"""What the bench says: figures, what stands beside them, and whether a goal is met.

Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CannotMeasure", "Figure", "Goal", "Row", "Series"]


class CannotMeasure(Exception):
    """Why a row cannot be measured here, and what to do about it, in a sentence."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure, or on its ratio to what stands beside it."""

    sense: Literal["at most", "at least"]
    bound: float
    beside: str | None = None
    """Name of what the figure is divided by first."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of ours."""

    name: str
    value: float
    unit: str
    beside: dict[str, float] | None = None
    """The same figure of others, by their names."""
    goals: tuple[Goal, ...] = ()

    def measure_of(self, goal: Goal) -> float:
        """Return what a goal bounds: the figure, or a ratio."""
        if goal.beside is None:
            return self.value
        return self.value / (self.beside or {})[goal.beside]

    def meets(self, goal: Goal) -> bool:
        """Tell whether a goal is met."""
        measure = self.measure_of(goal)
        return measure <= goal.bound if goal.sense == "at most" else measure >= goal.bound


@dataclass(frozen=True, slots=True)
class Series:
    """How a figure grows: a line of a plot."""

    name: str
    """The line it is, a colon, and what the figure is with its unit."""
    points: tuple[tuple[float, float], ...]
    """Subscribers, and the figure."""

    @property
    def line(self) -> str:
        """Whose figures these are."""
        return self.name.partition(": ")[0]

    @property
    def quantity(self) -> str:
        """What they are, with a comma and the unit."""
        return self.name.partition(": ")[2]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    faults: dict[str, int] | None = None
    """What the clients found wrong with what they received; a row that has any is worthless."""
    series: tuple[Series, ...] = ()
    not_measured: str | None = None
    seconds: float = 0.0
