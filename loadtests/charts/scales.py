"""Where a value lies between the ends of an axis, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .numbers import plain

__all__ = ["Linear", "Log", "Nines", "Scale", "binary", "decimal", "whole"]

Written = Callable[[float], str]

Step = Callable[[float], float]
"""From the least that two marks may be apart to what they are."""


def decimal(least: float) -> float:
    """Steps of 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.9999)


def whole(least: float) -> float:
    """The same for what comes in whole numbers."""
    return decimal(max(1.0, least))


def binary(least: float) -> float:
    """Steps of a power of two, for bytes."""
    return float(2 ** max(0, math.ceil(math.log2(least) - 1e-9)))


class Scale(Protocol):
    """An axis."""

    def at(self, value: float) -> float:
        """Return where a value lies, from 0 to 1."""

    def ticks(self, room: float) -> list[tuple[float, str]]:
        """Return values to mark, and how they are written, with `room` px between the ends."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Equal steps; begins at zero, so that twice as high is twice as much."""

    high: float
    written: Written
    low: float = 0.0
    step: Step = decimal

    def at(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def ticks(self, room: float) -> list[tuple[float, str]]:
        step = self.step((self.high - self.low) / max(1.0, room / 80))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(n * step, plain(self.written(n * step))) for n in range(first, last + 1)]

    @classmethod
    def over(cls, values: Sequence[float], written: Written, step: Step = decimal) -> Linear:
        """Return one from zero to a little over the highest of the values."""
        return cls(max([*values, 0.0]) * 1.05 or 1.0, written, step=step)


@dataclass(frozen=True, slots=True)
class Log:
    """Equal factors: ten times as much is as far everywhere. Zero has no place."""

    low: float
    high: float
    written: Written

    def at(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self, room: float) -> list[tuple[float, str]]:
        decades = math.log10(self.high / self.low)
        wanted: tuple[int, ...] = (1, 2, 5) if room / decades > 150 else (1,)
        if decades < 1:
            wanted = (1, 2, 3, 5, 7)
        found = [
            factor * 10**decade
            for decade in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            for factor in wanted
        ] + [10.0 ** math.ceil(math.log10(self.high))]
        inside = [v for v in found if self.low * 0.999 <= v <= self.high * 1.001]
        return [(value, plain(self.written(value))) for value in inside]

    @classmethod
    def over(cls, values: Sequence[float], written: Written) -> Log:
        """Return one that begins and ends at a 1, 2 or 5 just beyond the values."""
        some = [value for value in values if value > 0] or [1.0]
        low, high = _round(min(some), math.floor), _round(max(some), math.ceil)
        if high / low < 4:
            low, high = _round(low / 2, math.floor), _round(high * 2, math.ceil)
        return cls(low, high, written)


@dataclass(frozen=True, slots=True)
class Nines:
    """Percentiles, from 50 %, on which each further nine is as far as the last."""

    highest: float
    """The last part of 1 with a place; under 1."""

    def at(self, value: float) -> float:
        return (_nines(min(value, self.highest)) - _nines(0.5)) / (
            _nines(self.highest) - _nines(0.5)
        )

    def ticks(self, room: float) -> list[tuple[float, str]]:
        known = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
        return [(p, f"p{p * 100:.6g}") for p in known if p <= self.highest + 1e-12]


def _nines(value: float) -> float:
    return -math.log10(1 - value)


def _round(value: float, way: Callable[[float], int]) -> float:
    """Return the next 1, 2 or 5 times a power of ten, downwards or upwards."""
    power = 10.0 ** math.floor(math.log10(value))
    fits = [f * power for f in (1, 2, 5, 10)]
    if way is math.floor:
        return max(f for f in fits if f <= value * 1.0001)
    return min(f for f in fits if f >= value * 0.9999)
