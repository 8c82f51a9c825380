"""`trio-sse publish` against a real hub: what is taken, what is refused, who waits for whom."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import HUB, Running, command, drained, interrupted_inside_httpx, listening

# Runs a command on a terminal and copies what it says to standard output.
TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def hub() -> Iterator[str]:
    with command("serve", "--port", "0", "--max-event", "1000") as server:
        yield listening(server)
        assert drained(server) == 0


def stored(url: str, count: int) -> list[str]:
    """The data of the first events in the hub's history."""
    arguments = ("-t", "t", "--last-id", "earliest", "--count", str(count))
    with command("listen", url, *arguments) as listener:
        assert listener.finish() == 0
    return listener.out


def publishing(url: str, *arguments: str) -> Running:
    return command("publish", url, "t", *arguments, stdin=subprocess.PIPE)


def test_each_line_is_an_event_in_order(hub: str) -> None:
    with publishing(hub) as publisher:
        publisher.send("one", "two", "", "ü & ä=%20+")
        publisher.end_input()
        assert publisher.finish() == 0
    assert stored(hub, 4) == ["one", "two", "", "ü & ä=%20+"]
    assert publisher.out == []
    assert publisher.err == "", "nothing but progress, and that only on a terminal"


def test_a_line_is_published_at_once(hub: str) -> None:
    with publishing(hub) as publisher:
        publisher.send("one")
        assert stored(hub, 1) == ["one"]
        publisher.send("two")
        assert stored(hub, 2) == ["one", "two"]


def test_a_file_is_published(hub: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntw\xffo\nlast")
    with (
        (tmp_path / "log").open() as file,
        command("publish", hub, "t", stdin=file.fileno()) as publisher,
    ):
        assert publisher.finish() == 0
    assert stored(hub, 3) == ["one", "tw\ufffdo", "last"]


def test_data_is_published_once_with_type_id_and_retry_and_the_id_printed(hub: str) -> None:
    arguments = ("--data", "a\nb", "--type", "tick", "--id", "id-1", "--retry", "77")
    with publishing(hub, *arguments) as publisher:
        assert publisher.finish() == 0
    assert publisher.out == ["id-1"]
    with Running(["curl", "-sN", f"{hub}{HUB}?topic=t&lastEventID=earliest"]) as client:
        client.expect("^id: id-1$", "out")
        client.expect("^event: tick$", "out")
        client.expect("^retry: 77$", "out")
        client.expect("^data: a$", "out")
        client.expect("^data: b$", "out")


def test_an_argument_that_is_no_utf8_is_repaired(hub: str) -> None:
    with publishing(hub, "--data", "a\udcffb") as publisher:
        assert publisher.finish() == 0
    assert stored(hub, 1) == ["a\ufffdb"]


def test_an_id_for_many_events_is_refused(hub: str) -> None:
    with publishing(hub, "--id", "1") as publisher:
        assert publisher.finish() == 2
    assert "--id goes with --data" in publisher.err


@pytest.mark.parametrize("length", [2_000, 8_000_000], ids=["of an event", "of a body"])
def test_a_line_over_the_limit_is_told_and_not_tried_for_ever_and_the_others_go_on(
    hub: str, length: int
) -> None:
    with publishing(hub) as publisher:
        publisher.send("one", "x" * length, "three")
        publisher.end_input()
        assert publisher.finish() == 1
    assert publisher.err.startswith(f"Line 2 is refused: {hub}{HUB} answered 413 ")
    assert stored(hub, 2) == ["one", "three"]


def test_a_line_too_long_for_memory_is_left_out(hub: str) -> None:
    with publishing(hub) as publisher:
        publisher.send("x" * 17 * 1024 * 1024, "two")
        publisher.end_input()
        assert publisher.finish() == 1
    assert publisher.err == "Line 1 is too long to publish; it is left out."
    assert stored(hub, 1) == ["two"]


def test_a_refusal_that_every_line_would_meet_ends_it() -> None:
    with command("serve", "--port", "0", "--publish-from", "nobody") as server:
        with publishing(listening(server)) as publisher:
            publisher.send("one", "two")
            assert publisher.finish() == 1
        assert publisher.err.count("is refused") == 1
        assert "answered 405 Method Not Allowed" in publisher.err


def test_data_for_a_server_that_is_not_there_fails_at_once() -> None:
    with publishing("http://127.0.0.1:9", "--data", "x") as publisher:
        assert publisher.finish() == 1
    assert publisher.err == (
        "Error: http://127.0.0.1:9 refuses connections: nothing listens there."
    )


def test_ctrl_c_while_it_waits_for_a_line_is_quiet(hub: str) -> None:
    with publishing(hub) as publisher:
        publisher.send("one")
        assert stored(hub, 1) == ["one"]
        publisher.signal(signal.SIGINT)
        assert publisher.finish() == 130
    assert publisher.err == ""


def test_ctrl_c_while_it_waits_for_the_server_is_quiet() -> None:
    with publishing("http://127.0.0.1:9") as publisher:
        publisher.send("one")
        publisher.expect("nothing listens there. Line 1 waits for it.")
        publisher.signal(signal.SIGINT)
        assert publisher.finish() == 130


def test_ctrl_c_while_an_answer_comes_is_quiet(hub: str) -> None:
    with interrupted_inside_httpx("publish", "-k", hub, "t", "--data", "x") as publisher:
        assert publisher.finish() == 130
    assert publisher.err == ""


def test_progress_is_shown_on_a_terminal(hub: str) -> None:
    script = f"printf 'one\\ntwo\\n' | {sys.executable} -m trio_sse publish {hub} t"
    with Running([sys.executable, "-c", TERMINAL, "sh", "-c", script]) as publisher:
        assert publisher.finish() == 0
    said = "".join(publisher.out)
    assert "0 events, 0/s" in said
    assert "2 events." in said
    assert stored(hub, 2) == ["one", "two"]


def test_whoever_types_the_lines_is_told_how_to_end(hub: str) -> None:
    argv = [sys.executable, "-m", "trio_sse", "publish", hub, "t"]
    with Running([sys.executable, "-c", TERMINAL, *argv], stdin=subprocess.PIPE) as publisher:
        publisher.expect("Each line you type is published; Ctrl-D ends.", "out")
        publisher.send("hello", "\x04")
        assert publisher.finish() == 0
    assert stored(hub, 1) == ["hello"]


@pytest.mark.parametrize("tls", [False, True], ids=["http1", "http2"])
def test_a_restart_of_the_server_loses_no_line(tls: bool) -> None:
    options = ["--retry", "0.1", "--reconnect-spread", "0", *(["--self-signed"] if tls else [])]
    with command("serve", "--port", "0", *options) as first:
        url = listening(first)
        port = url.rpartition(":")[2]
        with (
            command("listen", "-k", url, "-t", "t") as listener,
            publishing(url, "-k") as publisher,
        ):
            listener.expect(f"over HTTP/{'2' if tls else '1.1'}")
            publisher.send("one", "two")
            listener.expect("^two$", "out")
            assert drained(first) == 0
            publisher.send("three", "four")
            publisher.expect(r"Line 3 waits for it\.")
            with command("serve", "--port", port, *options) as second:
                publisher.expect(r"Publishing again, from line 3 on\.")
                listener.expect("^four$", "out")
                publisher.send("five")
                listener.expect("^five$", "out")
                publisher.end_input()
                assert publisher.finish() == 0
                assert drained(second) == 0
    assert listener.out == ["one", "two", "three", "four", "five"]
    # The history went with the first server, and the listener is told so.
    assert "Gap: events were lost" in listener.err
