"""The publisher's own process: posts events to every hub when they are due.

    python -m loadtests.users.publishing '{"hubs": ["http://127.0.0.1:8080"], "rate": 10, ...}'

Without Locust and gevent: a load client that is busy with ten thousand others would publish
late and blame the server.

Orders are lines of JSON on standard input: `burst` (count, at), `pause` (at), `resume`
(rate). Once a second it says in a line what has been done, and once after each pause. It ends with
its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from typing import Any

from .post import Desk, Hub, Publication
from .schedule import Schedule

__all__ = ["main"]

TELL_SECONDS = 1.0
LOOK_SECONDS = 0.05


class _Clerk:
    """Takes orders and tells what has been done."""

    def __init__(self, desk: Desk, hubs: list[Hub]) -> None:
        self._desk = desk
        self._hubs = hubs
        self._told = 0
        """Number of the last event whose due time has been told."""
        self._pausing = False

    def take(self, order: dict[str, Any]) -> None:
        with self._desk.changed:
            match order["do"]:
                case "burst":
                    self._desk.schedule.burst(order["count"], order["at"])
                case "pause":
                    self._desk.schedule.pause(order["at"])
                    self._pausing = True
                case "resume":
                    self._desk.schedule.resume(order["rate"], time.time_ns())
            self._desk.changed.notify_all()

    def has_paused(self) -> bool:
        """Tell once that a pause has begun and all that was due before it is posted."""
        with self._desk.changed:
            now = time.time_ns()
            last = self._desk.schedule.until(now)
            if not self._pausing or not self._desk.schedule.is_idle_from(now):
                return False
            self._pausing = any(hub.posted < last for hub in self._hubs)
            return not self._pausing

    def tell(self, *, paused: bool = False) -> None:
        desk = self._desk
        with desk.changed:
            last = len(desk.schedule.dues)
            done = min(hub.posted for hub in self._hubs)
            said = {
                "paused": paused,
                "published": done,
                "waiting": last - done,
                "late_max_us": desk.late_max // 1000,
                "refused": dict(desk.refused),
                "answered": list(desk.answered.items()),
                "dues": list(enumerate(desk.schedule.dues[self._told :], self._told + 1)),
            }
            desk.answered.clear()
            self._told = last
        print(json.dumps(said), flush=True)


def main(argv: list[str]) -> None:
    """Post until standard input ends."""
    settings = json.loads(argv[1])
    # It has little to do, but at the right moment. Only root may go before others.
    with contextlib.suppress(PermissionError):
        os.nice(-5)
    publication = Publication(settings["topic"], settings["size"], settings["path"])
    desk = Desk(Schedule(settings["rate"], time.time_ns()), publication)
    hubs = [Hub(desk, url) for url in settings["hubs"]]
    for hub in hubs:
        hub.start()
    clerk, unread, next_telling = _Clerk(desk, hubs), b"", time.monotonic()
    while True:
        if select.select([0], [], [], LOOK_SECONDS)[0]:
            data = os.read(0, 65_536)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                clerk.take(json.loads(line))
        if paused := clerk.has_paused():
            clerk.tell(paused=True)
        if not paused and time.monotonic() >= next_telling:
            clerk.tell()
            next_telling += TELL_SECONDS


if __name__ == "__main__":
    main(sys.argv)
