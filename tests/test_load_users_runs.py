"""Load tests as people run them: the real Locust against a real server, small."""

from __future__ import annotations

import csv
import json
import re
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from running import Running, command, drained, listening
from support.lossy_hub import LossyHub

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.listening import free_port  # noqa: E402

pytestmark = pytest.mark.usefixtures("untraced")

PATIENCE = 50
"""Seconds that a run may take on a busy machine."""

KEYS = {
    "start",
    "measured_from",
    "measured_to",
    "users",
    "connected",
    "streams_per_connection",
    "rate",
    "event_bytes",
    "latency",
    "connect",
    "first_event",
    "recovery",
    "events",
    "timeline",
    "deliveries",
    "expected",
    "bytes",
    "reads",
    "piled_reads",
    "faults",
    "examples",
    "steps",
    "publisher",
    "client_cpu",
}


MINE = """
from loadtests.users.beginning import begin
from loadtests.users.listeners import Http1Listener
from loadtests.users.publisher import EventPublisher

begin()

class Mine(Http1Listener):
    host = "{host}"

class Also(EventPublisher):
    host = "{host}"
"""


def locust(protocol: str, host: str, *arguments: str | Path) -> Running:
    """Start a run with a locustfile that is there."""
    return run_file(f"loadtests/locustfiles/{protocol}.py", "--host", host, *arguments)


