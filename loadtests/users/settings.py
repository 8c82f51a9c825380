"""What the arguments of a run mean, read and checked once. Pure.

Arguments stay text where Locust keeps them, for its web page shows and changes them.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, get_args
from urllib.parse import urlsplit

__all__ = ["Burst", "Settings", "Stall", "numbers", "urls"]

Width = Literal["wide", "default"]
WIDTHS: tuple[Width, ...] = get_args(Width)


class Burst(NamedTuple):
    """So many events at once, so many seconds after measuring began: `1000@10`."""

    events: int
    at: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Raise ValueError if it is not written like that."""
        found = re.fullmatch(r"(\d+)@(\d+(?:\.\d+)?)", text)
        if found is None:
            raise ValueError(f"write EVENTS@SECOND, as in 1000@10: {text!r}")
        return cls(int(found[1]), float(found[2]))


class Stall(NamedTuple):
    """So many connections read nothing from that second on, for so long: `100@10:20`."""

    connections: int
    at: float
    seconds: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Raise ValueError if it is not written like that."""
        found = re.fullmatch(r"(\d+)@(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text)
        if found is None:
            raise ValueError(f"write CONNECTIONS@SECOND:SECONDS, as in 100@10:20: {text!r}")
        return cls(int(found[1]), float(found[2]), float(found[3]))


def numbers(text: str) -> tuple[int, ...]:
    """Read numbers of users that grow, with commas between them."""
    try:
        found = tuple(int(number) for number in text.split(",") if number.strip())
    except ValueError:
        raise ValueError(f"write numbers with commas between them: {text!r}") from None
    if any(after <= before for before, after in zip((0, *found), found, strict=False)):
        raise ValueError(f"each number must be higher than the one before: {text!r}")
    return found


def urls(text: str) -> tuple[str, ...]:
    """Read http or https URLs without a path, with commas between them."""
    found = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    for url in found:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
            raise ValueError(f"write http://HOST:PORT or https://HOST:PORT: {url!r}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A run. Seconds are counted from when measuring begins."""

    hubs: tuple[str, ...]
    subscribe_path: str
    publish_path: str
    topic: str
    rate: float
    event_bytes: int
    streams: int
    """Of each HTTP/2 connection."""
    windows: Width
    settle: float
    seconds: float | None
    """How long is measured (in a ramp, each step); None is until somebody stops it."""
    steps: tuple[int, ...]
    """Users in each step; one if it is no ramp."""
    is_ramp: bool
    spawn_rate: float
    burst: Burst | None
    drop_all_at: float | None
    stall: Stall | None
    expect_gap: bool
    allow_remote: bool
    output: str

    def faults(self, found: Mapping[str, int]) -> dict[str, int]:
        """Return those of the faults that are any in this run."""
        expected = {"gap"} if self.expect_gap else set()
        return {kind: n for kind, n in found.items() if n and kind not in expected}

    @property
    def connecting_rate(self) -> float:
        """Events a second while users connect: a server that is busy with both shows neither."""
        return min(self.rate, 1.0)

    @classmethod
    def of(cls, options: Namespace, host: str | None) -> Self:
        """Read Locust's options; raises ValueError with a sentence."""
        hubs = urls(options.hubs or host or "")
        if not hubs:
            raise ValueError("Say whom to load: --host http://127.0.0.1:8080")
        if len({urlsplit(url).scheme for url in hubs}) > 1:
            raise ValueError("All hubs must speak http, or all https.")
        ramp = numbers(options.ramp)
        return cls(
            hubs=hubs,
            subscribe_path=options.subscribe_path,
            publish_path=options.publish_path,
            topic=options.topic,
            rate=options.rate,
            event_bytes=options.event_bytes,
            streams=options.streams,
            windows=options.windows,
            settle=options.settle,
            seconds=options.step_seconds if ramp else options.run_time,
            steps=ramp or (options.num_users or 1,),
            is_ramp=bool(ramp),
            spawn_rate=options.spawn_rate or 1,
            burst=Burst.read(options.burst) if options.burst else None,
            drop_all_at=float(options.drop_all_at) if options.drop_all_at else None,
            stall=Stall.read(options.stall) if options.stall else None,
            expect_gap=options.expect_gap,
            allow_remote=options.allow_remote,
            output=options.sse_output,
        )
