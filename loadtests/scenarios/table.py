"""The scenarios, and the size at which each says something on a machine with two processors.

A scenario makes variants of what was asked for; nothing is started here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .load import SHOWN, Load, Protocol

__all__ = ["SCENARIOS", "Asked", "Scenario", "Variant"]

HTTP1 = 30_000
HTTP2 = 100_000
STEPS = (1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000)

BURST = 2_000, 10_000
"""Over HTTP/1.1 and HTTP/2: a thousand events are two and ten million deliveries to these."""

STALLED = 10
"""Of so many connections one stalls."""

COMPARED = 2_000
COMPARED_RATE = 0.5
"""What keeps a Hypercorn busy for a quarter of the time, as it takes 0.1 to 0.3 ms for a delivery:
enough to see, and not so much that it falls behind for good. Ours at full size is `steady`."""

ARRIVING = 200
"""Clients a second that Hypercorn lets in with TLS and without queueing."""

PEERS: dict[str, tuple[Protocol, ...]] = {
    "trio-sse": ("http1", "http2"),
    "nchan": ("http1",),
    "uvicorn": ("http1",),
    "sse-starlette": ("http1",),
    "granian": ("http1", "http2"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for on the command line; None is left to the scenario."""

    users: int | None = None
    rate: float | None = None
    seconds: float | None = None
    tls: bool | None = None
    protocol: Protocol | None = None
    servers: tuple[str, ...] = ()

    def of(self, load: Load) -> Load:
        """Return a load with what was asked for in it."""
        wanted: dict[str, Any] = {"users": self.users, "rate": self.rate, "seconds": self.seconds}
        if self.tls:
            wanted["tls"] = True
        changed = replace(
            load, **{key: value for key, value in wanted.items() if value is not None}
        )
        if changed.ramp:
            steps = tuple(step for step in STEPS if step < changed.users)
            changed = replace(changed, ramp=(*steps, changed.users))
            if self.seconds is not None:
                changed = replace(changed, step_seconds=self.seconds / len(changed.ramp))
        if changed.stall:
            when = changed.stall.partition("@")[2]
            changed = replace(changed, stall=f"{max(1, changed.connections // STALLED)}@{when}")
        return changed


@dataclass(frozen=True, slots=True)
class Variant:
    """A server, and what it has to bear."""

    server: str
    load: Load

    @property
    def name(self) -> str:
        """What reports call it."""
        name = f"{self.server}, {SHOWN[self.load.protocol]}"
        return f"{name}, TLS" if self.load.tls else name


@dataclass(frozen=True, slots=True)
class Scenario:
    """Variants, and what they are about."""

    name: str
    folder: str
    """What the run's folder and the reports call it."""
    about: str
    """A line of help."""
    title: str
    """With `{crowd}`: who the clients are."""
    loads: Sequence[Load]
    servers: Sequence[str] = ("trio-sse",)
    of_server: Callable[[str, Load], Load | None] = lambda server, load: load
    """What a load becomes for a server; None if it does not speak that."""
    kept: bool = True
    """Whether its folder belongs under results/."""
    by_hand: bool = False
    """Whether a person says on Locust's pages what is done, and with Ctrl-C when it is over."""

    def variants(self, asked: Asked) -> list[Variant]:
        """Return what is to be measured, in that order: servers side by side for each load."""
        loads = [
            asked.of(load)
            for load in self.loads
            if asked.protocol in (None, load.protocol) and (not asked.tls or self._takes_tls(load))
        ]
        servers = [name for name in self.servers if not asked.servers or name in asked.servers]
        made = [(server, self.of_server(server, load)) for load in loads for server in servers]
        variants = [Variant(server, load) for server, load in made if load is not None]
        # A person has one pair of hands.
        return variants[:1] if self.by_hand else variants

    def titled(self, variants: Sequence[Variant]) -> str:
        """Return the title of a run of these."""
        title = self.title.format(crowd=crowd([variant.load for variant in variants]))
        return title[:1].upper() + title[1:]

    def _takes_tls(self, load: Load) -> bool:
        # Where both are compared, asking for TLS leaves its half.
        return load.tls or not any(each.tls for each in self.loads)


