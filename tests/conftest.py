"""What holds for all tests, and what they ask for by name, wherever they are."""

from __future__ import annotations

import hypothesis
import pytest

# No example fails for being slow: the machine may be busy.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes run without coverage, which takes a third of Locust's start.

    For tests of programs that are not measured, and run what is in other tests' processes too.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
