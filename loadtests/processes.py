"""The processes that a load test starts, and that none of them stays behind.

A child has a process group of its own, so that Ctrl-C reaches the starter alone, which then ends
its children in order. Should that be killed itself, the kernel ends them. Each runs on
the processors it is given, and every wait on one has an end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from .proc import members, threads

__all__ = ["Child", "ChildFailed", "Process"]

PR_SET_PDEATHSIG = 1  # prctl(2)
GRACE_SECONDS = 5.0
"""What a child has, once its standard input has ended, before it is killed."""

LINE_SECONDS = 5.0
"""For the rest of a line that has begun."""

INTERRUPTIONS = {signal.SIGINT, signal.SIGTERM}

_LIBC = ctypes.CDLL(None, use_errno=True)


class ChildFailed(Exception):
    """A child ended, or did not answer in time; the text has its last words."""

    def __init__(self, text: str, what: str = "", last: str = "") -> None:
        super().__init__(text)
        self.what = what or text
        """The same without its command."""
        self.last = last
        """The last line that it wrote."""


class Process:
    """A process and its group. Ends with the `with` block, whatever happens."""

    def __init__(self, argv: Sequence[str], cpus: Iterable[int], *, cwd: str) -> None:
        self._argv = argv
        self._cpus = set(cpus)
        self._cwd = cwd

    def __enter__(self) -> Self:
        # Not to be interrupted between a process's start and our knowing of it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._argv,
            cwd=self._cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.speaks else self._stderr,
            stderr=self._stderr,
            start_new_session=True,
            # Safe: who starts processes has one thread.
            preexec_fn=_settle_in(self._cpus, mask),
        )
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self.greet()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def greet(self) -> None:
        """Wait until it is ready."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if kind is None and self.ends_with_input:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            # The group may outlive its leader: servers have workers.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._stderr.close()

    ends_with_input = False
    """Whether it ends by itself when its standard input does."""

    speaks = False
    """Whether we read its standard output; if not, that goes where its errors go."""

    @property
    def pid(self) -> int:
        """Its id, which is its group's too."""
        return self._process.pid

    def scheduled(self) -> tuple[float, float]:
        """Return the seconds that its group has run, and that it was ready but had to wait.

        All living processes and threads of the group together (proc_pid_schedstat).
        """
        ran = waited = 0
        for folder, _ in members(self.pid):
            for figures in threads(folder):
                ran += figures[0]
                waited += figures[1]
        return ran / 1e9, waited / 1e9

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise self.failure(f"was ended by signal {-code}" if code < 0 else f"ended with {code}")

    def failure(self, what: str) -> ChildFailed:
        """Return what to raise about it, with its last words."""
        words = self.said().decode(errors="replace").strip()[-2000:]
        # Who is killed has not said why.
        killed = (self._process.returncode or 0) < 0
        last = words.splitlines()[-1].strip() if words and not killed else ""
        return ChildFailed(f"{' '.join(self._argv)[:120]} {what}\n{words}", what, last)

    def said(self, offset: int = 0) -> bytes:
        """Return what it has written to its log, its standard error, from an offset on."""
        # Not by seek and read: the child writes at the offset that it shares with us.
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), max(0, size - offset), offset)

    def stop(self, seconds: float) -> int | None:
        """Ask it to end (SIGTERM); return its exit code, None if it did not within that time."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        return self.ended(seconds)

    def ended(self, seconds: float = 0.0) -> int | None:
        """Return its exit code, None if it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Child(Process):
    """A process that takes lines on standard input and answers in lines of JSON."""

    ends_with_input = True
    speaks = True

    def __init__(self, argv: Sequence[str], cpus: Iterable[int], *, cwd: str) -> None:
        super().__init__(argv, cpus, cwd=cwd)
        self._answers: dict[int, dict[str, Any]] = {}
        self._ticket = 0
        self._unread = b""

    def send(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self.failure("ended") from None

    def order(self, do: str, **arguments: Any) -> int:
        """Have it do something; return the ticket to `collect` the answer with."""
        self._ticket += 1
        self.send(json.dumps({"do": do, "ticket": self._ticket} | arguments))
        return self._ticket

    def collect(self, ticket: int, seconds: float) -> dict[str, Any]:
        """Wait for the answer to an order. Raises ChildFailed."""
        while ticket not in self._answers:
            answer = self.read(seconds)
            self._answers[answer["ticket"]] = answer
        return self._answers.pop(ticket)

    def has_answered(self, ticket: int) -> bool:
        """Say whether an order is answered by now. Raises ChildFailed if it never will be."""
        assert self._process.stdout is not None
        while b"\n" in self._unread or select.select([self._process.stdout], [], [], 0)[0]:
            answer = self.read(LINE_SECONDS)
            self._answers[answer["ticket"]] = answer
        return ticket in self._answers

    def ask(self, do: str, *, within: float = 20.0, **arguments: Any) -> dict[str, Any]:
        """Have it do something and wait for the answer."""
        return self.collect(self.order(do, **arguments), within)

    def read(self, seconds: float) -> dict[str, Any]:
        """Return the next line that it prints. Raises ChildFailed."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise self.failure(f"did not answer within {seconds:.0f} s")
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            if not data:
                raise self.failure("ended")
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer


def _settle_in(cpus: set[int], mask: Iterable[int]) -> Callable[[], None]:
    """Return what a child does first: takes its processors, and all files that it may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def settle_in() -> None:
        os.sched_setaffinity(0, cpus)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return settle_in
