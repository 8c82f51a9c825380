"""Where the settings of `serve` come from, which one wins, and how a wrong one is told."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from running import command, curl, drained, listening
from trio_sse.cli.options import LIMIT_OPTIONS, SIZE, LimitOption, limits_from
from trio_sse.cli.serve import serve
from trio_sse.limits import Limits


def settings(*arguments: str | Path) -> dict[str, Any]:
    """The values that `serve` would run with."""
    with serve.make_context("trio-sse serve", [str(each) for each in arguments]) as context:
        return context.params


def refusal(*arguments: str | Path) -> str:
    with pytest.raises(click.UsageError) as caught:
        settings(*arguments)
    assert caught.value.exit_code == 2
    return caught.value.format_message()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hub.toml"


def test_the_defaults_are_those_of_limits() -> None:
    assert limits_from(settings()) == Limits()


def test_every_limit_has_an_option() -> None:
    assert {option.field for option in LIMIT_OPTIONS} == {field.name for field in fields(Limits)}


def test_each_limit_option_sets_a_field_of_its_own() -> None:
    arguments = [f"--{option.name}={5 + n}" for n, option in enumerate(LIMIT_OPTIONS)]
    limits = limits_from(settings(*arguments))
    assert [getattr(limits, option.field) for option in LIMIT_OPTIONS] == [
        5 + n for n in range(len(LIMIT_OPTIONS))
    ]


OPTIONAL = [option for option in LIMIT_OPTIONS if "None" in Limits.__annotations__[option.field]]


@pytest.mark.parametrize("option", OPTIONAL, ids=lambda option: option.name)
def test_what_may_be_off_can_be_switched_off(
    option: LimitOption, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = f"{option.name} = 5\n"
    file.write_text(on)
    assert getattr(limits_from(settings("--config", file)), option.field) == 5
    flag = settings("--config", file, f"--{option.name}=off")
    assert getattr(limits_from(flag), option.field) is None
    file.write_text(f'{option.name} = "off"\n')
    assert getattr(limits_from(settings("--config", file)), option.field) is None
    file.write_text(on)
    monkeypatch.setenv("TRIO_SSE_" + option.name.replace("-", "_").upper(), "OFF")
    assert getattr(limits_from(settings("--config", file)), option.field) is None


def test_what_must_be_on_cannot_be_switched_off() -> None:
    assert "'off' is not a valid float range." in refusal("--heartbeat=off")


# -- precedence ---------------------------------------------------------------------------


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port = 1\nheartbeat = 1\nmax-streams = 1\n")
    monkeypatch.setenv("TRIO_SSE_PORT", "2")
    monkeypatch.setenv("TRIO_SSE_HEARTBEAT", "2")
    found = settings("--config", file, "--port", "3")
    assert (found["port"], found["heartbeat"], found["max_streams"]) == (3, 2.0, 1)
    assert found["history_events"] == 10_000


def test_each_option_has_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_SSE_SELF_SIGNED", "1")
    monkeypatch.setenv("TRIO_SSE_HISTORY_BYTES", "1MiB")
    monkeypatch.setenv("TRIO_SSE_CORS_ORIGIN", "https://a.test https://b.test")
    monkeypatch.setenv("TRIO_SSE_PUBLISH_FROM", "nobody")
    found = settings()
    assert found["self_signed"] is True
    assert found["history_bytes"] == 1024 * 1024
    assert found["cors_origin"] == ("https://a.test", "https://b.test")
    assert found["publish_from"] == "nobody"


def test_the_environment_may_name_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("port = 7\n")
    monkeypatch.setenv("TRIO_SSE_CONFIG", str(file))
    assert settings()["port"] == 7


def test_keys_are_written_with_dashes_or_underscores(file: Path) -> None:
    file.write_text(
        'history-events = 5\nhistory_bytes = "2k"\nmax-body = 99\nself-signed = true\n'
        'tls-key = "key.pem"\nmax_lifetime = 1.5\ncors-origin = ["https://a.test"]\n'
        'log-level = "debug"\n'
    )
    found = settings("--config", file)
    assert found["history_events"] == 5
    assert found["history_bytes"] == 2048
    assert found["max_body"] == 99
    assert found["self_signed"] is True
    assert found["tls_key"] == Path("key.pem")
    assert found["max_lifetime"] == 1.5
    assert found["cors_origin"] == ("https://a.test",)
    assert found["log_level"] == "debug"


def test_one_origin_needs_no_list(file: Path) -> None:
    file.write_text('cors-origin = "https://a.test"\n')
    assert settings("--config", file)["cors_origin"] == ("https://a.test",)


def test_the_settings_of_the_three_places_reach_the_server(file: Path) -> None:
    file.write_text('port = 0\nretry = 9\ncors-origin = ["https://page.test"]\n')
    environment = {"TRIO_SSE_PUBLISH_FROM": "nobody", "TRIO_SSE_RETRY": "8"}
    with command("serve", "--retry", "7", "--config", file, environment=environment) as server:
        url = listening(server)
        hub = f"{url}/.well-known/mercure"
        with curl("-i", "-H", "Origin: https://page.test", f"{hub}?topic=t") as client:
            client.expect("^access-control-allow-origin: https://page.test", "out")
            client.expect("^retry: 7000", "out")
        with curl("-o", "/dev/null", "-w", "%{http_code}", "-d", "topic=t", hub) as client:
            client.expect("^405", "out")
        assert drained(server) == 0


# -- what is wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "there is no setting 'prot'; the nearest one is 'port'."),
        ("history_event = 1", "there is no setting 'history_event'; the nearest one is"),
        ("zzz = 1", "there is no setting 'zzz'; the nearest one is"),
        ("config = 'x'", "there is no setting 'config'; the nearest one is"),
        ("[serve]\nport = 1", "there is no setting 'serve'; the nearest one is"),
        ("port = '80'", "port must be a whole number, not '80'."),
        ("port = true", "port must be a whole number, not True."),
        ("port = 80.5", "port must be a whole number, not 80.5."),
        ("port = 70000", "port: 70000 is not in the range"),
        ("heartbeat = '1s'", "heartbeat must be a number of seconds, not '1s'."),
        ("retry = false", "retry must be a number of seconds, or 'off', not False."),
        ("heartbeat = 0", "heartbeat: 0.0 is not in the range"),
        ("self-signed = 1", "self-signed must be true or false, not 1."),
        ("host = 1", "host must be a text, not 1."),
        ("host = ['a']", "host must be a text, not ['a']."),
        ("max-body = '1 elephant'", "max-body: '1 elephant' is not a size such as"),
        ("max-body = 1.5", "max-body must be a number of bytes or a text such as '64MiB', not"),
        ("cors-origin = [1]", "cors-origin must be a list of texts, not 1."),
        ("publish-from = 'me'", "publish-from: 'me' is not one of"),
    ],
)
def test_a_wrong_setting_is_told_with_file_and_key(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    assert refusal("--config", file).startswith(f"{file}: {sentence}")


def test_a_file_that_is_not_toml_is_told_with_the_line(file: Path) -> None:
    file.write_text("port = 1\nhost localhost\n")
    assert refusal("--config", file).startswith(f"{file} is not valid TOML: ")
    assert "line 2" in refusal("--config", file)


def test_a_file_that_is_not_text_is_told(file: Path) -> None:
    file.write_bytes(b"port = \xff\n")
    assert refusal("--config", file) == f"{file} is not UTF-8 text, as TOML must be."


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    assert refusal("--config", file) == f"Cannot read {file}: No such file or directory."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--self-signed", "--tls-cert", "a.pem"], "--self-signed makes a certificate; "),
        (["--tls-key", "a.pem"], "--tls-key goes with --tls-cert."),
        (["--cors-origin", "example.org/"], "--cors-origin: 'example.org/' is not an origin"),
    ],
)
def test_settings_that_do_not_go_together_end_with_code_2(
    arguments: list[str], sentence: str
) -> None:
    with command("serve", *arguments) as server:
        assert server.finish() == 2
    assert server.err.splitlines()[-1].startswith(f"Error: {sentence}")


def test_any_origin_is_allowed_without_credentials() -> None:
    with command("serve", "--port", "0", "--cors-origin", "*") as server:
        url = listening(server)
        with curl("-i", "-H", "Origin: https://page.test", f"{url}/healthz") as client:
            assert client.finish() == 0
    assert "access-control-allow-origin: *" in client.out
    assert "access-control-allow-credentials: true" not in client.out


# -- sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1000", 1000),
        ("64MiB", 64 * 1024 * 1024),
        ("64 mib", 64 * 1024 * 1024),
        ("64M", 64 * 1024 * 1024),
        ("64MB", 64_000_000),
        ("1.5KiB", 1536),
        ("2G", 2 * 1024**3),
        ("10B", 10),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "MiB", "1e6", "0.2", "1XB", "1.MiB", "9" * 400])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a size such as 1000000, 512KiB or 64MiB"):
        SIZE.convert(text, None, None)
