"""`trio-sse listen` against a real hub: on a terminal, in a pipe, as JSON."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from running import PATIENCE, Running, command, drained, interrupted_inside_httpx, listening
from trio_sse.cli.listen import gap, pretty
from trio_sse.event import Event

TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture(params=[False, True], ids=["clear", "tls"])
def hub(request: pytest.FixtureRequest) -> Iterator[str]:
    with command("serve", "--port", "0", *(["--self-signed"] if request.param else [])) as server:
        yield listening(server)
        assert drained(server) == 0


@pytest.fixture
def clear_hub() -> Iterator[str]:
    with command("serve", "--port", "0") as server:
        yield listening(server)
        assert drained(server) == 0


def publish(url: str, topic: str, data: str, *arguments: str) -> None:
    with command("publish", "-k", url, topic, "--data", data, *arguments) as publisher:
        assert publisher.finish() == 0, publisher.err


# -- what is printed ----------------------------------------------------------------------


def test_data_goes_to_a_pipe_as_it_is(hub: str) -> None:
    with command("listen", "-k", hub, "-t", "a", "--topic", "b", "--count", "2") as listener:
        listener.expect(f"^Listening to {hub}/.*topic=a&topic=b over HTTP/")
        publish(hub, "a", "one\ntwo \x1b[31m")
        publish(hub, "c", "not for us")
        publish(hub, "b", "three", "--type", "tick")
        assert listener.finish() == 0
    assert listener.out == ["one", "two \x1b[31m", "three"]


def test_json_is_an_object_a_line(hub: str) -> None:
    with command("listen", "-k", hub, "-t", "*", "--json", "--count", "2") as listener:
        listener.expect("^Listening")
        publish(hub, "a", "ü\n\x1b", "--id", "1", "--type", "tick")
        publish(hub, "b", "", "--id", "2")
        assert listener.finish() == 0
    assert [json.loads(line) for line in listener.out] == [
        {"id": "1", "type": "tick", "data": "ü\n\x1b"},
        {"id": "2", "type": "message", "data": ""},
    ]


def test_a_terminal_is_shown_time_type_id_and_data(clear_hub: str) -> None:
    publish(clear_hub, "t", "hello", "--id", "id-1", "--type", "tick")
    argv = [sys.executable, "-m", "trio_sse", "listen", clear_hub, "-t", "t"]
    argv += ["--last-id", "earliest", "--count", "1"]
    with Running([sys.executable, "-c", TERMINAL, *argv]) as listener:
        line = listener.expect("hello", "out").string
        assert listener.finish() == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert plain != line, "there are colours"
    assert re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}  tick  id-1  hello", plain)


def bare(event: Event) -> str:
    noon = datetime(2026, 1, 2, 12, 0, 0)
    return pretty(event, noon, style=lambda text, **_: str(text))


def test_further_lines_are_indented_on_a_terminal() -> None:
    assert bare(Event("a\nb")) == "12:00:00  message\n          a\n          b"


def test_an_event_cannot_drive_the_terminal() -> None:
    shown = bare(Event("\x1b]0;title\x07\x9b31m\u202e\r\tok", id="\x1b[2J", type="\x1bc"))
    expected = r"12:00:00  \x1bc  \x1b[2J  \x1b]0;title\x07\x9b31m\u202e\r" + "\tok"
    assert shown == expected


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ('{"lost":1200}', "up to 1,200 events were lost"),
        ('{"lost":null}', "Gap: events were lost"),
        ("\x1b[2J", "Gap: events were lost"),
        ('{"lost":' + "9" * 5000 + "}", "Gap: events were lost"),
    ],
)
def test_a_gap_is_said_in_words(data: str, sentence: str) -> None:
    assert sentence in gap(data)


def test_a_gap_is_a_warning_beside_the_events(clear_hub: str) -> None:
    publish(clear_hub, "t", "kept")
    arguments = ("-t", "t", "--last-id", "long-gone", "--count", "1")
    with command("listen", clear_hub, *arguments) as listener:
        assert listener.finish() == 0
    assert listener.out == ["kept"]
    assert "Gap: events were lost, as the server's history no longer has them." in listener.err
    with command("listen", clear_hub, *arguments, "--json") as listener:
        assert listener.finish() == 0
    assert json.loads(listener.out[0])["type"] == "trio-sse.gap"


def test_it_begins_after_the_id_it_is_given(clear_hub: str) -> None:
    for number in "123":
        publish(clear_hub, "t", f"event {number}", "--id", number)
    with command("listen", clear_hub, "-t", "t", "--last-id", "1", "--count", "2") as listener:
        assert listener.finish() == 0
    assert listener.out == ["event 2", "event 3"]


# -- how it ends --------------------------------------------------------------------------


def test_ctrl_c_is_quiet(hub: str) -> None:
    with command("listen", "-k", hub, "-t", "t") as listener:
        listener.expect("^Listening")
        listener.signal(signal.SIGINT)
        assert listener.finish() == 130
    assert len(listener.err.splitlines()) == 1


def test_ctrl_c_is_quiet_while_events_pour_in(hub: str) -> None:
    publish(hub, "t", "event")
    arguments = ("listen", "-k", hub, "-t", "t", "--last-id", "earliest")
    with interrupted_inside_httpx(*arguments) as listener:
        assert listener.finish() == 130
    assert len(listener.err.splitlines()) == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly(clear_hub: str) -> None:
    listen = f"{sys.executable} -m trio_sse listen {clear_hub} -t t | head -n 1"
    with Running(["bash", "-c", f"set -o pipefail; {listen}"]) as pipeline:
        pipeline.expect("^Listening")
        deadline = time.monotonic() + PATIENCE
        # Only an event after head is gone meets the closed pipe.
        while pipeline.process.poll() is None and time.monotonic() < deadline:
            publish(clear_hub, "t", "event")
        assert pipeline.finish() == 0
    assert pipeline.out == ["event"]
    assert len(pipeline.err.splitlines()) == 1


def test_without_reconnecting_it_ends_with_the_stream() -> None:
    with command("serve", "--port", "0") as server:
        url = listening(server)
        with command("listen", url, "-t", "t", "--no-reconnect") as listener:
            listener.expect("^Listening")
            assert drained(server) == 0
            assert listener.finish() == 0
        with command("listen", url, "-t", "t", "--no-reconnect") as listener:
            assert listener.finish() == 1
    assert listener.err == f"Error: {url} refuses connections: nothing listens there."


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    with command("serve", "--port", "0") as server:
        url = listening(server)
        assert drained(server) == 0
    with command("listen", url, "-t", "t") as listener:
        listener.expect(r"nothing listens there\. Trying again in [0-9.]+ s\.")
        with command("serve", "--port", url.rpartition(":")[2]) as server:
            listener.expect("^Listening to .* again over HTTP/1.1")
            assert drained(server) == 0


def test_a_url_that_is_no_stream_is_told(clear_hub: str) -> None:
    with command("listen", clear_hub) as listener:
        assert listener.finish() == 1
    hint, error = listener.err.splitlines()
    assert hint == "A hub's stream is named by --topic; this asks for the URL as it stands."
    assert re.fullmatch(r"Error: .* sends text/plain.*, which is no text/event-stream\.", error)


def test_a_refusal_quotes_the_server(clear_hub: str) -> None:
    with command("listen", f"{clear_hub}/.well-known/mercure") as listener:
        assert listener.finish() == 1
    assert listener.err.endswith("answered 400 Bad Request: Name at least one topic: topic=...")


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    with (
        command("serve", "--port", "0", "--self-signed") as server,
        command("listen", listening(server), "-t", "t") as listener,
    ):
        assert listener.finish() == 1
    assert "shows a certificate that is not trusted: self-signed certificate" in listener.err
    assert listener.err.endswith("In development, --insecure accepts it.")


def test_the_version_is_told() -> None:
    with command("--version") as version:
        assert version.finish() == 0
    assert re.fullmatch(r"trio-sse [0-9]+\.[0-9]+\.[0-9]+", version.out[0])


def test_who_mistypes_a_command_is_told_which_there_is() -> None:
    with command("publsh") as mistyped:
        assert mistyped.finish() == 2
    assert mistyped.err.endswith("No such command 'publsh'. Did you mean 'publish'?")
