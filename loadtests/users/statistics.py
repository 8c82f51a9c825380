"""What a process received, in Locust's own statistics: its tables, its charts, its CSV.

A second's worth at a time. Locust's `request` event is a call for each request; with a million
deliveries a second it would measure itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time

__all__ = ["log", "log_faults"]


def log(stats: RequestStats, kind: str, name: str, times: Mapping[int, int], length: int) -> None:
    """Add requests: milliseconds -> how many took so long; `length` is the bytes of all."""
    number = sum(times.values())
    if not number:
        return
    batch = StatsEntry(stats, name, kind)
    now = time.time()
    batch.start_time = batch.last_request_timestamp = now
    batch.num_requests = number
    batch.num_reqs_per_sec[int(now)] = number
    batch.total_content_length = length
    batch.total_response_time = sum(took * count for took, count in times.items())
    batch.min_response_time, batch.max_response_time = min(times), max(times)
    for took, count in times.items():
        batch.response_times[bucket_response_time(took)] += count
    stats.get(name, kind).extend(batch)
    stats.total.extend(batch)


def log_faults(stats: RequestStats, kind: str, name: str, faults: Mapping[str, int]) -> None:
    """Add failures, by what was wrong."""
    for fault, count in faults.items():
        if count <= 0:
            continue
        batch = StatsEntry(stats, name, kind)
        batch.start_time = time.time()
        batch.num_failures = count
        batch.num_fail_per_sec[int(time.time())] = count
        stats.get(name, kind).extend(batch)
        stats.total.extend(batch)
        key = StatsError.create_key(kind, name, fault)
        error = stats.errors.setdefault(key, StatsError(kind, name, fault))
        error.occurred()
        error.occurrences += count - 1
