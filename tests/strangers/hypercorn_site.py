"""The same site, as an ASGI application that Hypercorn serves on its Trio worker.

Hypercorn runs in the test's own Trio loop, by the function that its command runs too, so that a
test can look at the hub. An error that it logs, such as an exception from us, fails the test.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from trio_sse import Cors, Limits, Routes, open_hub
from trio_sse.asgi import Application
from trio_sse.mercure import mount

from .site import PATIENCE, Certificate, Site, until

__all__ = ["HypercornSite", "hypercorn_site"]


@dataclass
class HypercornSite(Site):
    """A running Hypercorn, the hub, and what the handlers have seen."""

    application: Application = field(init=False)
    urls: list[str] = field(init=False)
    stopping: trio.Event = field(default_factory=trio.Event)
    """Set it, and Hypercorn stops as it does at SIGTERM."""
    stopped: trio.Event = field(default_factory=trio.Event)

    @property
    def url(self) -> str:
        """In clear text: HTTP/1.1, and HTTP/2 for who knows."""
        return next(url for url in self.urls if url.startswith("http:"))

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def tls_port(self) -> int:
        """HTTP/1.1 and HTTP/2 by ALPN."""
        url = next(url for url in self.urls if url.startswith("https:"))
        return int(url.rpartition(":")[2])

    async def emptied(self) -> None:
        """Wait until there is no stream any more."""
        await until(lambda: self.application.statistics().streams == 0)


class _Errors(logging.Handler):
    """What Hypercorn had to say of us."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@asynccontextmanager
async def hypercorn_site(
    certificate: Certificate | None = None,
    *,
    limits: Limits | None = None,
    cors: Cors | None = None,
    max_events: int = 10_000,
    keep_alive: float = 5,
    graceful_timeout: float = 0.1,
) -> AsyncIterator[HypercornSite]:
    """Serve for the length of the block; then stop, within the time that Hypercorn grants."""
    limits = limits or Limits()
    config = Config()
    config.bind = ["127.0.0.1:0"]
    if certificate is not None:
        # With a certificate `bind` is for TLS.
        config.insecure_bind = ["127.0.0.1:0"]
        config.certfile, config.keyfile = str(certificate.chain), str(certificate.key)
    config.errorlog = logging.getLogger("hypercorn.error")
    config.keep_alive_timeout = keep_alive
    config.graceful_timeout = graceful_timeout

    async with open_hub(max_events=max_events) as hub, trio.open_nursery() as nursery:
        site = HypercornSite(hub, Routes(cors))
        mount(site.routes, hub, limits=limits)
        site.application = Application(site.routes, limits)

        async def run(*, task_status: trio.TaskStatus[list[str]]) -> None:
            await serve(
                site.application,
                config,
                shutdown_trigger=site.stopping.wait,
                task_status=task_status,
            )
            site.stopped.set()

        errors = _Errors()
        config.errorlog.addHandler(errors)
        site.urls = await nursery.start(run)
        yield site
        site.stopping.set()
        with trio.fail_after(PATIENCE):
            await site.stopped.wait()
        config.errorlog.removeHandler(errors)
        assert not errors.texts
