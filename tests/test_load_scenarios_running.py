"""Scenarios of the load tests as they run: real servers; Locust, or something in its place."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.listening import free_port  # noqa: E402
from loadtests.report.runs import read  # noqa: E402
from loadtests.scenarios import preflight  # noqa: E402
from loadtests.scenarios.__main__ import main  # noqa: E402
from loadtests.scenarios.clients import LOCUST  # noqa: E402
from loadtests.scenarios.load import Load  # noqa: E402
from loadtests.scenarios.servers import hub  # noqa: E402

pytestmark = pytest.mark.usefixtures("untraced")

PRETENDED = [sys.executable, str(Path(__file__).parent / "support" / "pretended_locust.py")]

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The command settles its process in, which here is the tests'."""
    cpus, stop = os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)
    yield
    os.sched_setaffinity(0, cpus)
    signal.signal(signal.SIGTERM, stop)


def run(results: Path, *argv: str, pretend: str = "") -> int:
    return main(argv, results=results, locust=[*PRETENDED, f"--pretend={pretend}"])


def only_folder(results: Path) -> Path:
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    return folder


def answers(url: str) -> bool:
    """Whether a hub says that it is well."""
    with httpx.Client(verify=False) as client:
        return client.get(f"{url}/healthz").text.strip() == "ok"


def test_a_run_leaves_a_folder_with_its_report_and_stands_in_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "h1", "--users", "50", "--note", "a try") == 0
    folder = only_folder(tmp_path)
    assert folder.name.endswith("-steady-a-try")
    made = read(folder)
    assert made.command == "python -m loadtests.scenarios h1 --users 50 --note 'a try'"
    (variant,) = made.variants
    assert variant.ok
    assert variant.users == 50
    assert variant.cost("processes") == 1
    assert len(variant.samples) >= 2
    assert variant.samples[0][2] > 10e6, "resident memory of a Python that serves"
    assert (folder / "report.html").exists()
    assert folder.name in (tmp_path / "README.md").read_text()
    shown = capsys.readouterr().out
    assert "trio-sse, HTTP/1.1" in shown
    assert "all are connected" in shown
    assert "passed" in shown
    assert str(folder / "report.md") in shown


def test_a_second_run_does_not_write_over_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, "h1", "--users", "50") == 0
    first, second = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert second == f"{first}-2"


def test_results_that_go_elsewhere_stand_in_no_index(tmp_path: Path) -> None:
    assert run(tmp_path / "results", "h1", "--users=5", f"--output={tmp_path / 'mine'}") == 0
    assert (tmp_path / "mine" / "report.md").exists()
    assert read(tmp_path / "mine").command == "python -m loadtests.scenarios h1 --users=5"
    assert not (tmp_path / "results").exists()


def test_a_fault_makes_the_run_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "h1", "--users=5", pretend="fault") == 1
    assert "Clients found events wrong: 1 lost" in capsys.readouterr().out


def test_a_variant_that_fails_hides_none_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "steady", "--users=5", pretend="crash:http1.py") == 1
    first, second = read(only_folder(tmp_path)).variants
    assert not first.ok
    assert first.raw is None
    assert "ended with 3" in first.problems[0]
    assert "no idea what to do" in first.problems[0], "its last words"
    assert second.ok
    assert "1 of 2 variants failed" in capsys.readouterr().out


def test_what_cannot_be_run_is_refused_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "h1", "--users", "100,000,000") == 2
    assert "USERS=" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_only_what_cannot_be_run_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Enough files for two connections of a hundred streams each, but not for 200 connections.
    little = preflight.Facts(files=202, ports=28_232, memory=1 << 40, waiting=4_096, processors=2)
    monkeypatch.setattr(preflight.Facts, "here", lambda: little)
    assert run(tmp_path, "steady", "--users=200") == 0
    first, second = read(only_folder(tmp_path)).variants
    assert "ulimit -Hn" in (first.skipped or "")
    assert second.ok


def test_other_machines_are_not_loaded_unless_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "h1", "--host", "http://192.0.2.1:8080") == 2
    assert "--allow-remote" in capsys.readouterr().err
    assert run(tmp_path, "h1", "--users=5", "--host=http://192.0.2.1:80", "--allow-remote") == 0
    (variant,) = read(only_folder(tmp_path)).variants
    assert variant.cost("cpu_us_per_delivery") is None
    assert variant.samples == []


