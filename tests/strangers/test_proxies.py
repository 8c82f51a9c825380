"""The proxies that docs/operations.md sets up, between curl and a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from trio_sse import Bind, Limits
from trio_sse.mercure import PATH

from .curl import CurlStream, answer, curl_stream
from .programs import needs
from .proxies import PROXIES, run_proxy, unix_socket
from .site import Certificate, Site, open_site, until

pytestmark = needs("curl")

HEARTBEAT = 0.08

EMPTY_REPLY, RECEIVE_ERROR, HTTP2_STREAM_ERROR = 52, 56, 92  # curl(1), EXIT CODES


@pytest.fixture(params=[pytest.param(name, marks=needs(name)) for name in PROXIES])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The hub, which lets programs of its own machine publish."""
    async with open_site(limits=Limits(heartbeat=HEARTBEAT)) as site:
        yield site


@pytest.fixture
async def url(
    name: str, site: Site, certificate: Certificate, tmp_path: Path
) -> AsyncIterator[str]:
    """The hub's path at the proxy."""
    async with run_proxy(name, f"127.0.0.1:{site.port}", certificate, tmp_path) as origin:
        yield origin + PATH


@pytest.fixture(params=["--http1.1", "--http2"])
def options(request: pytest.FixtureRequest, certificate: Certificate) -> tuple[str, ...]:
    """How a browser asks: compression welcome, over both versions."""
    return request.param, "--cacert", str(certificate.ca), "-H", "Accept-Encoding: gzip, br"


async def first_comment(stream: CurlStream) -> None:
    """Wait for what opens a stream, before there is any event."""
    while not stream.raw.startswith(b":\nretry: 2000\n\n"):
        assert await stream.more()


async def test_each_event_arrives_before_the_next_is_published(
    site: Site, url: str, options: tuple[str, ...]
) -> None:
    async with curl_stream(*options, f"{url}?topic=weather") as stream:
        await first_comment(stream)
        for number in range(20):
            site.hub.publish("weather", f"event {number}")
            assert (await stream.event()).data == f"event {number}"
        large = "x" * 300_000
        site.hub.publish("weather", large)
        assert (await stream.event()).data == large


async def test_heartbeats_pass(site: Site, url: str, options: tuple[str, ...]) -> None:
    async with curl_stream(*options, f"{url}?topic=weather") as stream:
        await first_comment(stream)
        while stream.raw.count(b"\n\n:\n") < 2:
            assert await stream.more()


async def test_a_compressed_stream_passes_as_it_is(
    name: str, options: tuple[str, ...], certificate: Certificate, tmp_path: Path
) -> None:
    async with open_site(limits=Limits(compress_above=200)) as site:
        async with run_proxy(name, f"127.0.0.1:{site.port}", certificate, tmp_path) as origin:
            asked = ["--compressed", f"{origin}{PATH}?topic=weather"]
            async with curl_stream(*options[:3], "-D", str(tmp_path / "head"), *asked) as stream:
                await first_comment(stream)
                for data in ("rain " * 1000, "sun", "wind " * 1000):
                    site.hub.publish("weather", data)
                    assert (await stream.event()).data == data
        head = (tmp_path / "head").read_text().lower().splitlines()
        assert "content-encoding: deflate" in head


@pytest.mark.parametrize("how", ["header", "query"])
async def test_the_last_event_id_passes(
    site: Site, url: str, options: tuple[str, ...], how: str
) -> None:
    ids = [site.hub.publish("weather", str(number)) for number in range(3)]
    asked = ["-H", f"Last-Event-ID: {ids[0]}", f"{url}?topic=weather"]
    if how == "query":
        asked = [f"{url}?topic=weather&lastEventID={ids[0]}"]
    async with curl_stream(*options, *asked) as stream:
        assert [(await stream.event()).id for _ in range(2)] == ids[1:]


async def test_a_client_that_leaves_is_noticed_by_the_hub(
    site: Site, url: str, options: tuple[str, ...]
) -> None:
    async with curl_stream(*options, f"{url}?topic=weather") as stream:
        await first_comment(stream)
        assert site.server.statistics().streams == 1
        await stream.kill()
    await until(lambda: site.server.statistics().streams == 0)
    assert site.server.statistics().failed == 0


async def test_nobody_publishes_through_a_proxy(
    site: Site, url: str, options: tuple[str, ...]
) -> None:
    head, text = await answer(*options, "-d", "topic=weather&data=false", url)
    assert " 403" in head.splitlines()[0]
    assert "proxy" in text
    assert site.hub.statistics().published == 0


async def test_a_drain_reaches_the_clients_of_a_proxy(
    site: Site, url: str, options: tuple[str, ...]
) -> None:
    async with curl_stream(*options, f"{url}?topic=weather") as stream:
        await first_comment(stream)
        site.server.drain()
        await stream.rest()
        assert stream.raw.count(b"retry: ") == 2


async def test_nobody_is_answered_while_the_hub_is_away(
    url: str, site: Site, options: tuple[str, ...]
) -> None:
    site.server.drain()
    await until(lambda: site.server.statistics().connections == 0)
    done = await trio.run_process(
        ["curl", "-sS", "-w", "%{http_code}", *options, f"{url}?topic=weather"],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    # A status of 502 or 503 would be the end of an EventSource.
    assert done.stdout == b"000"
    assert done.returncode in (EMPTY_REPLY, HTTP2_STREAM_ERROR, RECEIVE_ERROR)


async def test_connections_to_the_hub_are_used_again(
    site: Site, url: str, options: tuple[str, ...]
) -> None:
    for _ in range(5):
        head, _ = await answer(*options, url)
        assert " 400" in head.splitlines()[0]
    assert site.server.statistics().requests == 5
    assert site.server.statistics().accepted == 1


async def test_caddy_alone_shares_connections_to_the_hub_among_browsers(
    name: str, site: Site, url: str, options: tuple[str, ...]
) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(curl_stream(*options, f"{url}?topic=weather"))
            for _ in range(5)
        ]
        for stream in streams:
            await first_comment(stream)
        site.hub.publish("weather", "rain")
        for stream in streams:
            assert (await stream.event()).data == "rain"
        assert site.server.statistics().connections == (1 if name == "caddy" else 5)


async def test_a_slow_client_does_not_slow_the_others(
    site: Site, url: str, certificate: Certificate
) -> None:
    events = 400
    asked = "--http2", "--cacert", str(certificate.ca), f"{url}?topic=weather"
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(curl_stream(*asked)) for _ in range(5)]
        for stream in streams:
            await first_comment(stream)
        for slow in streams[:2]:
            slow.freeze()
        # 8 MB: more than all the buffers on the way to a client that has stopped reading.
        for number in range(events):
            site.hub.publish("weather", f"{number} {'x' * 20_000}")
        for stream in streams[2:]:
            for number in range(events):
                assert str((await stream.event()).data).startswith(f"{number} ")


async def test_a_unix_socket_serves_a_proxy_and_nobody_publishes_over_it(
    name: str, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sock"
    tls = "--cacert", str(certificate.ca)
    hub = unix_socket(name).replace("/run/trio-sse/hub.sock", str(path))
    async with (
        open_site(Bind(unix=str(path))) as site,
        run_proxy(name, hub, certificate, tmp_path) as origin,
        curl_stream(*tls, f"{origin}{PATH}?topic=weather") as stream,
    ):
        await first_comment(stream)
        site.hub.publish("weather", "rain")
        assert (await stream.event()).data == "rain"
        head, _ = await answer(*tls, "-d", "topic=weather&data=false", origin + PATH)
        assert " 403" in head.splitlines()[0]
