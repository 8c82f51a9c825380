"""What holds for all tests, and what they ask for by name, wherever they are."""

from __future__ import annotations

import signal

import hypothesis
import pytest

# No example fails for being slow: the machine may be busy.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# Who is started in the background by a shell ignores Ctrl-C, and so do the commands that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes run without coverage, which takes a third of Locust's start.

    For tests of programs that are not measured, and run what is in other tests' processes too.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
