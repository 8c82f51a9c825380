"""Headers, peers, requests and responses: what is read from what a client sent."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.message import Headers, Peer, Request, Response


class TestHeaders:
    def test_names_are_looked_up_in_any_case(self) -> None:
        headers = Headers([("Content-Type", "text/plain")])
        assert headers.get("content-TYPE") == "text/plain"
        assert "CONTENT-type" in headers

    def test_a_field_that_is_missing_is_none_or_the_default(self) -> None:
        assert Headers().get("accept") is None
        assert Headers().get("accept", "*/*") == "*/*"
        assert "accept" not in Headers()

    def test_of_a_repeated_field_the_first_is_got_and_all_are_kept(self) -> None:
        headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
        assert headers.get("a") == "1"
        assert headers.get_all("A") == ["1", "3"]
        assert headers.get_all("c") == []

    def test_they_are_iterated_in_the_order_received_with_names_in_lower_case(self) -> None:
        headers = Headers([("B", "1"), ("A", "2")])
        assert list(headers) == [("b", "1"), ("a", "2")]
        assert len(headers) == 2

    def test_utf8_on_the_wire_is_read_as_utf8(self) -> None:
        headers = Headers.from_wire([(b"Last-Event-ID", "é→".encode())])
        assert list(headers) == [("last-event-id", "é→")]

    def test_what_is_not_utf8_is_read_as_latin_1(self) -> None:
        assert Headers.from_wire([(b"x", b"\xe9")]).get("x") == "é"

    @given(st.binary())
    def test_no_bytes_are_refused(self, value: bytes) -> None:
        assert isinstance(Headers.from_wire([(b"x", value)]).get("x"), str)

    def test_they_are_values(self) -> None:
        headers = Headers([("A", "1")])
        assert headers == Headers([("a", "1")])
        assert hash(headers) == hash(Headers([("a", "1")]))
        assert headers != Headers([("a", "2")])
        assert headers != [("a", "1")]
        assert repr(headers) == "Headers([('a', '1')])"


class TestPeer:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
    def test_loopback_addresses_are_loopback(self, host: str) -> None:
        assert Peer(host, 1).is_loopback

    @pytest.mark.parametrize(
        "host", ["10.0.0.1", "12.7.0.0", "::", "2001:db8::1", "::ffff:10.0.0.1", "unix", "unknown"]
    )
    def test_other_addresses_are_not(self, host: str) -> None:
        assert not Peer(host, 1).is_loopback

    def test_it_is_shown_as_addresses_are_written(self) -> None:
        assert str(Peer("127.0.0.1", 80)) == "127.0.0.1:80"
        assert str(Peer("::1", 80)) == "[::1]:80"
        assert str(Peer("unix")) == "unix"


class TestTheTarget:
    def test_the_path_is_what_precedes_the_query_decoded(self) -> None:
        assert Request("GET", "/caf%C3%A9?x=%41").path == "/café"

    def test_the_query_keeps_order_repetition_and_empty_values(self) -> None:
        request = Request("GET", "/?b=1&a=%20+&b=&c?=d")
        assert request.query == [("b", "1"), ("a", "  "), ("b", ""), ("c?", "d")]
        assert request.query_all("b") == ["1", ""]

    def test_without_a_query_there_are_no_values(self) -> None:
        assert Request("GET", "/").query == []


class TestWhereTheClientLeftOff:
    def test_the_header_says_it(self) -> None:
        assert Request("GET", "/", Headers([("Last-Event-ID", "7")])).last_event_id == "7"

    def test_the_query_says_it_where_there_is_no_header(self) -> None:
        assert Request("GET", "/?lastEventID=7").last_event_id == "7"

    def test_the_header_wins_as_the_query_is_stale_on_a_reconnect(self) -> None:
        request = Request("GET", "/?lastEventID=7", Headers([("last-event-id", "9")]))
        assert request.last_event_id == "9"

    def test_empty_ones_do_not_count(self) -> None:
        empty = Headers([("last-event-id", "")])
        assert Request("GET", "/?lastEventID=&lastEventID=7", empty).last_event_id == "7"
        assert Request("GET", "/?lastEventID=", empty).last_event_id is None


class TestCookies:
    def test_they_are_read_from_every_cookie_field(self) -> None:
        headers = Headers([("cookie", 'a=1; b="2";c=x=y'), ("cookie", "d=")])
        assert Request("GET", "/", headers).cookies == {"a": "1", "b": "2", "c": "x=y", "d": ""}

    def test_the_first_of_a_name_counts(self) -> None:
        assert Request("GET", "/", Headers([("cookie", "a=1; a=2")])).cookies == {"a": "1"}

    def test_what_has_no_equals_sign_is_no_cookie(self) -> None:
        assert Request("GET", "/", Headers([("cookie", "a; ; b=1")])).cookies == {"b": "1"}


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Request("GET", "/").method = "POST"  # type: ignore[misc]


def test_a_text_response_says_so_and_ends_its_line() -> None:
    response = Response.text(405, "Not só.", ("allow", "GET"))
    assert response.status == 405
    assert response.body == "Not só.\n".encode()
    assert response.headers == (("content-type", "text/plain; charset=utf-8"), ("allow", "GET"))


@pytest.mark.parametrize(
    "header",
    [
        ("x", "a\r\nset-cookie: b"),
        ("x", "a\0"),
        ("x", "a\f"),  # which h11 refuses and HTTP/2 does not
        ("x", "\x7f"),
        ("x", "\ud800"),  # which has no bytes
        ("x", " a"),
        ("x", "a\t"),
        ("x:", "a"),
        ("", "a"),
    ],
)
def test_a_response_with_a_header_that_must_not_be_sent_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"header name|value"):
        Response(200, b"", (header,))


@pytest.mark.parametrize("value", ["", "a\tb", "é", "\x85", "日本"])
def test_a_response_may_have_any_other_text_in_a_header(value: str) -> None:
    assert Response(200, b"", (("x", value),)).headers == (("x", value),)