def test_a_hub_is_restarted_on_its_port_and_what_it_has_used_still_counts(tmp_path: Path) -> None:
    load = Load(users=10, rate=1.0)
    with hub("trio-sse", load, 1, os.sched_getaffinity(0), tmp_path) as running:
        url, used = running.url, running.usage().cpu
        assert answers(url)
        running.restart()
        assert running.url == url
        assert answers(url)
        assert running.usage().cpu > used, "starting it again took time too"


@pytest.mark.parametrize("server", ["trio-sse", "Hypercorn"])
def test_servers_speak_tls_with_a_certificate_of_their_own(server: str, tmp_path: Path) -> None:
    load = Load(users=10, rate=1.0, tls=True)
    with hub(server, load, 1, os.sched_getaffinity(0), tmp_path) as running:
        assert running.url.startswith("https:")
        assert answers(running.url)


# -- with Locust -------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_a_small_scenario_from_start_to_end(tmp_path: Path) -> None:
    asked = ["smoke", "--users=20", "--duration=1", "--tls", f"--output={tmp_path / 'run'}"]
    assert main(asked) == 0
    variants = read(tmp_path / "run").variants
    assert [variant.name for variant in variants] == [
        "trio-sse, HTTP/1.1, TLS",
        "trio-sse, HTTP/2, TLS",
    ]
    for variant in variants:
        assert variant.ok
        assert variant.measured["connected"] == 20
        assert variant.deliveries == variant.expected >= 20
        assert (variant.cpu_a_delivery or 0) > 0
        assert len(variant.samples) >= 3
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Every client received every event, once and in order" in page


# -- nothing stays behind ----------------------------------------------------------------


PROGRAM = """
import sys
from pathlib import Path
from loadtests.scenarios.__main__ import main
sys.exit(main(sys.argv[2].split(), results=Path(sys.argv[1]), locust=sys.argv[3:]))
"""


@contextlib.contextmanager
def at_work(
    results: Path, *locust: str, asked: str, at: str = "measuring from"
) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, from when it has said `at` on."""
    argv = [sys.executable, "-c", PROGRAM, str(results), asked, *locust]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if at in line:
                break
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def started_by(process: subprocess.Popen[str], *, hubs: int) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in found]
    assert sum("trio_sse serve" in command for command in commands) == hubs
    assert any("locust" in command for command in commands)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_it_is_stopped_nothing_is_left_running(tmp_path: Path, number: int) -> None:
    with at_work(tmp_path, *PRETENDED, "--pretend=stay", asked="h1 --users=20000") as process:
        children = started_by(process, hubs=2)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []
    assert list(tmp_path.iterdir()) == []


def test_when_it_is_killed_the_kernel_ends_what_it_started(tmp_path: Path) -> None:
    with at_work(tmp_path, *PRETENDED, "--pretend=stay", asked="h1 --users=20000") as process:
        children = started_by(process, hubs=2)
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []


def test_a_server_that_dies_ends_the_variant_and_is_named(tmp_path: Path) -> None:
    with at_work(tmp_path, *PRETENDED, "--pretend=stay", asked="h1 --users=50") as process:
        children = started_by(process, hubs=1)
        server = next(child for child in children if "trio_sse" in child.cmdline())
        server.kill()
        assert process.wait(PATIENCE) == 1
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []
    (variant,) = read(only_folder(tmp_path)).variants
    assert variant.problems[0] == "A server was ended by signal 9."
    assert "has not written what it measured" in variant.problems[1]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_of_locust_too_nothing_is_left_running(tmp_path: Path, number: int) -> None:
    with at_work(tmp_path, *LOCUST, asked="smoke --users=20 --duration=600") as process:
        children = started_by(process, hubs=1)
        # Locust's master, its worker, and the publisher.
        assert len(children) >= 4
        process.send_signal(number)
        process.wait(PATIENCE)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []


@pytest.mark.timeout(120)
def test_a_person_has_locusts_own_pages_until_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    asked = f"ui --users=20 --web-port={port}"
    with at_work(tmp_path, *LOCUST, asked=asked, at=f"http://127.0.0.1:{port}") as process:
        page = f"http://127.0.0.1:{port}/"
        while not reachable(page):
            assert process.poll() is None
        assert "Locust" in httpx.get(page).text
        children = started_by(process, hubs=1)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []
    assert list(tmp_path.iterdir()) == []


def reachable(page: str) -> bool:
    try:
        return httpx.get(page).status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False
