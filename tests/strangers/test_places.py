"""Where a server listens: one place or several at once, however they are named."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from trio_sse import Bind
from trio_sse.mercure import PATH

from .curl import answer, curl_stream
from .programs import needs
from .site import Certificate, open_site

pytestmark = needs("curl")

VERSIONS = ["--http1.0", "--http1.1", "--http2-prior-knowledge"]


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
    return True


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


@pytest.mark.parametrize(
    ("version", "protocol"),
    [("--http2", "HTTP/2"), ("--http1.1", "HTTP/1.1"), ("--http1.0", "HTTP/1.0")],
)
async def test_tls_speaks_what_alpn_agrees_on(
    certificate: Certificate, version: str, protocol: str
) -> None:
    async with open_site(Bind(port=0, tls=certificate.server())) as site:
        url = f"https://localhost:{site.port}/tell"
        _, body = await answer(version, "--cacert", str(certificate.ca), url)
        assert f'"protocol": "{protocol}"' in body


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
async def test_a_follower_over_tls_receives(certificate: Certificate, version: str) -> None:
    async with open_site(Bind(port=0, tls=certificate.server())) as site:
        ca = ["--cacert", str(certificate.ca)]
        async with curl_stream(version, *ca, site.hub_url("weather")) as stream:
            await site.followed()
            for number in range(100):
                site.hub.publish("weather", f"{number} {'x' * 5000}")
            for number in range(100):
                assert (await stream.event()).data == f"{number} {'x' * 5000}"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_unix_socket_serves(tmp_path: Path, version: str) -> None:
    path = str(tmp_path / "hub.sock")
    async with open_site(Bind(unix=path)) as site:
        _, body = await answer(version, "--unix-socket", path, "http://hub.example/tell")
        assert '"peer": "unix"' in body
        assert '"authority": "hub.example"' in body
        head, text = await answer(
            version, "--unix-socket", path, "-d", "topic=a&data=b", f"http://hub.example{PATH}"
        )
        # Whoever connects to a Unix socket may be a proxy: it does not count as this machine.
        assert " 403" in head.splitlines()[0]
        assert "machine" in text
        assert site.hub.statistics().published == 0


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 loopback address here")
@pytest.mark.parametrize("version", VERSIONS)
async def test_ipv6_serves_and_its_loopback_may_publish(version: str) -> None:
    async with open_site(Bind(host="::1", port=0)) as site:
        assert site.url == f"http://[::1]:{site.port}"
        _, body = await answer(version, f"{site.url}/tell")
        assert '"peer": "::1"' in body
        head, _ = await answer(version, "-d", "topic=a&data=b", site.url + PATH)
        assert " 200" in head.splitlines()[0]


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 loopback address here")
async def test_the_unspecified_ipv6_address_takes_ipv4_too() -> None:
    async with open_site(Bind(host="::", port=0)) as site:
        for host in ("127.0.0.1", "[::1]"):
            head, _ = await answer("-d", "topic=a&data=b", f"http://{host}:{site.port}{PATH}")
            assert " 200" in head.splitlines()[0]