def run_file(locustfile: str | Path, *arguments: str | Path) -> Running:
    """Start a run. Processes find each other where no other run's do."""
    port = str(free_port())
    return Running(
        [
            *(sys.executable, "-m", "locust", "-f", str(locustfile)),
            *("--settle", "0.2", "--spawn-rate", "1000", "--only-summary"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
            *map(str, arguments),
        ],
        cwd=ROOT,
    )


def finish(run: Running) -> int:
    """Wait for the end; nothing of ours may have failed unseen.

    Of Locust's some things do: its CSV writer may wake after its files have been closed.
    """
    code = run.process.wait(PATIENCE)
    text = "\n".join(run.said["err"])
    assert not re.search(r'File ".*/loadtests/', text), text
    return code


def measured(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    assert set(content) == KEYS
    return content


def count(encoded: str) -> int:
    return int(HdrHistogram.decode(encoded).get_total_count())


@pytest.fixture
def server() -> Iterator[str]:
    """A hub whose clients come back soon."""
    with command("serve", "--port", "0", "--retry", "0.2") as running:
        yield listening(running)


class TestMeasuring:
    @pytest.mark.parametrize(("protocol", "shared_by"), [("http1", 1), ("http2", 100)])
    def test_every_user_is_sent_every_event(
        self, protocol: str, shared_by: int, server: str, tmp_path: Path
    ) -> None:
        output = tmp_path / "run.json"
        arguments = ("--headless", "--processes", "2", "--users", "250", "--run-time", "1")
        files = ("--sse-output", output, "--csv", tmp_path / "locust")
        with locust(protocol, server, *arguments, "--rate", "40", *files) as run:
            assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert found["users"] == found["connected"] == 250
        assert found["streams_per_connection"] == shared_by
        assert found["deliveries"] == found["expected"] == 250 * len(found["events"])
        assert 39 <= len(found["events"]) <= 41
        assert {clients for _, _, clients, *_ in found["events"]} == {250}
        for _, due, _, first, median, last, _ in found["events"]:
            assert found["measured_from"] <= due <= found["measured_to"]
            assert 0 < first <= median <= last
        assert count(found["latency"]["kernel"]) == found["deliveries"]
        assert count(found["latency"]["application"]) == found["deliveries"]
        assert count(found["connect"]) == count(found["first_event"]) == 250
        assert sum(row[2] for row in found["timeline"]) >= found["deliveries"]
        assert max(row[1] for row in found["timeline"]) == 250
        assert not any(found["faults"].values())
        assert found["publisher"]["errors"] == 0
        assert len(found["client_cpu"]) == 2
        with (tmp_path / "locust_stats.csv").open() as file:
            rows = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
        assert rows["connect"] == 250
        assert rows["event (kernel)"] >= found["deliveries"]
        assert rows["publish"] >= len(found["events"])

    def test_several_servers_over_tls_some_of_whose_clients_stall(self, tmp_path: Path) -> None:
        output = tmp_path / "run.json"
        serve = ("serve", "--port", "0", "--self-signed")
        with command(*serve) as first, command(*serve) as second:
            hubs = (listening(first), listening(second))
            arguments = ("--headless", "--users", "250", "--streams", "30", "--run-time", "2")
            with locust(
                "http2", hubs[0], "--hubs", ",".join(hubs), *arguments, "--rate", "20",
                "--stall", "3@0.5:1", "--sse-output", output,
            ) as run:  # fmt: skip
                assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert found["connected"] == 250
        assert found["deliveries"] == found["expected"] == 250 * len(found["events"])
        # Those who read nothing for a second have what came meanwhile in few reads.
        assert HdrHistogram.decode(found["latency"]["application"]).get_max_value() > 400_000

    def test_all_come_back_after_a_cut_and_a_burst_is_not_lost(
        self, server: str, tmp_path: Path
    ) -> None:
        output = tmp_path / "run.json"
        arguments = ("--headless", "--users", "200", "--run-time", "2", "--rate", "10")
        actions = ("--drop-all-at", "0.5", "--burst", "100@0.6")
        with locust("http1", server, *arguments, *actions, "--sse-output", output) as run:
            assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert found["connected"] == 200
        assert found["deliveries"] == found["expected"] == 200 * len(found["events"])
        assert len(found["events"]) >= 119
        assert count(found["recovery"]) == sum(row[5] for row in found["timeline"]) == 200

    def test_a_server_is_restarted_and_takes_what_was_due_meanwhile(self, tmp_path: Path) -> None:
        output = tmp_path / "run.json"
        port = str(free_port())
        serve = ("serve", "--port", port, "--retry", "0.2", "--reconnect-spread", "0.2")
        arguments = ("--headless", "--users", "100", "--run-time", "4", "--rate", "20")
        with command(*serve) as first:
            url = listening(first)
            with locust("http2", url, *arguments, "--expect-gap", "--sse-output", output) as run:
                run.expect("sse: measuring from")
                assert drained(first) == 0
                with command(*serve) as second:
                    listening(second)
                    assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert found["connected"] == 100
        assert {kind for kind, number in found["faults"].items() if number} <= {"gap"}
        assert sum(row[5] for row in found["timeline"]) == 100
        assert found["publisher"]["errors"] == 0
        assert len(found["events"]) >= 79

    def test_a_ramp_is_measured_step_by_step(self, server: str, tmp_path: Path) -> None:
        output = tmp_path / "run.json"
        arguments = ("--headless", "--processes", "2", "--ramp", "100,250", "--step-seconds", "1")
        with locust("http2", server, *arguments, "--rate", "20", "--sse-output", output) as run:
            assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert [step["users"] for step in found["steps"]] == [100, 250]
        for step in found["steps"]:
            assert {clients for _, _, clients, *_ in step["events"]} == {step["users"]}
            assert count(step["latency"]["kernel"]) == step["users"] * len(step["events"])
        assert found["deliveries"] == found["expected"]
        assert found["deliveries"] == sum(clients for _, _, clients, *_ in found["events"])

    @pytest.mark.parametrize("quiet", [("--rate", "0"), ("--exclude-tags", "publish")])
    def test_without_events_it_is_still_seen_that_all_are_connected(
        self, quiet: tuple[str, str], server: str, tmp_path: Path
    ) -> None:
        output = tmp_path / "run.json"
        arguments = ("--headless", "--users", "50", "--run-time", "1", *quiet)
        with locust("http1", server, *arguments, "--sse-output", output) as run:
            assert finish(run) == 0, run.said["err"]
        found = measured(output)
        assert found["connected"] == 50
        assert found["events"] == []
        assert found["deliveries"] == found["expected"] == 0


class TestFailing:
    def test_a_lost_event_fails_the_run_and_names_the_client(self, tmp_path: Path) -> None:
        output, locustfile = tmp_path / "run.json", tmp_path / "mine.py"
        paths = ("--subscribe-path", "/events", "--publish-path", "/publish")
        arguments = ("--headless", "--users", "20", "--run-time", "2", "--rate", "30")
        with LossyHub(lost=50) as hub:
            locustfile.write_text(MINE.format(host=hub.url))
            with run_file(locustfile, *paths, *arguments, "--sse-output", output) as run:
                assert finish(run) == 1, run.said["err"]
        found = measured(output)
        assert found["deliveries"] == found["expected"] - 1
        assert found["faults"]["lost"] == 1
        assert any("lost event 50" in example for example in found["examples"])
        said = "\n".join(run.said["err"])
        assert "sse: FAILED" in said
        assert found["examples"][0] in said

    def test_servers_elsewhere_are_not_loaded(self) -> None:
        with locust("http1", "http://192.0.2.1", "--headless", "--run-time", "1") as run:
            assert finish(run) == 2
        assert any("--allow-remote" in line for line in run.said["err"])

    def test_what_is_written_wrong_is_said_before_anything_happens(self) -> None:
        with locust("http1", "http://127.0.0.1:1", "--headless", "--burst", "many") as run:
            assert finish(run) == 2
        assert any("as in 1000@10" in line for line in run.said["err"])

    def test_who_stops_it_leaves_nothing_running(self, server: str, tmp_path: Path) -> None:
        output = tmp_path / "run.json"
        arguments = ("--headless", "--users", "50", "--run-time", "60", "--sse-output", output)
        with locust("http2", server, *arguments) as run:
            run.expect("sse: measuring from")
            run.signal(signal.SIGINT)
            # Python interrupts whatever runs just then, and Locust shows what that was.
            assert run.process.wait(PATIENCE) == 2
        assert not output.exists()


class TestWebPage:
    def test_users_are_spawned_and_stopped_and_events_shown(self, server: str) -> None:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        form = {"user_count": "51", "spawn_rate": "100", "host": server, "rate": "20"}
        with locust("http1", server, "--web-host", "127.0.0.1", "--web-port", str(port)) as run:
            run.expect("Starting web interface")
            page = await_page(address)
            for argument in ("rate", "event_bytes", "streams"):
                assert f'"{argument}"' in page
            post(f"{address}/swarm", form)
            while shown(address).get("event (kernel)", 0) < 1_000:
                pass
            assert shown(address)["connect"] == 50
            post(f"{address}/stop", {})
            # Locust clears what it shows when the next test starts, a little after it says so.
            with urllib.request.urlopen(f"{address}/stats/reset", b""):
                pass
            post(f"{address}/swarm", form)
            while shown(address).get("event (kernel)", 0) < 1_000:
                pass
            run.signal(signal.SIGTERM)
            assert finish(run) == 0


def await_page(address: str) -> str:
    """Wait until somebody answers."""
    while True:
        with suppress(URLError), urllib.request.urlopen(address) as answer:
            return str(answer.read().decode())


def post(url: str, form: dict[str, str]) -> None:
    with urllib.request.urlopen(url, urlencode(form).encode()) as answer:
        assert json.load(answer)["success"]


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def shown(address: str) -> dict[str, int]:
    """Requests by name, as the page shows them."""
    stats = get(f"{address}/stats/requests")["stats"]
    return {row["name"]: row["num_requests"] for row in stats}
