"""What every stranger needs: a server to talk to, and a certificate to trust."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .site import Certificate, Site, open_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A server in clear text on a free port of 127.0.0.1, with the default limits."""
    async with open_site() as site:
        yield site


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once: an authority and a leaf take a tenth of a second."""
    return Certificate(tmp_path_factory.mktemp("certificate"))
