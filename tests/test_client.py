"""One request, and the sentence for whatever can become of it."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trio
import trustme

from scripted import NO_CONTENT, Heard, Scripted, answer, scripted, serving
from trio_sse.client import Away, Refused, hub_url, open_client, post, stream_url

# -- reaching -----------------------------------------------------------------------------


async def test_nobody_there_is_told() -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        url = httpx.URL(f"http://127.0.0.1:{unused.getsockname()[1]}/")
        with pytest.raises(Away, match="refuses connections: nothing listens there"):
            await Heard().listen(url, again=False)


async def test_a_host_that_does_not_exist_is_told() -> None:
    with pytest.raises(Away, match=r"^The host no\.such\.host\.invalid is not known\.$"):
        await Heard().listen(httpx.URL("http://no.such.host.invalid/"), again=False)


async def test_a_certificate_that_is_not_trusted_is_told_and_can_be_accepted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = Scripted([NO_CONTENT])
    async with serving(server.serve, context) as url:
        with pytest.raises(Refused, match="shows a certificate that is not trusted: "):
            await Heard().listen(url)
        async with open_client(insecure=True) as client:
            assert await post(client, url, {}) == ""


async def test_tls_to_a_server_that_speaks_none_is_told() -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(answer("400 Bad Request", "What?"))

    async with serving(serve) as url:
        with pytest.raises(Refused, match=r"does not speak TLS; is it http:// there\?$"):
            await Heard().listen(url.copy_with(scheme="https"))


async def test_a_password_in_a_url_is_not_told() -> None:
    async with scripted(answer("404 None", "No.")) as server:
        with pytest.raises(Refused) as caught:
            await Heard().listen(server.url.copy_with(userinfo=b"me:secret"))
    assert "secret" not in str(caught.value)


# -- posting ------------------------------------------------------------------------------


async def test_a_form_is_posted_and_the_answer_returned() -> None:
    async with scripted(answer("200 OK", "the-id")) as server, open_client() as client:
        assert await post(client, server.url, {"topic": "ä", "data": "a&b"}) == "the-id"
    assert server.requests[0].endswith("topic=%C3%A4&data=a%26b")


async def test_a_redirect_is_not_followed_by_a_post() -> None:
    moved = answer("302 Found", "", "Location: https://elsewhere.test/")
    async with scripted(moved) as server, open_client() as client:
        with pytest.raises(Refused, match=r"302 Found: use https://elsewhere.test/ instead\.$"):
            await post(client, server.url, {})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("99999", 600.0), ("soon", 0.0), ("-1", 0.0), ("", 0.0)],
)
async def test_the_server_may_say_how_long_it_is_away(header: str, seconds: float) -> None:
    away = answer("503 Away", "Soon.", f"Retry-After: {header}")
    async with scripted(away) as server, open_client() as client:
        with pytest.raises(Away) as caught:
            await post(client, server.url, {})
    assert caught.value.retry_after == seconds


# -- URLs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h:1", "http://h:1/.well-known/mercure"),
        ("h:1", "http://h:1/.well-known/mercure"),
        ("https://h/", "https://h/.well-known/mercure"),
        ("https://h/hub?a=b", "https://h/hub?a=b"),
        ("[::1]:80", "http://[::1]/.well-known/mercure"),
    ],
)
def test_a_url_without_a_path_is_the_hub_s(text: str, url: str) -> None:
    assert str(hub_url(text)) == url


@pytest.mark.parametrize("text", ["ftp://h", "http://", "http://h:port", "http:///path", ""])
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a URL"):
        stream_url(text)
