"""The client against servers that answer by a script, over real sockets."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
import trio
import trustme

from trio_sse.client import Away, Backoff, Listener, Refused, hub_url, open_client, post, stream_url
from trio_sse.client.listener import MAX_WAIT
from trio_sse.event import Event

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: str, body: str, *headers: str, kind: str = "text/plain") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def is_complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: ([0-9]+)", head)
    return bool(end) and len(body) == (int(length[1]) if length else 0)


@dataclass
class Scripted:
    """A server that gives each connection the next answer and closes it."""

    answers: Sequence[bytes]
    url: httpx.URL = field(default_factory=httpx.URL)
    requests: list[str] = field(default_factory=list)

    async def serve(self, stream: trio.abc.Stream) -> None:
        request = b""
        while not is_complete(request):
            received = await stream.receive_some()
            if not received:
                return
            request += received
        self.requests.append(request.decode())
        await stream.send_all(self.answers[len(self.requests) - 1])


@asynccontextmanager
async def serving(
    handler: Callable[[trio.abc.Stream], Awaitable[object]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[httpx.URL]:
    """Serve connections with `handler` on a free port of loopback; gives the URL."""
    scheme = "http" if tls is None else "https"
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def serve(stream: trio.SocketStream) -> None:
        chosen = stream if tls is None else trio.SSLStream(stream, tls, server_side=True)
        # A client that goes in the middle of a handshake is what some of these tests are about.
        with suppress(trio.BrokenResourceError):
            await handler(chosen)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield httpx.URL(f"{scheme}://127.0.0.1:{port}/events")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Scripted]:
    server = Scripted(answers)
    async with serving(server.serve) as server.url:
        yield server


class Heard:
    """What a listener was given until its end."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notices: list[str] = []

    async def listen(self, url: httpx.URL, *, last_event_id: str = "", again: bool = True) -> None:
        async with (
            open_client() as client,
            Listener(
                client,
                url,
                last_event_id=last_event_id,
                reconnect=again,
                notice=self.notices.append,
            ) as events,
        ):
            async for event in events:
                self.events.append(event)

    @property
    def data(self) -> list[str | None]:
        return [event.data for event in self.events]


# -- listening ----------------------------------------------------------------------------


async def test_a_stream_that_ends_is_continued_after_its_last_id_until_a_204() -> None:
    first = STREAM + b"retry: 1\n\nid: a1\ndata: one\n\ndata: unfinished\n"
    second = STREAM + b"data: two\n\n"
    heard = Heard()
    async with scripted(first, second, NO_CONTENT) as server:
        await heard.listen(server.url)
    assert heard.data == ["one", "two"]
    sent = [
        [line for line in request.split("\r\n") if line.lower().startswith("last-event-id")]
        for request in server.requests
    ]
    # The second stream named no id, which does not take the first one's back.
    assert sent == [[], ["last-event-id: a1"], ["last-event-id: a1"]]


async def test_a_server_that_takes_the_id_back_is_obeyed() -> None:
    first = STREAM + b"retry: 1\n\nid: a1\ndata: one\n\nid:\ndata: two\n\n"
    async with scripted(first, NO_CONTENT) as server:
        await Heard().listen(server.url)
    assert "last-event-id" not in server.requests[1].lower()


async def test_an_id_of_any_script_is_sent_back_as_utf8() -> None:
    async with scripted(NO_CONTENT) as server:
        await Heard().listen(server.url, last_event_id="日本 ü")
    assert "\r\nlast-event-id: 日本 ü\r\n" in server.requests[0]


async def test_an_id_that_no_header_can_carry_is_refused_at_once() -> None:
    async with scripted() as server:
        with pytest.raises(Refused, match=r"The request cannot be sent"):
            await Heard().listen(server.url, last_event_id="a\nb")


async def test_a_stream_that_breaks_off_is_continued() -> None:
    broken = STREAM.replace(b"\r\n\r\n", b"\r\nContent-Length: 900\r\n\r\n")
    first = broken + b"retry: 1\n\nid: 7\ndata: one\n\n"
    heard = Heard()
    async with scripted(first, NO_CONTENT) as server:
        await heard.listen(server.url)
    assert heard.data == ["one"]
    assert "last-event-id: 7" in server.requests[1]
    assert any("The connection to http://127.0.0.1" in notice for notice in heard.notices)


