"""The publisher's own process: posts when events are due, to every hub, and again if it must."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from running import Running, command, curl, listening

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests import payload  # noqa: E402
from loadtests.listening import free_port  # noqa: E402

pytestmark = pytest.mark.usefixtures("untraced")

PATH = "/.well-known/mercure"


def publisher(*hubs: str, rate: float, size: int = 150) -> Running:
    settings = {"hubs": hubs, "rate": rate, "topic": "load", "size": size, "path": PATH}
    argv = [sys.executable, "-m", "loadtests.users.publishing", json.dumps(settings)]
    return Running(argv, stdin=subprocess.PIPE, cwd=ROOT)


def order(running: Running, **content: Any) -> None:
    running.send(json.dumps(content))


def told(running: Running) -> dict[str, Any]:
    """The next that it says."""
    said: dict[str, Any] = json.loads(running.expect(r"\{.*", "out")[0])
    return said


def follow(hub: str) -> Running:
    return curl(f"{hub}{PATH}?topic=load")


def receive(follower: Running, number: int) -> list[payload.Payload]:
    """The next events."""
    found = [payload.read(follower.expect(r"data: (.*)", "out")[1].encode()) for _ in range(number)]
    assert all(found)
    return [each for each in found if each]


def test_a_burst_reaches_every_hub_in_order_with_when_it_was_due() -> None:
    with (
        command("serve", "--port", "0") as first,
        command("serve", "--port", "0", "--self-signed") as second,
    ):
        hubs = listening(first), listening(second)
        with (
            follow(hubs[0]) as follower,
            curl("--insecure", f"{hubs[1]}{PATH}?topic=load") as other,
            publisher(*hubs, rate=10) as running,
        ):
            last = {each: receive(each, 1)[0].number for each in (follower, other)}
            at = time.time_ns() + 200_000_000
            order(running, do="burst", count=100, at=at)
            for each in (follower, other):
                burst = 0
                while burst < 100:
                    (event,) = receive(each, 1)
                    last[each] += 1
                    assert event.number == last[each]
                    assert event.published <= time.time_ns()
                    burst += event.published == at
            running.end_input()
            assert running.finish() == 0


def test_after_a_pause_all_that_was_due_before_has_been_posted() -> None:
    with (
        command("serve", "--port", "0") as server,
        publisher(listening(server), rate=50) as running,
    ):
        order(running, do="pause", at=time.time_ns() + 300_000_000)
        dues = []
        while True:
            said = told(running)
            dues += said["dues"]
            if said["paused"]:
                break
        assert said["published"] == len(dues) == dues[-1][0]
        resumed = time.time_ns()
        assert all(due < resumed for _, due in dues)
        order(running, do="resume", rate=100)
        while not (dues := told(running)["dues"]):
            pass
        assert dues[0][1] > resumed


def test_what_a_hub_cannot_take_yet_is_posted_when_it_can() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with publisher(url, rate=20) as running:
        while (said := told(running))["waiting"] < 5:
            pass
        assert said["published"] == 0
        with command("serve", "--port", str(port)) as server:
            listening(server)
            order(running, do="pause", at=time.time_ns())
            while not (said := told(running))["paused"]:
                pass
            assert said["waiting"] == 0
            assert said["published"] >= 5
            assert said["refused"] == {}


def test_an_event_that_a_hub_refuses_is_told_and_the_next_one_posted() -> None:
    with command("serve", "--port", "0", "--max-event", "100") as server:
        url = listening(server)
        with publisher(url, rate=20, size=500) as running:
            while (said := told(running))["published"] < 2:
                pass
            ((reason, count),) = said["refused"].items()
            assert reason == f"{url.removeprefix('http://')} answers 413"
            assert count == said["published"]
