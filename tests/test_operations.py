"""docs/operations.md without its proxies: its settings are taken, its messages come."""

from __future__ import annotations

import configparser
import re
import shlex
import socket
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path

from running import HUB, PATIENCE, Running, command, drained
from trio_sse import Limits
from trio_sse.cli.process import SPARE_FILES

DOCUMENT = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_unit_allows_the_files_and_the_time_that_the_settings_need() -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini"))
    service = unit["Service"]
    connections = tomllib.loads(block("toml"))["max-connections"]
    assert service.getint("LimitNOFILE") == connections + SPARE_FILES
    assert float(service["TimeoutStopSec"]) > Limits().drain_timeout + 1
    socket_path = tomllib.loads(block("toml"))["unix-socket"]
    assert Path(socket_path).parent == Path("/run", service["RuntimeDirectory"])


def test_the_settings_file_is_taken(tmp_path: Path) -> None:
    settings = block("toml").replace("/run/trio-sse", str(tmp_path)).replace("8080", "0")
    (tmp_path / "trio-sse.toml").write_text(settings)
    with command("serve", "--config", tmp_path / "trio-sse.toml") as server:
        server.expect(r"Listening on http\+unix:")
        server.expect("Listening on http://127.0.0.1:")
        assert drained(server) == 0


def test_its_commands_run(tmp_path: Path) -> None:
    for line in re.findall(r"^\$ (.*)$", DOCUMENT, re.MULTILINE):
        program, *arguments = shlex.split(line.replace("/run/trio-sse", str(tmp_path)))
        assert program == "trio-sse"
        with command(*(each.replace("8080", "0") for each in arguments)) as server:
            server.expect(r"Listening on http\+unix:")
            server.expect("Listening on http://127.0.0.1:")
            assert drained(server) == 0


def message(start: str) -> str:
    """A message as the document has it, as a pattern: with any numbers, up to an ellipsis."""
    [found] = re.findall(rf"`({start}[^`]*)`", DOCUMENT)
    return re.sub("[0-9]+", "[0-9]+", re.escape(found.partition(" …")[0]))


def hear(client: socket.socket, text: bytes) -> None:
    """Read until there is this text."""
    heard = b""
    while text not in heard:
        piece = client.recv(4096)
        assert piece, f"the end came before {text!r}: {heard!r}"
        heard += piece


def test_who_may_open_few_files_is_warned_and_serves_on_and_accepts_when_some_are_closed() -> None:
    limited = f"ulimit -n 80 && exec {sys.executable} -m trio_sse serve --port 0"
    with Running(["sh", "-c", limited]) as server:
        server.expect(message("This process may open"))
        port = int(server.expect(r"Listening on \S+:(\d+)")[1])

        def connected() -> socket.socket:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

        with connected() as follower, connected() as publisher:
            follower.sendall(b"GET %b?topic=a HTTP/1.1\r\nHost: hub\r\n\r\n" % HUB.encode())
            hear(follower, b"retry:")
            publisher.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
            hear(publisher, b"HTTP/1.1 200 ")
            with ExitStack() as crowd:
                for _ in range(100):
                    crowd.enter_context(connected())
                server.expect(message("Cannot accept connections"))
                publisher.sendall(
                    b"POST %b HTTP/1.1\r\nHost: hub\r\nContent-Length: 17\r\n"
                    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
                    b"topic=a&data=more" % HUB.encode()
                )
                hear(publisher, b"HTTP/1.1 200 ")
                hear(follower, b"data: more\n")
        with connected() as late:
            late.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            hear(late, b"HTTP/1.1 200 ")
        assert drained(server) == 0
