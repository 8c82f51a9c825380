"""What tests ask for by name, wherever they are."""

from __future__ import annotations

import pytest


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes run without coverage, which takes a third of Locust's start.

    For tests of programs that are not measured, and run what is in other tests' processes too.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
