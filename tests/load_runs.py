"""Run folders of the load tests as a runner would leave them, with figures that are planted.

Made by formula, not by chance: the same call makes the same bytes.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

START = 1_790_000_000.0
"""Seconds since the epoch at which each run begins."""

CONNECTING = 12.0
"""Seconds until measuring begins."""

MACHINE = {
    "commit": "0123abc",
    "processor": "An imaginary processor, 2 usable",
    "memory": "23.5 GiB",
    "kernel": "Linux 6.1 x86_64",
    "files a process": "20,000 (hard limit 20,000)",
    "Python": "3.11.7",
    "trio-sse": "0.1.0",
}


@cache
def histogram(median: float, count: int, *, spread: float = 0.3, most: float = 0.0) -> str:
    """Durations around a median in µs, encoded; `most` is the longest."""
    found = HdrHistogram(1, 3_600_000_000, 3)
    parts = min(count, 2_000)
    ends = [count * n // parts for n in range(parts + 1)]
    for n, (before, after) in enumerate(pairwise(ends)):
        z = NormalDist().inv_cdf((n + 0.5) / parts)
        value = median * math.exp(spread * z)
        longest = n == parts - 1 and most
        found.record_value(int(most if longest else min(value, most or value)), after - before)
    return str(found.encode().decode())


def variant(name: str, **changes: Any) -> dict[str, Any]:
    """What the manifest says of a variant."""
    plain: dict[str, Any] = {
        "name": name,
        "server": name.partition(",")[0],
        "protocol": "http2" if "HTTP/2" in name else "http1",
        "tls": "TLS" in name,
        "users": 30_000,
        "rate": 2.0,
        "settings": {},
        "ok": True,
        "problems": [],
        "skipped": None,
    }
    return plain | changes


def events(last: float, users: int, begin: float, number: int, rate: float) -> list[list[Any]]:
    """Events whose last client had them after about `last` µs."""
    made = []
    for n in range(number):
        own = last * (1 + 0.1 * math.sin(n * 1.7))
        times = [int(own * 0.02) + 1, int(own * 0.5) + 1, int(own) + 1, int(own * 1.05) + 2]
        made.append([n, begin + n / rate, users, *times])
    return made


def run(last: float = 310_000, users: int = 30_000, **changes: Any) -> dict[str, Any]:
    """What was measured of a variant whose last client is served after `last` µs."""
    seconds, rate = 60, 2.0
    begin = START + CONNECTING
    number = int(seconds * rate)
    deliveries = users * number
    moments = range(int(CONNECTING) + seconds)
    plain: dict[str, Any] = {
        "start": START,
        "measured_from": begin,
        "measured_to": begin + seconds,
        "users": users,
        "connected": users,
        "streams_per_connection": 100,
        "rate": rate,
        "event_bytes": 150,
        "latency": {
            "kernel": histogram(last / 2, deliveries, most=last * 1.1),
            "application": histogram(last / 1.9, deliveries, most=last * 1.2),
        },
        "connect": histogram(3_000, users),
        "first_event": histogram(90_000, users),
        "recovery": None,
        "events": events(last, users, begin, number, rate),
        "timeline": [
            [
                START + n,
                min(users, users * n // 8),
                int(users * rate) if n >= CONNECTING else 0,
                int(users * rate * 220) if n >= CONNECTING else 0,
                0,
                0,
            ]
            for n in moments
        ],
        "deliveries": deliveries,
        "expected": deliveries,
        "bytes": deliveries * 220,
        "reads": deliveries,
        "piled_reads": 0,
        "faults": {"lost": 0, "repeated": 0, "reordered": 0, "corrupt": 0, "gap": 0},
        "examples": [],
        "steps": None,
        "publisher": {"published": number, "late_max_us": 900, "errors": 0},
        "client_cpu": [[101, 60.0, 0.41], [102, 60.0, 0.44]],
        "server_samples": [
            [
                START + n - 2,
                0.4 * min(n, 10) + 0.55 * max(0, n - CONNECTING - 2),
                60e6 + min(n, 10) * 9e6,
                min(n, 10) * 6e6,
                min(n, 10) * 1e6,
            ]
            for n in range(len(moments) + 4)
        ],
        "server": {
            "cpu_us_per_delivery": last / 33_000,
            "rss_per_subscriber": 3_100,
            "kernel_per_subscriber": 2_300,
            "processes": 2,
        },
    }
    return plain | changes


def folder(
    results: Path,
    name: str,
    variants: Sequence[tuple[dict[str, Any], dict[str, Any] | None]],
    **changes: Any,
) -> Path:
    """Write a run folder, and return it."""
    made = results / name
    made.mkdir(parents=True)
    manifest = {
        "scenario": name.split("-")[3],
        "title": "30,000 clients, two events a second",
        "command": "make loadtest-h1 USERS=30000",
        "date": f"{name[:10]} 12:00",
        "machine": MACHINE,
        "warnings": [],
        "variants": [variant for variant, _ in variants],
    }
    (made / "manifest.json").write_text(json.dumps(manifest | changes, indent=2) + "\n")
    raw = json.dumps({"variants": [raw for _, raw in variants]}).encode()
    (made / "raw.json.gz").write_bytes(gzip.compress(raw, mtime=0))
    return made


# -- whole scenarios -------------------------------------------------------------------------


def steady(results: Path) -> Path:
    """One variant that went well."""
    return folder(
        results, "2026-01-03-steady-http1", [(variant("trio-sse, HTTP/1.1"), run(310_000))]
    )


def ramp(results: Path, *, most_over_http1: int = 30_000) -> Path:
    """Both protocols, from 1,000 clients on."""
    made = []
    for name, per_client, cost in (
        ("trio-sse, HTTP/1.1", 10.3, (9.4e-6, 0)),
        ("trio-sse, HTTP/2", 0.9, (0.2e-6, 800e-6)),
    ):
        begin = START + CONNECTING
        steps: list[dict[str, Any]] = []
        used = [[START, 0.0, 60e6, 0.0, 0.0]]
        most = most_over_http1 if "HTTP/1.1" in name else 30_000
        for users in (1_000, 2_000, 5_000, 10_000, 20_000, 30_000):
            if users > most:
                break
            last = 900 + per_client * users
            steps.append(
                {
                    "users": users,
                    "from": begin,
                    "to": begin + 9,
                    "latency": {"kernel": histogram(last / 2, users * 18, most=last * 1.2)},
                    "events": events(last, users, begin, 18, 2.0),
                }
            )
            for second in range(10):
                cpu = 2 * (cost[0] * users + cost[1])
                used.append([begin + second, used[-1][1] + cpu, 60e6 + 3e3 * users, 2e3 * users, 0])
            begin += 10
        whole = run(last)
        for row in whole["timeline"]:
            row[1] = next((s["users"] for s in reversed(steps) if s["from"] <= row[0]), 1_000)
            row[2] = 2 * row[1] if row[0] >= START + CONNECTING else 0
        whole["steps"], whole["server_samples"] = steps, used
        whole["events"] = [event for step in steps for event in step["events"]]
        made.append((variant(name), whole))
    return folder(
        results, "2026-01-04-ramp-both", made, title="From 1,000 to 30,000 clients, both protocols"
    )


def storm(results: Path) -> Path:
    """All clients are dropped, and come back."""
    dropped = run(320_000, recovery=histogram(2_600_000, 30_000, spread=0.25, most=4_900_000))
    for row in dropped["timeline"]:
        since = row[0] - START - CONNECTING - 20
        if 0 <= since < 5:
            row[1] = int(30_000 * since / 5)
            row[5] = 6_000
    storming = variant("trio-sse, HTTP/1.1", settings={"drop_all_at": 20})
    return folder(
        results,
        "2026-01-05-storm-http1",
        [(storming, dropped)],
        title="30,000 clients are dropped at once, and come back",
    )


def compare(results: Path, name: str = "2026-01-06-compare-servers") -> Path:
    """Two servers, both protocols, clear and TLS; some skipped, failed and in doubt."""
    lasts = {
        "trio-sse, HTTP/1.1": 310_000,
        "trio-sse, HTTP/1.1, TLS": 520_000,
        "trio-sse, HTTP/2": 14_000,
        "trio-sse, HTTP/2, TLS": 17_500,
        "hypercorn, HTTP/1.1": 2_150_000,
        "hypercorn, HTTP/1.1, TLS": 2_900_000,
        "hypercorn, HTTP/2": 3_600_000,
    }
    made: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        (variant(name), run(last)) for name, last in lasts.items()
    ]
    made[5][1]["client_cpu"] = [[7, 60.0, 0.93]]  # type: ignore[index]
    broken, wrong = made[6]
    assert wrong is not None
    broken |= {"ok": False, "problems": ["the server was killed after 41 s"]}
    wrong |= {
        "connected": 29_876,
        "deliveries": 3_599_000,
        "faults": {"lost": 1_000, "repeated": 0},
        "examples": ["client 17: event 40 is followed by 43"],
    }
    made.append(
        (
            variant(
                "hypercorn, HTTP/2, TLS", skipped="this Hypercorn ends an HTTP/2 stream after 5 s"
            ),
            None,
        )
    )
    return folder(
        results,
        name,
        made,
        title="HTTP/1.1 and HTTP/2, trio-sse and Hypercorn, 30,000 clients each",
        warnings=["The machine is busy (load 1.34): figures are worse than they need to be."],
        command="make compare USERS=30000",
    )


def burst(results: Path) -> Path:
    """A thousand events at once, in the middle of steady ones; both protocols."""
    made = []
    for name, last, pile in (("trio-sse, HTTP/1.1", 310_000, 9e6), ("trio-sse, HTTP/2", 14e3, 4e5)):
        bursting = run(last)
        begin = bursting["measured_from"]
        due = begin + 20.0
        for n in range(1_000):
            waits = [int(last * 0.02 + pile * n / 1e3 * part) for part in (0.6, 0.8, 1.0, 1.02)]
            bursting["events"].append([120 + n, due, 30_000, *waits])
        late = {int(due - START) + n: 30_000 * 1_000 * 1e6 / pile for n in range(round(pile / 1e6))}
        for n, row in enumerate(bursting["timeline"]):
            row[2] += int(late.get(n, 0))
        bursting |= {
            "deliveries": 30_000 * 1_120,
            "expected": 30_000 * 1_120,
            "piled_reads": 0 if last > 1e5 else 900_000,
            "publisher": {"published": 1_120, "late_max_us": 2_100, "errors": 0},
        }
        made.append((variant(name, settings={"burst": "1000@20"}), bursting))
    return folder(
        results, "2026-01-07-burst-both", made, title="A thousand events at once to 30,000 clients"
    )


def slow(results: Path) -> Path:
    """A tenth of the clients reads nothing for ten seconds."""
    stalled = run(330_000, recovery=histogram(400_000, 3_000, spread=0.5, most=2_400_000))
    begin = stalled["measured_from"]
    for event in stalled["events"]:
        since = event[1] - begin - 20
        if 0 <= since < 10:
            event[6] = int((10 - since) * 1e6)
    for row in stalled["timeline"]:
        if 0 <= row[0] - begin - 20 < 10:
            row[2] = 54_000
    return folder(
        results,
        "2026-01-08-slow-http1",
        [(variant("trio-sse, HTTP/1.1", settings={"stall": "3000@20:10"}), stalled)],
        title="3,000 of 30,000 clients stop reading for ten seconds",
    )


def restart(results: Path) -> Path:
    """The server is stopped and started again; its history is gone, so clients hear of a gap."""
    restarted = run(
        320_000,
        recovery=histogram(3_900_000, 30_000, spread=0.2, most=7_300_000),
        faults={"gap": 30_000},
    )
    for row in restarted["timeline"]:
        since = row[0] - restarted["measured_from"] - 20
        if 0 <= since < 7:
            row[1], row[2] = (
                int(30_000 * max(0, since - 2) / 5),
                int(60_000 * max(0, since - 2) / 5),
            )
            row[4], row[5] = (9_000, 0) if since < 2 else (300, 6_000)
    settings = {"restart_at": 20, "expect_gap": True}
    return folder(
        results,
        "2026-01-09-restart-http1",
        [(variant("trio-sse, HTTP/1.1", settings=settings), restarted)],
        title="The server is restarted under 30,000 clients",
    )


def idle(results: Path) -> Path:
    """Clients that hear nothing but heartbeats: memory is all there is to see."""
    made = []
    for name, own, kernel in (
        ("trio-sse, HTTP/1.1", 8_140, 6_220),
        ("trio-sse, HTTP/1.1, TLS", 24_100, 6_400),
        ("trio-sse, HTTP/2", 1_090, 66),
    ):
        held = run(
            latency=None,
            first_event=None,
            events=[],
            deliveries=0,
            expected=0,
            reads=0,
            bytes=0,
            rate=0.0,
            publisher={"published": 0, "late_max_us": 0, "errors": 0},
        )
        for row in held["timeline"]:
            row[2] = 0
        held["server"] |= {
            "cpu_us_per_delivery": None,
            "rss_per_subscriber": own,
            "kernel_per_subscriber": kernel,
        }
        made.append((variant(name, rate=0.0), held))
    return folder(
        results, "2026-01-10-idle-both", made, title="30,000 clients are held without an event"
    )
