"""What was logged that an operator would see."""

from __future__ import annotations

import logging

import pytest

__all__ = ["Log", "complaints"]

Log = pytest.LogCaptureFixture


def complaints(caplog: Log) -> list[str]:
    """What has been logged above DEBUG. Clients come and go: of that there is nothing."""
    return [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG]
