"""CORS: which origins there can be, and what their pages are told."""

from __future__ import annotations

import pytest

from trio_sse.cors import Cors
from trio_sse.message import Headers, Request

APP = "https://app.example.org"


def options(*headers: tuple[str, str], method: str = "OPTIONS") -> Request:
    return Request(method, "/", Headers(headers))


class TestTheList:
    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            (APP, APP),
            ("HTTPS://App.Example.ORG", APP),
            ("https://app.example.org:443", APP),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
            ("null", "null"),
        ],
    )
    def test_an_origin_is_known_as_browsers_send_it(self, written: str, sent: str) -> None:
        cors = Cors([written])
        assert cors.allows(sent)
        assert cors.names(sent)

    @pytest.mark.parametrize(
        ("origin", "sentence"),
        [
            ("https://app.example.org/", "so https://app.example.org"),
            ("https://app.example.org/path", "so https://app.example.org"),
            ("app.example.org", "begin with a scheme"),
            ("localhost:8080", "begin with a scheme"),
            ("", "begin with a scheme"),
            ("https://bücher.example", "xn--"),
            ("https://*.example.org", "no patterns"),
            ("https://", "a scheme, a host and perhaps a port"),
            ("https://a:b", "a scheme, a host and perhaps a port"),
            ("https://u@a", "a scheme, a host and perhaps a port"),
            ("https://a?b", "a scheme, a host and perhaps a port"),
            ("https://a\r\nx: y", "a scheme, a host and perhaps a port"),
        ],
    )
    def test_what_no_browser_sends_is_refused_and_said_why(
        self, origin: str, sentence: str
    ) -> None:
        with pytest.raises(ValueError, match=sentence) as raised:
            Cors([origin])
        assert repr(origin) in str(raised.value)

    def test_all_origins_with_credentials_are_refused(self) -> None:
        with pytest.raises(ValueError, match="credentials=False"):
            Cors(["*"])

    def test_one_text_is_no_list(self) -> None:
        with pytest.raises(ValueError, match="must be a list of origins"):
            Cors(APP)

    @pytest.mark.parametrize("what", ["methods", "headers"])
    def test_a_name_that_would_break_its_field_is_refused(self, what: str) -> None:
        with pytest.raises(ValueError, match=f"among the allowed {what}"):
            Cors([APP], **{what: ["a\r\nb"]})  # type: ignore[arg-type]


class TestAllowing:
    @pytest.mark.parametrize(
        "origin",
        [
            "http://app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org.evil.example",
            "https://example.org",
            "null",
            "*",
            "",
        ],
    )
    def test_an_origin_that_is_not_on_the_list_is_not_allowed(self, origin: str) -> None:
        cors = Cors([APP])
        assert not cors.allows(origin)
        assert not cors.names(origin)

    def test_all_are_allowed_and_none_is_named_by_an_asterisk(self) -> None:
        cors = Cors(["*"], credentials=False)
        assert cors.allows(APP)
        assert cors.allows("null")
        assert not cors.names(APP)
        assert not cors.names("*")

    def test_one_may_be_named_beside_an_asterisk(self) -> None:
        assert Cors(["*", APP], credentials=False).names(APP)


class TestTheFields:
    def test_an_allowed_origin_is_told_so_with_credentials(self) -> None:
        assert Cors([APP]).headers(APP) == (
            ("vary", "origin"),
            ("access-control-allow-origin", APP),
            ("access-control-expose-headers", "last-event-id"),
            ("access-control-allow-credentials", "true"),
        )

    def test_without_credentials_there_is_no_such_field(self) -> None:
        names = [name for name, _ in Cors([APP], credentials=False).headers(APP)]
        assert "access-control-allow-credentials" not in names

    def test_any_origin_is_told_that_all_are_allowed(self) -> None:
        fields = dict(Cors(["*"], credentials=False).headers(APP))
        assert fields["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in fields

    @pytest.mark.parametrize("origin", [None, "https://evil.example"])
    def test_nobody_else_is_told_anything_but_caches_are(self, origin: str | None) -> None:
        assert Cors([APP]).headers(origin) == (("vary", "origin"),)


class TestAPreflight:
    def test_says_what_a_page_may_do_and_for_how_long(self) -> None:
        cors = Cors([APP], methods=["GET", "PATCH"], headers=["x-a"], max_age=60)
        asked = options(("origin", APP), ("access-control-request-method", "PATCH"))
        response = cors.preflight(asked)
        assert response is not None
        assert response.status == 204
        assert response.headers == (
            *cors.headers(APP),
            ("access-control-allow-methods", "GET, PATCH"),
            ("access-control-allow-headers", "x-a"),
            ("access-control-max-age", "60"),
        )

    def test_allows_what_event_sources_and_their_substitutes_send(self) -> None:
        asked = options(("origin", APP), ("access-control-request-method", "POST"))
        response = Cors([APP]).preflight(asked)
        assert response is not None
        fields = dict(response.headers)
        assert fields["access-control-allow-methods"] == "GET, HEAD, POST"
        assert fields["access-control-allow-headers"].split(", ") == [
            "last-event-id",
            "content-type",
            "authorization",
            "cache-control",
        ]

    def test_of_an_origin_that_is_not_allowed_tells_nothing(self) -> None:
        evil = options(("origin", "https://evil.example"), ("access-control-request-method", "GET"))
        response = Cors([APP]).preflight(evil)
        assert response is not None
        assert response.headers == (("vary", "origin"),)

    @pytest.mark.parametrize(
        "request_",
        [
            options(("origin", APP)),
            options(("access-control-request-method", "GET")),
            options(("origin", APP), ("access-control-request-method", "GET"), method="GET"),
        ],
        ids=["no method asked for", "no origin", "not OPTIONS"],
    )
    def test_is_only_what_browsers_send_as_one(self, request_: Request) -> None:
        assert Cors([APP]).preflight(request_) is None
