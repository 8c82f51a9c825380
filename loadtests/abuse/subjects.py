"""Who is attacked, and the canary beside: processes that end with their `with` block."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .. import ROOT
from ..processes import Child

__all__ = ["LIMITS", "Canary"]

LIMITS: dict[str, float] = {
    "max_connections_per_address": 200,
    "head_timeout": 2.0,
    "body_timeout": 2.0,
    "idle_timeout": 2.0,
    "write_timeout": 2.0,
    "ping_interval": 2.0,
    "ping_timeout": 2.0,
    "stop_timeout": 2.0,
}
"""Shorter than the defaults, so that who says nothing is gone in seconds, and a limit for each
address, as a server has that browsers reach directly; all else is as it is."""

REPORT_SECONDS = 60.0


class Canary(Child):
    """A well-behaved client in a process of its own."""

    def __init__(self, port: int, cpus: Iterable[int], *arguments: str) -> None:
        """`arguments` are further ones of `loadtests.abuse.canary`."""
        argv = [sys.executable, "-m", "loadtests.abuse.canary", str(port), *arguments]
        super().__init__(argv, cpus, cwd=str(ROOT))

    def greet(self) -> None:
        """Wait until it follows."""
        self.read(REPORT_SECONDS)

    def report(self, tls_port: int | None = None) -> dict[str, Any]:
        """Return what it has seen since the last report.

        From then on it opens every other stream over TLS, if it is told at which port.
        """
        return self.collect(self.ask_for_report(tls_port), REPORT_SECONDS)

    def ask_for_report(self, tls_port: int | None = None) -> int:
        """Ask for the same; return the ticket to `collect` it with, in REPORT_SECONDS."""
        return self.order("report", tls_port=tls_port)
