"""curl: every protocol we speak, over every kind of socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trio_sse import Bind, Cors, Event
from trio_sse.mercure import PATH

from .curl import answer, curl_stream
from .programs import needs
from .site import Certificate, Site, open_site

pytestmark = needs("curl")

VERSIONS = ["--http1.0", "--http1.1", "--http2-prior-knowledge"]


# -- streams --------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_follower_receives_what_is_published(site: Site, version: str) -> None:
    async with curl_stream(version, site.hub_url("weather")) as stream:
        await site.followed()
        event_id = site.hub.publish("weather", Event("rain\nand wind", type="forecast"))
        assert await stream.event() == Event("rain\nand wind", type="forecast", id=event_id)
        site.hub.publish("traffic", "not for this one")
        site.hub.publish("weather", "sun")
        assert (await stream.event()).data == "sun"


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_stream_opens_before_there_is_any_event(site: Site, version: str) -> None:
    async with curl_stream(version, "-i", site.hub_url("weather")) as stream:
        while b"\r\n\r\n:\n" not in stream.raw:
            assert await stream.more()
    head = stream.raw.partition(b"\r\n\r\n")[0].decode().lower().splitlines()
    assert "content-type: text/event-stream" in head
    assert "cache-control: no-cache, no-transform" in head
    assert "x-accel-buffering: no" in head
    assert ("transfer-encoding: chunked" in head) == (version == "--http1.1")
    assert ("connection: close" in head) == (version == "--http1.0")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_handlers_stream_comes_to_a_proper_end(site: Site, version: str) -> None:
    async with curl_stream(version, f"{site.url}/count/1000") as stream:
        events = await stream.rest()
    assert [event.data for event in events] == [str(number) for number in range(1000)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_that_leaves_is_noticed(site: Site, version: str) -> None:
    async with curl_stream(version, f"{site.url}/hold") as stream:
        await stream.event()
        assert site.held == 1
        await stream.kill()
    await site.emptied()
    assert site.held == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_stream_resumes_after_the_last_event_id(site: Site, version: str, how: str) -> None:
    ids = [site.hub.publish("weather", f"event {number}") for number in range(5)]
    url = site.hub_url("weather")
    asked = ["-H", f"Last-Event-ID: {ids[2]}", url]
    if how == "query":
        asked = [f"{url}&lastEventID={ids[2]}"]
    async with curl_stream(version, *asked) as stream:
        assert [(await stream.event()).id for _ in range(2)] == ids[3:]
        await site.followed()
        site.hub.publish("weather", "live")
        assert (await stream.event()).data == "live"


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_resumes_after_an_unknown_id_is_told_of_the_gap(site: Site, version: str) -> None:
    site.hub.publish("weather", "old")
    async with curl_stream(version, "-H", "Last-Event-ID: lost", site.hub_url("weather")) as stream:
        assert (await stream.event()).type == "trio-sse.gap"
        assert (await stream.event()).data == "old"


# -- requests with a body ---------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_posted_body_reaches_the_handler(site: Site, version: str) -> None:
    async with curl_stream(version, "-d", "tell me more", f"{site.url}/tell") as stream:
        (event,) = await stream.rest()
    told = json.loads(event.data or "")
    assert (told["method"], told["body"]) == ("POST", "tell me more")


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_who_expects_100_continue_gets_it_before_sending(site: Site, version: str) -> None:
    body = "x" * 100_000
    # Without the interim answer curl would wait longer than the test may take.
    waiting = ["-H", "Expect: 100-continue", "--expect100-timeout", "600"]
    head, told = await answer(version, *waiting, "-d", body, f"{site.url}/tell")
    assert head.startswith(("HTTP/1.1 100", "HTTP/2 100"))
    assert "\n\nHTTP/" in head
    assert body in told


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_form_publishes_to_who_follows(site: Site, version: str) -> None:
    async with curl_stream(site.hub_url("weather")) as stream:
        await site.followed()
        form = ["--data-urlencode", "topic=weather", "--data-urlencode", "data=été & pluie"]
        head, event_id = await answer(version, *form, "-d", "type=forecast", site.url + PATH)
        assert " 200" in head.splitlines()[0]
        assert await stream.event() == Event("été & pluie", type="forecast", id=event_id)


# On HTTP/2 curl 7.88 takes the RST_STREAM(NO_ERROR) that follows the answer (RFC 9113, 8.1)
# for a failure, from nginx as from us: test_bad_http2_peers.py has that case.
@pytest.mark.parametrize(
    ("version", "expect"),
    [
        ("--http1.0", "Expect:"),
        ("--http1.1", "Expect:"),
        ("--http1.1", "Expect: 100-continue"),
    ],
)
async def test_a_body_over_the_limit_is_refused(
    site: Site, version: str, expect: str, tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(b"x" * 3_000_000)
    upload = ["-H", expect, "--data-binary", f"@{tmp_path}/body", f"{site.url}/tell"]
    head, text = await answer(version, *upload)
    assert " 413" in head.splitlines()[0]
    assert "100" not in head.splitlines()[0]
    assert "1048576" in text


# -- finite answers ---------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/page", 200, "A page.\n"),
        ("/enough", 204, ""),
        ("/refused", 403, "Not for you.\n"),
        ("/nowhere", 404, "There is nothing at this path.\n"),
        (PATH, 400, "Name at least one topic: topic=...\n"),
    ],
)
async def test_finite_answers(site: Site, version: str, path: str, status: int, text: str) -> None:
    head, body = await answer(version, site.url + path)
    assert f" {status}" in head.splitlines()[0]
    assert body == text


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_method_is_refused_with_those_allowed(site: Site, version: str) -> None:
    head, _ = await answer(version, "-X", "DELETE", site.url + PATH)
    assert " 405" in head.splitlines()[0]
    assert "allow: GET, HEAD, OPTIONS, POST" in head.replace("Allow", "allow").splitlines()


@pytest.mark.parametrize("version", VERSIONS)
async def test_options_names_the_methods(site: Site, version: str) -> None:
    head, _ = await answer(version, "-X", "OPTIONS", f"{site.url}/tell")
    assert " 204" in head.splitlines()[0]
    assert "allow: GET, HEAD, OPTIONS, POST" in head.replace("Allow", "allow").splitlines()


@pytest.mark.parametrize("version", VERSIONS)
async def test_head_of_a_stream_is_its_head_alone(site: Site, version: str) -> None:
    head, body = await answer(version, "--head", site.hub_url("weather"))
    assert " 200" in head.splitlines()[0]
    assert "text/event-stream" in head
    assert body == ""


# Over TLS, as curl 7.88 cannot use a connection twice with prior knowledge, with nginx neither.
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_requests_share_a_connection(certificate: Certificate, version: str) -> None:
    async with open_site(Bind(port=0, tls=certificate.server())) as site:
        paths = ["/page", "/nowhere", "/count/3", "/enough", "/page"]
        urls = [f"https://localhost:{site.port}{path}" for path in paths]
        await answer(version, "--cacert", str(certificate.ca), *urls)
        await site.emptied()
        assert site.server.statistics().requests == len(paths)
        assert site.server.statistics().accepted == 1


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_a_head_over_the_limit_is_refused(site: Site, version: str) -> None:
    many = [argument for number in range(10) for argument in ("-H", f"X-{number}: {'x' * 4000}")]
    head, text = await answer(version, *many, f"{site.url}/page")
    assert " 431" in head.splitlines()[0]
    assert "32768" in text


# -- other pages' origins ---------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_a_page_of_an_allowed_origin_may_come_with_credentials(version: str) -> None:
    async with open_site(cors=Cors(["https://app.example.org"])) as site:
        ask = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"]
        origin = ["-H", "Origin: https://app.example.org"]
        head, _ = await answer(version, *ask, *origin, f"{site.url}/tell")
        fields = head.lower().splitlines()
        assert " 204" in fields[0]
        assert "access-control-allow-origin: https://app.example.org" in fields
        assert "access-control-allow-credentials: true" in fields
        assert "access-control-allow-methods: get, head, post" in fields
        assert "vary: origin" in fields
        head, _ = await answer(version, *origin, f"{site.url}/count/1")
        assert "access-control-allow-origin: https://app.example.org" in head.lower().splitlines()


@pytest.mark.parametrize("version", VERSIONS[1:])
async def test_a_page_of_another_origin_is_told_nothing(version: str) -> None:
    async with open_site(cors=Cors(["https://app.example.org"])) as site:
        head, _ = await answer(version, "-H", "Origin: https://evil.example", f"{site.url}/count/1")
        assert "access-control" not in head.lower()
        assert "vary: origin" in head.lower().splitlines()
