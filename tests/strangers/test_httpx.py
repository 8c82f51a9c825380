"""httpx on Trio, over HTTP/1.1 and HTTP/2, in clear text and over TLS."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest
import trio

from trio_sse import Bind, Cors, Decoder, Event
from trio_sse.mercure import PATH

from .site import PATIENCE, Certificate, Site, open_site, until

# httpx leaves its own generators to the garbage collector when a stream is left in the middle.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http(x|core):ResourceWarning")

ORIGIN = "https://app.example.org"
TRANSPORTS = {
    "HTTP/1.1": ("HTTP/1.1", False),
    "HTTP/2": ("HTTP/2", False),
    "HTTP/1.1 over TLS": ("HTTP/1.1", True),
    "HTTP/2 over TLS": ("HTTP/2", True),
}


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """A version of HTTP, in clear text or over TLS."""
    return str(request.param)


@pytest.fixture
async def site(transport: str, certificate: Certificate) -> AsyncIterator[Site]:
    tls = certificate.server() if TRANSPORTS[transport][1] else None
    async with open_site(Bind(port=0, tls=tls), cors=Cors([ORIGIN])) as site:
        yield site


@pytest.fixture
async def client(
    transport: str, site: Site, certificate: Certificate
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks this transport, and nothing else in clear text."""
    version, is_secure = TRANSPORTS[transport]
    async with httpx.AsyncClient(
        base_url=f"{site.server.addresses[0].scheme}://localhost:{site.port}",
        http1=version == "HTTP/1.1" or is_secure,
        http2=version == "HTTP/2",
        verify=certificate.client() if is_secure else False,
        trust_env=False,
        timeout=PATIENCE,
    ) as client:
        yield client


@asynccontextmanager
async def events(
    client: httpx.AsyncClient, path: str, method: str = "GET", **options: object
) -> AsyncIterator[AsyncIterator[Event]]:
    """Ask for a stream, and yield the events of it."""
    async with client.stream(method, path, **options) as response:  # type: ignore[arg-type]
        assert response.status_code == 200, await response.aread()

        async def decoded() -> AsyncGenerator[Event]:
            decoder = Decoder()
            async for piece in response.aiter_raw():
                for event in decoder.feed(piece):
                    yield event

        async with aclosing(decoded()) as stream:
            yield stream


async def test_the_version_is_the_one_asked_for(client: httpx.AsyncClient, transport: str) -> None:
    async with events(client, "/tell") as stream:
        told = json.loads((await anext(stream)).data or "")
    assert told["protocol"] == TRANSPORTS[transport][0]


async def test_ten_streams_receive_what_they_follow(client: httpx.AsyncClient, site: Site) -> None:
    async def follow(number: int) -> None:
        path = f"{PATH}?topic=all&topic=only-{number}"
        async with events(client, path) as stream:
            received = [(await anext(stream)).data for _ in range(3)]
            assert received == ["first", f"for {number}", "last"]

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(follow, number)
        await site.followed(10)
        site.hub.publish("all", "first")
        for number in range(10):
            site.hub.publish(f"only-{number}", f"for {number}")
        site.hub.publish("all", "last")


async def test_a_stream_resumes_where_it_was_broken_off(
    client: httpx.AsyncClient, site: Site
) -> None:
    """Publishing goes on while the client is away, and while it catches up."""
    published = [site.hub.publish("all", f"{number}") for number in range(3)]
    received: list[str] = []
    # Each stream is left in the middle of what there is to read.
    for _ in range(20):
        last = {"Last-Event-ID": received[-1] if received else "earliest"}
        async with events(client, f"{PATH}?topic=all", headers=last) as stream:
            for _ in range(3):
                received.append(str((await anext(stream)).id))
                published.extend(site.hub.publish("all", "more") for _ in range(2))
    assert received == published[:60]


async def test_a_posted_body_reaches_the_streaming_handler(client: httpx.AsyncClient) -> None:
    question = "what? " * 10_000
    async with events(client, "/tell", "POST", content=question) as stream:
        told = json.loads((await anext(stream)).data or "")
    assert told["body"] == question


async def test_a_client_that_leaves_a_stream_is_noticed(
    client: httpx.AsyncClient, site: Site
) -> None:
    async with events(client, "/hold") as stream:
        await anext(stream)
        assert site.held == 1
    # On HTTP/2 httpx cancels no stream, and goes on with the connection.
    await client.aclose()
    await until(lambda: site.held == 0)
    await until(lambda: site.server.statistics().streams == 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/page", 200),
        ("HEAD", "/page", 200),
        ("HEAD", "/hold", 200),
        ("GET", "/enough", 204),
        ("OPTIONS", "/hold", 204),
        ("GET", "/refused", 403),
        ("GET", "/nowhere", 404),
        ("PUT", "/hold", 405),
    ],
)
async def test_finite_answers(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert (method == "HEAD" or status == 204) == (response.content == b"")
    if status == 405:
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_stream_may_be_headed_and_never_runs(client: httpx.AsyncClient, site: Site) -> None:
    response = await client.head("/hold")
    assert response.headers["content-type"] == "text/event-stream"
    assert site.held == 0


async def test_an_id_may_be_any_text(client: httpx.AsyncClient, site: Site) -> None:
    for event_id in ("a b", "été", "日本", "%0A", "x" * 5_000):
        form = {"topic": "all", "id": event_id, "data": "first"}
        response = await client.post(PATH, data=form)
        assert response.text == event_id
        site.hub.publish("all", "second")
        last = {"Last-Event-ID": event_id.encode()}
        async with events(client, f"{PATH}?topic=all", headers=last) as stream:
            assert (await anext(stream)).data == "second"


async def test_a_form_publishes_all_that_an_event_has(
    client: httpx.AsyncClient, site: Site
) -> None:
    form = {
        "topic": ["a", "b"],
        "data": "first line\nsecond: été",
        "id": "7",
        "type": "forecast",
        "retry": "1500",
    }
    async with events(client, f"{PATH}?topic=b&topic=a") as stream:
        await site.followed()
        assert (await client.post(PATH, data=form)).text == "7"
        expected = Event("first line\nsecond: été", type="forecast", id="7")
        assert await anext(stream) == expected
        response = await client.post(PATH, data=form)
        assert response.status_code == 409


async def test_an_allowed_origin_may_ask_with_credentials(client: httpx.AsyncClient) -> None:
    origin = {"Origin": ORIGIN}
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = await client.options("/tell", headers=origin | ask)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    for path in ("/tell", "/page", "/refused", f"{PATH}?"):
        response = await client.get(path, headers=origin | {"Cookie": "user=me"})
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["vary"] == "origin"


async def test_other_origins_are_told_nothing(client: httpx.AsyncClient) -> None:
    for path in ("/tell", "/page", "/nowhere"):
        response = await client.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "origin"
