"""The process around a server: which signals stop it, how many files it may open, and how
often Python looks for garbage.
"""

from __future__ import annotations

import gc
import logging
import resource
from collections.abc import AsyncIterator

import click
import trio

from ..limits import Limits
from ..server import Server

__all__ = ["Stop", "allow_files", "collect_rarely"]

logger = logging.getLogger("trio_sse.cli")

COLLECTING = (10_000, 50, 100)
"""Objects made until Python looks for cycles among the youngest, and how many such looks make one
among the older, and the oldest. A connection is some 40 objects that stay, so by default (700,
10, 10) it looks through the older every 200 connections, in vain: connections leave no cycles
behind. This is a fifth of the time that a connection's set-up takes. Beyond 10,000 the youngest are
no longer in the processor's cache, and to look through them takes longer again."""

SPARE_FILES = 64
"""Files beside connections: listeners, standard streams, the event loop's own, name look-ups."""


class Stop:
    """What signals do: the first one drains the server, the second one cancels it."""

    def __init__(self) -> None:
        self.exit_code = 0

    async def watch(
        self,
        signals: AsyncIterator[int],
        server: Server,
        limits: Limits,
        serving: trio.CancelScope,
    ) -> None:
        """Wait for the signals, and be cancelled once the server has stopped."""
        await anext(signals)
        streams = server.statistics().streams
        click.echo(
            f"Draining: {streams:,} stream{'' if streams == 1 else 's'}, "
            f"at most {limits.drain_timeout:g} s; press Ctrl-C again to stop at once.",
            err=True,
        )
        server.drain()
        self.exit_code = 128 + await anext(signals)
        serving.cancel()


def allow_files(connections: int) -> None:
    """Raise the limit on open files to what `connections` need, or say that it is too low.

    Many systems start programs with 1,024 for the sake of select(2), which we do not use.
    """
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        logger.warning(
            "This process may open %d files, so about %d connections: raise it with ulimit -n, "
            "or LimitNOFILE= under systemd, or lower --max-connections",
            allowed,
            max(allowed - SPARE_FILES, 0),
        )


def collect_rarely() -> None:
    """Have Python look for garbage less often, and never among what is there already."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)
