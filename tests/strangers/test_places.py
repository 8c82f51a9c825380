"""Where a server listens: one place or several at once, however they are named."""

from __future__ import annotations

from pathlib import Path

from trio_sse import Bind

from .curl import answer
from .programs import needs
from .site import open_site

pytestmark = needs("curl")


async def test_one_server_listens_in_several_places_and_leaves_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with open_site(Bind(port=0), Bind(port=0), Bind(unix=str(path))) as site:
        first, second, unix = site.server.addresses
        assert str(unix) == f"http+unix:{path}"
        for place in (
            [f"{first}/page"],
            [f"{second}/page"],
            ["--unix-socket", str(path), "http://x/page"],
        ):
            _, body = await answer(*place)
            assert body == "A page.\n"
        site.server.drain()
    assert not path.exists()
