"""Locust, with our users in it: started, listened to, and what it leaves.

Its master says in lines that begin with `sse: ` how far it is, one of them when measuring begins;
at its end it writes what was measured to a file. Everything else that it says is kept for the
case that it fails.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .. import ROOT
from ..listening import free_port
from ..processes import Process
from .load import Load

__all__ = ["FAILED", "FOUND_WRONG", "LOCUST", "Clients"]

LOCUST = (sys.executable, "-m", "locust")

SAID = b"sse: "

FAILED = "FAILED: "
"""How lines begin that say why it ends with FOUND_WRONG."""

MEASURING = re.compile(r"measuring from ([\d.]+) for ([\d.]+)")

FOUND_WRONG = 1
"""The exit code with which Locust says that the load test failed, and not Locust."""


class Clients(Process):
    """A Locust at work. Ends with the `with` block.

    With a `port` it has its own pages there, and does nothing until it is told on them.
    """

    def __init__(
        self,
        load: Load,
        hubs: Sequence[str],
        processes: int,
        cpus: Iterable[int],
        folder: Path,
        *,
        more: Sequence[str] = (),
        port: int | None = None,
        locust: Sequence[str] = LOCUST,
    ) -> None:
        self._output = folder / "measured.json"
        locustfile = ROOT / "loadtests" / "locustfiles" / f"{load.protocol}.py"
        super().__init__(
            [
                *locust,
                f"--locustfile={locustfile}",
                *_master(free_port()),
                *(("--headless", "--only-summary") if port is None else _pages(port)),
                *load.arguments(hubs, processes, self._output if port is None else None),
                *more,
            ],
            cpus,
            cwd=str(ROOT),
        )
        self._read = 0
        self.measuring_since: float | None = None
        """When measuring began, once it has."""
        self.told: list[str] = []
        """All that it has said of how far it is."""

    def news(self) -> list[str]:
        """Return what it has said of how far it is, since it was asked last."""
        whole, newline, _ = self.said(self._read).rpartition(b"\n")
        self._read += len(whole) + len(newline)
        told = [
            line.removeprefix(SAID).decode(errors="replace").strip()
            for line in whole.splitlines()
            if line.startswith(SAID)
        ]
        self.told += told
        for words in told:
            if began := MEASURING.fullmatch(words):
                self.measuring_since = float(began[1])
        return told

    def measured(self) -> dict[str, Any] | None:
        """Return what it has written; None if it has not, or not all of it."""
        try:
            written: dict[str, Any] = json.loads(self._output.read_text())
        except (OSError, ValueError):
            return None
        return written


def _master(port: int) -> tuple[str, str, str]:
    # Not Locust's own port, on all addresses: there may be another Locust at work here.
    return "--master-bind-host=127.0.0.1", f"--master-bind-port={port}", f"--master-port={port}"


def _pages(port: int) -> tuple[str, str]:
    return "--web-host=127.0.0.1", f"--web-port={port}"
