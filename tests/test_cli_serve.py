"""`trio-sse serve` as its operator meets it: what it prints, how it stops, why it fails."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from running import HUB, Running, command, curl, drained, listening


def get(url: str, *options: str) -> str:
    with curl("--fail", *options, url) as client:
        assert client.finish() == 0, client.err
        return "\n".join(client.out)


def publish(url: str, data: str, *options: str) -> None:
    with curl("--fail", *options, "-d", "topic=t", "-d", data, url + HUB) as client:
        assert client.finish() == 0, client.err


# -- running ------------------------------------------------------------------------------


def test_it_prints_its_real_address_and_commands_that_work() -> None:
    with command("serve", "--port", "0") as server:
        url = listening(server)
        assert int(url.rpartition(":")[2]) > 0
        follow = server.expect("to follow a topic: *(curl .*)")[1]
        publish_it = server.expect("to publish to it: *(curl .*)")[1]
        with Running(["sh", "-c", f"exec {follow}"]) as listener:
            listener.expect("^retry: 2000", "out")
            assert subprocess.run(publish_it, shell=True, capture_output=True).returncode == 0
            listener.expect("^data: hello", "out")
        assert drained(server) == 0


def test_the_front_page_says_what_this_is_and_healthz_that_it_runs() -> None:
    with command("serve", "--port", "0") as server:
        url = listening(server)
        assert "Server-Sent Events hub" in get(url)
        assert HUB in get(url)
        assert get(f"{url}/healthz") == "ok"


def test_it_listens_on_a_unix_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with command("serve", "--unix-socket", path) as server:
        assert listening(server) == f"http+unix:{path}"
        assert get("http://localhost/healthz", "--unix-socket", str(path)) == "ok"
        assert drained(server) == 0
    assert len(re.findall("Listening on", server.err)) == 1
    assert "to publish" not in server.err, "a Unix socket is no loopback address"
    assert not path.exists()


def test_it_listens_on_tcp_too_if_a_port_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with command("serve", "--unix-socket", path, "--port", "0") as server:
        server.expect(r"Listening on http\+unix:")
        url = listening(server)
        assert get(f"{url}/healthz") == "ok"
        assert get("http://localhost/healthz", "--unix-socket", str(path)) == "ok"
        assert drained(server) == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_two_colons_take_ipv4_and_ipv6_and_the_hint_can_be_connected_to() -> None:
    with command("serve", "--host", "::", "--port", "0") as server:
        port = listening(server).rpartition(":")[2]
        assert f"http://[::1]:{port}{HUB}" in server.expect("to follow a topic")[0] + server.err
        assert get(f"http://127.0.0.1:{port}/healthz") == "ok"
        assert get(f"http://[::1]:{port}/healthz") == "ok"


def test_it_serves_tls_from_files_over_http2(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "site.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with command("serve", "--port", "0", "--tls-cert", tmp_path / "site.pem") as server:
        url = listening(server)
        assert url.startswith("https://127.0.0.1:")
        options = ("--cacert", str(tmp_path / "ca.pem"), "-o", "/dev/null", "-w", "%{http_version}")
        assert get(url, *options) == "2"
        assert get(url, "--http1.1", *options) == "1.1"


def test_self_signed_tls_shows_commands_that_accept_it() -> None:
    with command("serve", "--port", "0", "--self-signed") as server:
        assert listening(server).startswith("https://127.0.0.1:")
        follow = server.expect("to follow a topic: *(curl .*)")[1]
        with Running(["sh", "-c", f"exec {follow} -w '%{{http_version}}'"]) as listener:
            listener.expect("^retry: 2000", "out")
            assert drained(server) == 0
            listener.expect("^2$", "out")


def test_it_runs_without_httpx() -> None:
    script = (
        "import sys; sys.modules['httpx'] = None; sys.argv[1:] = ['serve', '--port', '0'];"
        "from trio_sse.cli import main; main()"
    )
    with Running([sys.executable, "-c", script]) as server:
        listening(server)
        assert drained(server) == 0


def test_it_raises_the_soft_limit_on_open_files() -> None:
    limited = f"ulimit -S -n 256; exec {sys.executable} -m trio_sse serve --port 0"
    with Running(["bash", "-c", limited]) as server:
        listening(server)
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        soft = re.search(r"Max open files +([0-9]+)", limits)
        assert soft is not None
        assert int(soft[1]) > 256


def test_it_has_python_look_for_garbage_less_often() -> None:
    script = "from trio_sse.cli.process import collect_rarely; import gc; collect_rarely();" + (
        "print(gc.get_threshold()[0], gc.get_freeze_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    threshold, frozen = map(int, done.stdout.split())
    assert threshold > 700
    assert frozen > 0


def test_it_says_so_when_the_hard_limit_on_open_files_is_too_low() -> None:
    limited = f"ulimit -n 256; exec {sys.executable} -m trio_sse serve --port 0"
    with Running(["bash", "-c", limited]) as server:
        server.expect("may open 256 files, so about 192 connections")
        listening(server)


# -- stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("tls", [False, True], ids=["http1", "http2"])
def test_a_signal_ends_streams_properly_with_a_time_to_come_back(
    signum: signal.Signals, tls: bool
) -> None:
    with command("serve", "--port", "0", *(["--self-signed"] if tls else [])) as server:
        url = listening(server)
        with curl("-k", f"{url}{HUB}?topic=t") as client:
            client.expect("^retry: 2000", "out")
            server.signal(signum)
            server.expect(
                r"^Draining: 1 stream, at most 10 s; press Ctrl-C again to stop at once\.$"
            )
            assert server.finish() == 0
            # curl fails if a chunked body or an HTTP/2 stream breaks off in the middle.
            assert client.finish() == 0, client.err
    retries = [line for line in client.out if line.startswith("retry: ")]
    assert len(retries) == 2
    assert 0 <= int(retries[-1].removeprefix("retry: ")) < 5000


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(signum: signal.Signals, code: int) -> None:
    with command(
        "serve", "--port", "0", "--drain-timeout", "600", "--write-timeout", "600"
    ) as server:
        url = listening(server)
        address = urlsplit(url)
        with socket.socket() as client:
            # A client that takes nothing: the last words to it would be waited for.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((address.hostname, address.port))
            client.sendall(f"GET {HUB}?topic=t HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(1, socket.MSG_PEEK)
            for _ in range(20):
                publish(url, "data=" + 100_000 * "x")
            server.signal(signal.SIGTERM)
            server.expect("^Draining: 1 stream, at most 600 s")
            server.signal(signum)
            assert server.finish() == code


# -- not starting -------------------------------------------------------------------------


def failing(*arguments: str | Path, code: int = 1) -> str:
    with command("serve", *arguments) as server:
        assert server.finish() == code
    return server.err.splitlines()[-1]


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert failing("--port", str(port)) == (
            f"Error: 127.0.0.1:{port} is in use: another program listens there. "
            "Choose another with --port, or 0 for any free one."
        )


def test_a_unix_socket_in_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert failing("--unix-socket", path) == (
            f"Error: {path} is in use: another program listens there. "
            "Choose another path with --unix-socket."
        )


def test_an_address_of_another_machine_is_named() -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737) and on no machine.
    assert failing("--host", "192.0.2.1") == (
        "Error: 192.0.2.1:8080 is not an address of this machine. Choose another with --host."
    )


def test_a_host_that_does_not_exist_is_named() -> None:
    assert failing("--host", "no.such.host.invalid").startswith(
        "Error: no.such.host.invalid:8080 is no place to listen: "
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_a_privileged_port_is_explained() -> None:
    assert "may not be used by this user" in failing("--port", "1")


def test_a_bad_certificate_is_named(tmp_path: Path) -> None:
    certificate = tmp_path / "site.pem"
    certificate.write_text("not a certificate")
    assert failing("--tls-cert", certificate).startswith(
        f"Error: {certificate} holds no certificate in PEM form"
    )


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "site.pem")
    # A directory cannot be read by root either, which a mode of 0 does not keep out.
    assert failing("--tls-cert", tmp_path / "site.pem", "--tls-key", tmp_path) == (
        f"Error: Cannot read the private key {tmp_path}: Is a directory."
    )


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("click", ["serve"]),
        ("httpx", ["listen", "http://localhost/"]),
        ("httpx", ["publish", "http://localhost/", "topic"]),
    ],
)
def test_without_a_package_of_the_extra_it_is_named(package: str, command: list[str]) -> None:
    script = f"import sys; sys.modules[{package!r}] = None; from trio_sse.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        f"The command line needs the package {package}: pip install 'trio-sse[cli]'\n"
    )
