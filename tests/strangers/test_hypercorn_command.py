"""The command that the documentation gives, in a process of its own, with our own client."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from running import PATIENCE, Running, command

from .site import Certificate

HUB = "trio_sse.asgi:hub()"


@contextmanager
def hypercorn(*arguments: str) -> Iterator[Running]:
    """Run Hypercorn for the length of the block at most."""
    argv = [sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:0", "--graceful-timeout", "1"]
    with Running([*argv, *arguments]) as server:
        try:
            yield server
        finally:
            # Not killed: its worker is a process of its own, and would stay.
            server.signal(signal.SIGTERM)
            server.process.wait(PATIENCE)


def where(server: Running) -> str:
    """Wait until it listens and return its URL."""
    return server.expect(r"Running on (\S+) \(")[1]


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_the_hub_opens_serves_and_closes_with_hypercorn(
    certificate: Certificate, protocol: str
) -> None:
    files = ("--certfile", str(certificate.chain), "--keyfile", str(certificate.key))
    tls = files if protocol == "HTTP/2" else ()
    with hypercorn("--worker-class", "trio", *tls, HUB) as server:
        url = where(server)
        with command("listen", "-k", url, "-t", "news", "--no-reconnect") as listener:
            listener.expect(f"^Listening to .* over {protocol}.$")
            with command("publish", "-k", url, "news", "--data", "Hello") as publisher:
                assert publisher.finish() == 0
            listener.expect("^Hello$", "out")
            server.signal(signal.SIGTERM)
            listener.process.wait(PATIENCE)
        assert server.finish() == 0
    assert not re.search("ERROR|WARNING", server.err)


def test_on_asyncio_it_fails_at_the_start_and_says_how_to_run_it() -> None:
    with hypercorn(HUB) as server:
        server.expect("Lifespan failure in startup.*hypercorn --worker-class trio MODULE:APP")
        server.process.wait(PATIENCE)
    assert "Running on" not in server.err


def test_a_lifespan_that_fails_ends_hypercorn() -> None:
    with hypercorn("--worker-class", "trio", "trio_sse.asgi:hub(max_events=0)") as server:
        server.expect("Lifespan failure in startup.*must each be at least 1")
        server.process.wait(PATIENCE)