def crowd(loads: Sequence[Load]) -> str:
    """Say who the clients are: 30,000 clients over HTTP/1.1 and 100,000 over HTTP/2."""
    sizes = {load.protocol: load.users for load in loads}
    if len(sizes) > 1 and len(set(sizes.values())) == 1:
        return f"{loads[0].users:,} clients over HTTP/1.1 and as many over HTTP/2"
    first, *others = [f"{users:,}|over {SHOWN[protocol]}" for protocol, users in sizes.items()]
    said = [first.replace("|", " clients "), *(other.replace("|", " ") for other in others)]
    return " and ".join(said)


def _both(http1: int, http2: int, **settings: Any) -> tuple[Load, Load]:
    return (
        Load(protocol="http1", users=http1, **settings),
        Load(protocol="http2", users=http2, **settings),
    )


def _each_with_tls(*loads: Load) -> list[Load]:
    return [replace(load, tls=tls) for load in loads for tls in (False, True)]


def _of_peer(server: str, load: Load) -> Load | None:
    if load.protocol not in PEERS[server]:
        return None
    if server == "trio-sse":
        return load
    return replace(load, publish_path="/publish", subscribe_path="/events")


_STEADY1, _STEADY2 = (
    Load(protocol="http1", users=HTTP1, rate=0.5),
    Load(protocol="http2", users=HTTP2, rate=1.0),
)

_ALL = (
    Scenario("h1", "steady", "steady fan-out over HTTP/1.1", "Events for {crowd}", (_STEADY1,)),
    Scenario("h2", "steady", "steady fan-out over HTTP/2", "Events for {crowd}", (_STEADY2,)),
    Scenario(
        "steady", "steady", "both of them, one after the other", "Events for {crowd}",
        (_STEADY1, _STEADY2),
    ),
    Scenario(
        "ramp", "ramp", "latency against the number of clients", "From 1,000 to {crowd}",
        (
            Load(protocol="http1", users=HTTP1, rate=1.0, ramp=STEPS[:6]),
            Load(protocol="http2", users=HTTP2, rate=1.0, ramp=STEPS),
        ),
    ),
    Scenario(
        "burst", "burst", "a thousand events at once", "A thousand events at once for {crowd}",
        _both(*BURST, rate=1.0, seconds=40.0, burst="1000@10"),
    ),
    Scenario(
        "storm", "storm", "all are dropped at once, and come back",
        "{crowd} are dropped at once, and come back",
        (
            Load(protocol="http1", users=HTTP1, rate=0.5, drop_all_at=15.0),
            Load(protocol="http2", users=HTTP2, rate=0.5, drop_all_at=15.0),
        ),
    ),
    Scenario(
        "slow", "slow", "some stop reading for a while", "Some of {crowd} read nothing for 20 s",
        (
            Load(protocol="http1", users=2_000, rate=10.0, event_bytes=4_096, stall="200@10:20"),
            Load(protocol="http2", users=5_000, rate=10.0, event_bytes=4_096, stall="5@10:20"),
        ),
    ),
    Scenario(
        "restart", "restart", "the server is stopped and started anew",
        "The server of {crowd} is stopped and started anew",
        _both(10_000, 20_000, rate=1.0, restart_at=15.0),
    ),
    Scenario(
        "idle", "idle", "nothing but heartbeats: memory", "{crowd}, and nothing to tell them",
        _both(HTTP1, HTTP2, rate=0.0),
    ),
    Scenario(
        "compare", "compare", "trio-sse beside the same hub under Hypercorn's Trio worker",
        "trio-sse and the same hub under Hypercorn, {crowd}, in clear text and with TLS",
        _each_with_tls(
            *_both(COMPARED, COMPARED, rate=COMPARED_RATE, seconds=45.0, arriving=ARRIVING)
        ),
        ("trio-sse", "Hypercorn"),
    ),
    Scenario(
        "compare-peers", "compare-peers", "trio-sse beside servers of others",
        "trio-sse and servers of others, {crowd}",
        _both(COMPARED, COMPARED, rate=COMPARED_RATE, seconds=30.0, arriving=ARRIVING),
        tuple(PEERS),
        _of_peer,
    ),
    Scenario(
        "smoke", "smoke", "a few hundred clients on both protocols; under a minute",
        "A quick look: {crowd}",
        _each_with_tls(*_both(200, 300, rate=5.0, seconds=4.0, settle=0.5)),
        kept=False,
    ),
    Scenario(
        "ui", "by-hand", "whatever one does on Locust's own pages", "By hand, up to {crowd}",
        _both(1_000, 1_000, rate=1.0),
        by_hand=True,
    ),
)  # fmt: skip

SCENARIOS = {scenario.name: scenario for scenario in _ALL}
