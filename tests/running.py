"""The real command in a real process, whose output is waited for line by line."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

PATIENCE = 20.0
"""Seconds that a line may take on a busy machine. Nothing waits for this long on purpose."""

HUB = "/.well-known/mercure"

WARNINGS = "default,ignore:Async generator 'httpx._content:ResourceWarning"
"""Shown, but for one that httpx causes itself: it leaves the body of a request that could not be
sent over HTTP/2 to the garbage collector."""

CTRL_C_INSIDE_HTTPX = """
import signal, httpx._models as models
from trio_sse.cli import main

class Chunker(models.ByteChunker):
    def decode(self, content):
        signal.raise_signal(signal.SIGINT)
        return super().decode(content)

models.ByteChunker = Chunker
main()
"""

Channel = Literal["out", "err"]


class Running:
    """A process and everything it has said. Killed at the end of `with`, if it still runs."""

    def __init__(
        self,
        argv: Iterable[str],
        *,
        stdin: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        inherited = {key: value for key, value in os.environ.items() if "TRIO_SSE" not in key}
        self.process = subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=inherited | {"PYTHONWARNINGS": WARNINGS} | dict(environment or {}),
        )
        self.said: dict[Channel, list[str]] = {"out": [], "err": []}
        self._lines: dict[Channel, queue.Queue[str | None]] = {}
        self._readers = [
            self._read("out", self.process.stdout),
            self._read("err", self.process.stderr),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()

    def expect(self, pattern: str, channel: Channel = "err") -> re.Match[str]:
        """Wait for a line in which `pattern` is found; the lines before it are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines[channel].get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {pattern!r} in time: {self.said}") from None
            if line is None:
                raise AssertionError(f"the output ended without {pattern!r}: {self.said}")
            if found := re.search(pattern, line):
                return found

    def send(self, *lines: str) -> None:
        """Type lines."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def finish(self) -> int:
        """Wait for the end and return the exit code; nothing may have gone wrong unseen."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        text = "\n".join(self.said["err"])
        for trouble in ("Traceback", "Exception ignored", "Warning:"):
            assert trouble not in text, text
        return code

    @property
    def out(self) -> list[str]:
        """What it has said on standard output; complete after `finish()`."""
        return self.said["out"]

    @property
    def err(self) -> str:
        """What it has said on standard error; complete after `finish()`."""
        return "\n".join(self.said["err"])

    def _read(self, channel: Channel, stream: IO[bytes] | None) -> threading.Thread:
        assert stream is not None
        lines = self._lines[channel] = queue.Queue()

        def read() -> None:
            with stream:
                for raw in stream:
                    line = raw.decode(errors="replace").rstrip("\r\n")
                    self.said[channel].append(line)
                    lines.put(line)
            lines.put(None)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread


def command(
    *arguments: str | Path,
    stdin: int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Running:
    """Start `trio-sse` with these arguments."""
    argv = [sys.executable, "-m", "trio_sse", *map(str, arguments)]
    return Running(argv, stdin=stdin, environment=environment, cwd=cwd)


def interrupted_inside_httpx(*arguments: str) -> Running:
    """Start `trio-sse`, and Ctrl-C comes while httpx passes a chunk on through its generators."""
    return Running([sys.executable, "-c", CTRL_C_INSIDE_HTTPX, *arguments])


def curl(*arguments: str) -> Running:
    """Start curl: no progress, no buffering, no proxy."""
    return Running(
        ["curl", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", *arguments]
    )


def listening(server: Running) -> str:
    """Wait until a server listens and return its first URL."""
    return server.expect(r"Listening on (\S+)")[1]


def drained(server: Running, signum: signal.Signals = signal.SIGTERM) -> int:
    """Stop a server gracefully and return its exit code."""
    server.signal(signum)
    return server.finish()
