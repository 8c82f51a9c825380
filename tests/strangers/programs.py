"""Programs that tests run: where there is none the test is skipped, and says why.

With TRIO_SSE_REQUIRE_STRANGERS=1 in the environment, as on the machine that decides, a
missing program fails the test instead: a skipped test shows nothing.
"""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["needs"]


def needs(program: str) -> pytest.MarkDecorator:
    """Mark a test that runs `program`."""
    required = os.environ.get("TRIO_SSE_REQUIRE_STRANGERS") == "1"
    missing = shutil.which(program) is None and not required
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")
