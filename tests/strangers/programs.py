"""Programs that tests run: where there is none the test is skipped, and says why.

With TRIO_SSE_REQUIRE_STRANGERS=1 in the environment, as on the machine that decides, a
missing program fails the test instead: a skipped test shows nothing.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["lacking", "needs"]


def _are_required() -> bool:
    return os.environ.get("TRIO_SSE_REQUIRE_STRANGERS") == "1"


def needs(program: str) -> pytest.MarkDecorator:
    """Mark a test that runs `program`."""
    missing = shutil.which(program) is None and not _are_required()
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


def lacking(what: str) -> NoReturn:
    """Skip a test as the machine lacks something, or fail it: `what` is a sentence for people."""
    if _are_required():
        pytest.fail(f"{what}, and TRIO_SSE_REQUIRE_STRANGERS=1 asks for it", pytrace=False)
    pytest.skip(what)