@pytest.mark.parametrize("status", ["429 Slow", "502 Bad", "503 Away", "504 Late"])
async def test_a_server_that_is_briefly_away_is_asked_again(status: str) -> None:
    heard = Heard()
    opening = STREAM + b"retry: 1\n\n"
    async with scripted(opening, answer(status, "Soon."), STREAM, NO_CONTENT) as server:
        await heard.listen(server.url)
    assert len(server.requests) == 4
    assert any(f"answered {status}: Soon. Trying again in" in notice for notice in heard.notices)
    assert heard.notices[-2].endswith("again over HTTP/1.1.")


async def test_the_same_trouble_is_told_once() -> None:
    heard = Heard()
    away = answer("503 Away", "Soon.")
    async with scripted(STREAM + b"retry: 1\n\n", away, away, NO_CONTENT) as server:
        await heard.listen(server.url)
    assert len([notice for notice in heard.notices if "503" in notice]) == 1


@pytest.mark.parametrize("status", ["400 Bad", "401 Who", "404 None", "410 Gone", "500 Oops"])
async def test_any_other_refusal_is_final_and_quotes_the_server(status: str) -> None:
    async with scripted(answer(status, "Not for you.\nReally.")) as server:
        with pytest.raises(Refused, match=rf"/events answered {status}: Not for you\.$") as caught:
            await Heard().listen(server.url)
    assert caught.value.status == int(status.split()[0])


async def test_a_refusal_in_html_is_told_by_its_status() -> None:
    async with scripted(answer("404 Not Found", "<html>…", kind="text/html")) as server:
        with pytest.raises(Refused, match=r"/events answered 404 Not Found\.$"):
            await Heard().listen(server.url)


async def test_a_refusal_that_breaks_off_is_told_by_its_status() -> None:
    cut = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nContent-Type: text/plain\r\n\r\n"
    async with scripted(cut) as server:
        with pytest.raises(Refused, match=r"/events answered 404 Not Found\.$"):
            await Heard().listen(server.url)


async def test_an_answer_that_is_no_event_stream_is_refused() -> None:
    async with scripted(answer("200 OK", "hello")) as server:
        with pytest.raises(Refused, match=r"sends text/plain, which is no text/event-stream\.$"):
            await Heard().listen(server.url)


async def test_a_redirect_is_followed_with_the_last_id() -> None:
    moved = answer("307 Moved", "", "Location: /new")
    async with scripted(moved, NO_CONTENT) as server:
        await Heard().listen(server.url, last_event_id="a1")
    assert server.requests[1].startswith("GET /new ")
    assert "last-event-id: a1" in server.requests[1]


async def test_a_redirect_in_circles_is_refused() -> None:
    moved = answer("307 Moved", "", "Location: /events")
    async with scripted(*[moved] * 30) as server:
        with pytest.raises(Refused, match="redirects in circles"):
            await Heard().listen(server.url)


async def test_without_reconnecting_the_end_of_the_stream_is_the_end() -> None:
    heard = Heard()
    async with scripted(STREAM + b"data: one\n\n") as server:
        await heard.listen(server.url, again=False)
    assert heard.data == ["one"]


async def test_without_reconnecting_a_broken_stream_is_a_failure() -> None:
    async with scripted(b"HTTP/1.1 2") as server:
        with pytest.raises(Away, match=r"The connection to http://127\.0\.0\.1:[0-9]+ broke\.$"):
            await Heard().listen(server.url, again=False)


async def test_leaving_in_the_middle_of_a_stream_closes_the_connection() -> None:
    left = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(STREAM + b"data: one\n\ndata: two\n\n")
        assert await stream.receive_some() == b""
        left.set()

    async with serving(serve) as url, open_client() as client:
        async with Listener(client, url) as events:
            assert (await anext(events)).data == "one"
        await left.wait()


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


# -- URLs and pauses ----------------------------------------------------------------------


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


async def test_a_password_in_a_url_is_not_told() -> None:
    async with scripted(answer("404 None", "No.")) as server:
        with pytest.raises(Refused) as caught:
            await Heard().listen(server.url.copy_with(userinfo=b"me:secret"))
    assert "secret" not in str(caught.value)


def test_pauses_double_up_to_a_bound_and_begin_again() -> None:
    backoff = Backoff(0.5)
    for least in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[MAX_WAIT] * 2000):
        assert least <= backoff.failed() <= least * 1.25
    backoff.succeeded()
    assert backoff.failed() < 1


def test_a_pause_is_never_shorter_than_the_server_asked_for() -> None:
    assert Backoff(300.0).failed() >= 300
    assert Backoff(0.5).failed(at_least=100.0) >= 100


def test_a_server_that_asks_for_no_pause_is_not_stormed() -> None:
    assert Backoff(0.0).failed() >= 0.1
