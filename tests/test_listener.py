"""A stream continued over reconnects, against servers that answer by a script."""

from __future__ import annotations

import pytest
import trio

from scripted import NO_CONTENT, STREAM, Heard, answer, scripted, serving
from trio_sse.client import Away, Backoff, Listener, Refused, open_client
from trio_sse.client.listener import MAX_WAIT


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


# -- pauses -----------------------------------------------------------------------------


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
