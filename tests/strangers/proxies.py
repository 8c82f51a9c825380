"""nginx, Caddy and HAProxy with the configurations of docs/operations.md, as child processes.

Owns what a test must change in them (addresses, certificate) and what they need around them
(the sections that a package's own files have). Everything stays on loopback and in a folder
of the test.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from .site import PATIENCE, Certificate

__all__ = ["PROXIES", "Proxy", "run_proxy", "unix_socket"]

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{block}}}
"""

CADDY = """\
{{
	admin off
	auto_https disable_redirects
	servers {{
		protocols h1 h2
	}}
}}
{block}"""


@dataclass(frozen=True)
class Proxy:
    """A proxy program: how to start it with its block, and how one sees that it is ready."""

    language: str
    """Of its block in the document."""
    command: tuple[str, ...]
    around: str
    ready: bytes
    """In the line it writes when it listens."""
    place: Callable[[str, int, Certificate], str]
    """Puts a port and a certificate into its block."""


def _place_nginx(block: str, port: int, certificate: Certificate) -> str:
    block = block.replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    block = block.replace("/etc/ssl/events.example.org.pem", str(certificate.chain))
    block = block.replace("/etc/ssl/events.example.org.key", str(certificate.key))
    return block.replace("events.example.org", "localhost")


def _place_caddy(block: str, port: int, certificate: Certificate) -> str:
    tls = f"\n\tbind 127.0.0.1\n\ttls {certificate.chain} {certificate.key}"
    return block.replace("events.example.org {", f"https://localhost:{port} {{{tls}")


def _place_haproxy(block: str, port: int, certificate: Certificate) -> str:
    block = block.replace("bind :443 ", f"bind 127.0.0.1:{port} ")
    return block.replace("/etc/ssl/events.example.org.pem", str(certificate.both))


PROXIES = {
    "nginx": Proxy(
        "nginx",
        ("nginx", "-e", "stderr", "-c", "{file}"),
        NGINX,
        b"getrlimit(RLIMIT_NOFILE)",
        _place_nginx,
    ),
    "caddy": Proxy(
        "caddyfile",
        ("caddy", "run", "--adapter", "caddyfile", "--config", "{file}"),
        CADDY,
        b"serving initial configuration",
        _place_caddy,
    ),
    "haproxy": Proxy(
        "haproxy",
        ("haproxy", "-W", "-db", "-f", "{file}"),
        "{block}",
        b"Loading success",
        _place_haproxy,
    ),
}


@asynccontextmanager
async def run_proxy(
    name: str, hub: str, certificate: Certificate, folder: Path
) -> AsyncIterator[str]:
    """Run a proxy in front of `hub`, which is written as the proxy wants it; yield its URL."""
    proxy = PROXIES[name]
    [block] = re.findall(rf"^```{proxy.language}\n(.*?)^```$", OPERATIONS.read_text(), re.M | re.S)
    port = _free_port()
    placed = proxy.place(block.replace("127.0.0.1:8080", hub), port, certificate)
    file = folder / f"{name}.conf"
    file.write_text(proxy.around.format(folder=folder, block=placed))
    async with _running([part.format(file=file) for part in proxy.command], folder, proxy.ready):
        yield f"https://localhost:{port}"


def unix_socket(name: str) -> str:
    """Return how a proxy wants the hub's Unix socket written."""
    [written] = re.findall(rf"^\| {name} \| `(.*)` \|$", OPERATIONS.read_text(), re.M | re.I)
    return str(written)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _running(command: list[str], folder: Path, ready: bytes) -> AsyncIterator[None]:
    """Run a program that has begun to listen, until the end of the block."""
    # Caddy keeps its things in the home folder.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    assert process.stderr is not None
    try:
        said = b""
        with trio.fail_after(PATIENCE):
            while ready not in said:
                more = await process.stderr.receive_some()
                assert more, f"{command[0]} stopped: {said.decode()}"
                said += more
        async with trio.open_nursery() as nursery:
            # Its messages have to go somewhere, or it would wait for us.
            nursery.start_soon(_drop, process.stderr)
            yield
            nursery.cancel_scope.cancel()
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stderr.aclose()


async def _drop(messages: trio.abc.ReceiveStream) -> None:
    while await messages.receive_some():
        pass
