"""A client that vanishes without a word: its machine lost the network, or its power.

Made with a network namespace, whose answers are thrown away from one moment on. Nothing tells
the server; heartbeats go on fitting the kernel's buffer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame

from trio_sse import Bind, Limits
from trio_sse.mercure import PATH

from .programs import lacking
from .site import PATIENCE, open_site, until

FOLLOW = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(bytes.fromhex(sys.argv[3]))
received = b""
while b"retry:" not in received:
    received += client.recv(4096)
print("following", flush=True)
sys.stdin.read()
"""

HTTP1 = f"GET {PATH}?topic=a HTTP/1.1\r\nHost: hub\r\n\r\n".encode()
HEAD = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "hub"),
    (":path", f"{PATH}?topic=a"),
]
HTTP2 = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + SettingsFrame(0).serialize()
    + HeadersFrame(1, Encoder().encode(HEAD), flags=["END_HEADERS", "END_STREAM"]).serialize()
)

OURS, THEIRS = "10.213.77.1", "10.213.77.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def network() -> Iterator[str]:
    """Another machine, at the other end of a cable: the name of its namespace."""
    name = f"sse{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{OURS}/24", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{THEIRS}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
        ip("netns", "del", name)


@pytest.fixture
def machine() -> Iterator[str]:
    if shutil.which("ip") is None:
        lacking("ip is not installed (Debian's iproute2)")
    with ExitStack() as stack:
        try:
            name = stack.enter_context(network())
        except subprocess.CalledProcessError as error:
            # It may be forbidden altogether, as it is to all but root and in many containers.
            lacking(f"this machine gives us no network namespace: {error.stderr.decode().strip()}")
        yield name


@pytest.mark.parametrize("asks", [HTTP1, HTTP2], ids=["HTTP/1.1", "HTTP/2"])
async def test_who_vanishes_is_dropped_though_heartbeats_fit_the_buffer(
    machine: str, asks: bytes
) -> None:
    # Nothing else would notice before the test fails.
    limits = Limits(heartbeat=0.2, unacknowledged_timeout=1, write_timeout=900, ping_interval=900)
    async with open_site(Bind(host=OURS, port=0), limits=limits) as site:
        command = ["ip", "netns", "exec", machine, sys.executable, "-c", FOLLOW]
        process = await trio.lowlevel.open_process(
            [*command, OURS, str(site.port), asks.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with process.stdin, process.stdout:
            with trio.fail_after(PATIENCE):
                assert await process.stdout.receive_some()
            assert site.server.statistics().streams == 1
            # From now on it hears, and nobody hears it.
            ip("-n", machine, "route", "add", "blackhole", f"{OURS}/32")
            await until(lambda: site.server.statistics().connections == 0)
            assert site.server.statistics().streams == 0
            assert site.server.statistics().drops == {"vanished": 1}
        await process.wait()
