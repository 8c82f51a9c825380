"""The documents say what is so: limits, links, commands, and code that runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from trio_sse import Limits

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ASGI = (ROOT / "docs" / "asgi.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def blocks(language: str, document: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def commands(document: str = README) -> list[str]:
    """Every command that a document has one type, in order."""
    return re.findall(r"^\$ (.+)$", "".join(blocks("console", document)), re.MULTILINE)


@contextmanager
def running(*command: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A program that goes on until the block ends, when Ctrl-C must stop it in an orderly way."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # `with` would wait for it for ever
                raise


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """Wait for a line of output that has `text` in it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line.strip()
    pytest.fail(f"{text!r} never came, but: {''.join(seen)}")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def first_data(url: str) -> str:
    """The data of the first event of a stream."""
    with urllib.request.urlopen(url, timeout=20) as stream:
        for line in map(bytes.decode, stream):
            if line.startswith("data: "):
                return line.removeprefix("data: ").strip()
    pytest.fail(f"{url} ended without an event")


# -- the README's commands ------------------------------------------------------------


def test_every_command_of_the_readme_is_tried_below() -> None:
    assert [command.split("127.0.0.1")[0].strip() for command in commands()] == [
        "make demo",
        "make test",
        "pip install '.[cli]'",
        "trio-sse serve --port 8080",
        "trio-sse listen",
        "curl -d topic=news -d data=Hello http://",
        'echo "Hello again" | trio-sse publish',
    ]


def test_make_demo_serves_over_both_protocols_and_stops_at_ctrl_c() -> None:
    with running("make", "demo", "ARGS=--port 0 --tls-port 0") as demo:
        assert "https://" in line_with(demo, "https://")


def test_make_test_is_a_target() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "pytest" in planned.stdout


def test_the_extra_that_the_readme_installs_has_what_the_command_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = " ".join(project["optional-dependencies"]["cli"])
    assert all(name in needed for name in ("click", "httpx", "cryptography"))


def test_the_commands_of_the_hub_work_together(free_port: int) -> None:
    serve, listen, curl, publish = (each.replace("8080", str(free_port)) for each in commands()[3:])
    with running("bash", "-c", f"exec {serve}") as server:
        assert line_with(server, "Listening") == f"Listening on http://127.0.0.1:{free_port}"
        with running("bash", "-c", f"exec {listen}") as listener:
            line_with(listener, "Listening")
            subprocess.run(["bash", "-c", curl], env=ENVIRONMENT, check=True, capture_output=True)
            line_with(listener, "Hello")
            subprocess.run(["bash", "-c", publish], env=ENVIRONMENT, check=True)
            line_with(listener, "Hello again")


def test_the_program_in_the_readme_runs(free_port: int, tmp_path: Path) -> None:
    [program] = blocks("python")
    path = tmp_path / "program.py"
    path.write_text(program.replace("8080", str(free_port)))
    with running(sys.executable, "-u", str(path)) as process:
        address = line_with(process, "http://")
        assert first_data(f"{address}/count") == "0"
        assert first_data(f"{address}/news?lastEventID=earliest") == "Hello"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_each_example_runs(example: Path, free_port: int, tmp_path: Path) -> None:
    path = tmp_path / example.name
    path.write_text(example.read_text().replace("8080", str(free_port)))
    tries = re.findall(r"^curl .+$", path.read_text(), re.MULTILINE)
    assert tries, "an example says how to try it"
    assert shutil.which("curl"), "curl is needed to try the examples"
    with running(sys.executable, "-u", str(path)) as process:
        line_with(process, "Listening")
        for command in tries:
            with running("bash", "-c", f"exec {command} --silent") as curl:
                line_with(curl, "data: ")


# -- under an ASGI server ---------------------------------------------------------------


def test_the_command_that_serves_the_hub_by_asgi_works(free_port: int) -> None:
    [command] = commands(ASGI)
    with running("bash", "-c", f"exec {command} --bind 127.0.0.1:{free_port}") as server:
        line_with(server, "Running on")
        url = f"http://127.0.0.1:{free_port}/healthz"
        assert urllib.request.urlopen(url, timeout=20).read() == b"ok\n"


def test_the_routes_of_ones_own_are_served_by_asgi(free_port: int, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(blocks("python", ASGI)[0])
    options = ("--worker-class", "trio", "--bind", f"127.0.0.1:{free_port}")
    with running("hypercorn", *options, "app:app", PYTHONPATH=str(tmp_path)) as server:
        line_with(server, "Running on")
        url = f"http://127.0.0.1:{free_port}/news?lastEventID=earliest"
        assert first_data(url) == "Hello"


def test_the_program_that_drains_before_hypercorn_stops_tells_when_to_return(
    free_port: int, tmp_path: Path
) -> None:
    _, program = blocks("python", ASGI)
    path = tmp_path / "program.py"
    path.write_text(program.replace("8080", str(free_port)))
    follow = f"http://127.0.0.1:{free_port}/.well-known/mercure?topic=a"
    with running(sys.executable, "-u", str(path)) as server:
        line_with(server, "Running on")
        with running("curl", "-sSN", "--http2-prior-knowledge", follow) as curl:
            line_with(curl, "retry: ")
            server.send_signal(signal.SIGTERM)
            line_with(curl, "retry: ")


# -- what the documents say ------------------------------------------------------------


def test_the_readme_has_every_limit_with_its_default() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", README, re.MULTILINE))
    assert table == {field.name: shown(field.default) for field in fields(Limits)}


def test_the_document_on_security_has_each_limit_that_it_names_with_its_default() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", SECURITY, re.MULTILINE))
    defaults = {field.name: shown(field.default) for field in fields(Limits)}
    assert table == {name: defaults[name] for name in table}
    # What answers no threat may be named, as something else that one can do.
    others = {"max_lifetime", "retry_when_full"}
    assert {name for name in defaults if f"`{name}`" in SECURITY} - others == set(table)


def shown(default: object) -> str:
    if default is None:
        return "off"
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", document.read_text()):
        assert (document.parent / link).exists(), link
