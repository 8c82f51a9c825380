"""Routes: from a request to what is to be done with it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.cors import Cors
from trio_sse.hub import Hub, InvalidTopic
from trio_sse.log import MemoryLog
from trio_sse.message import Headers, Request, Response
from trio_sse.routes import STREAM_HEADERS, Follow, Handle, Routes

APP = "https://app.example.org"
HELLO = Response(200, b"hello")


def hello(request: Request) -> Response:
    return HELLO


async def stream(stream: Any) -> Response | None:
    return None


def routes(*paths: str, cors: Cors | None = None) -> Routes:
    """Return routes whose endpoint for each path answers with that path's pattern."""
    made = Routes(cors)
    for path in paths:
        made.get(path, lambda request, path=path: Response(200, path.encode()))
    return made


def ask(routes: Routes, method: str, target: str, *headers: tuple[str, str]) -> Response:
    decision = routes.decide(Request(method, target, Headers(headers)))
    assert isinstance(decision, Response)
    return decision


class TestWhatAnEndpointMeans:
    def test_a_plain_function_is_asked_with_the_request_alone(self) -> None:
        made = Routes()
        made.post("/echo/{x}", lambda request: Response(201, request.body))
        decision = made.decide(Request("POST", "/echo/1", body=b"hi"))
        assert decision == Response(201, b"hi")

    def test_a_plain_function_may_name_topics_to_follow(self) -> None:
        hub = Hub(MemoryLog())
        made = Routes()
        made.get("/news", lambda request: Follow(hub, ("a", "b"), request.last_event_id))
        decision = made.decide(Request("GET", "/news", Headers([("last-event-id", "7")])))
        assert decision == Follow(hub, ("a", "b"), "7")

    def test_an_async_function_is_a_handler_and_is_not_run(self) -> None:
        made = Routes()
        made.get("/jobs/{id}/log/{part}", stream)
        decision = made.decide(Request("GET", "/jobs/7/log/a%2Fb?x=1"))
        assert decision == Handle(stream, params={"id": "7", "part": "a/b"})

    def test_a_handler_may_want_to_decide_before_its_stream_opens(self) -> None:
        made = Routes()
        made.get("/", stream, eager=False)
        made.post("/", stream)
        assert made.decide(Request("GET", "/")) == Handle(stream, eager=False)
        assert made.decide(Request("POST", "/")) == Handle(stream, eager=True)

    def test_an_object_whose_call_is_async_is_a_handler(self) -> None:
        class Handler:
            async def __call__(self, stream: Any) -> None:
                return None

        handler = Handler()
        made = Routes()
        made.get("/object", handler)
        made.get("/part", functools.partial(stream))
        assert made.decide(Request("GET", "/object")) == Handle(handler)
        assert isinstance(made.decide(Request("GET", "/part")), Handle)

    def test_what_an_endpoint_raises_comes_out(self) -> None:
        def broken(request: Request) -> Response:
            raise LookupError("no such thing")

        made = Routes()
        made.get("/", broken)
        with pytest.raises(LookupError, match="no such thing"):
            made.decide(Request("GET", "/"))

    def test_a_plain_function_that_returns_something_else_is_told_what_to_return(self) -> None:
        made = Routes()
        made.get("/a/{b}", lambda request: "text")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"GET /a/\{b\}: .* not 'text'"):
            made.decide(Request("GET", "/a/b"))

    def test_an_async_generator_is_refused(self) -> None:
        async def generate(stream: Any) -> AsyncIterator[str]:
            yield "x"

        with pytest.raises(TypeError, match="neither a function nor an async function"):
            Routes().get("/", generate)  # type: ignore[arg-type]

    def test_what_cannot_be_called_is_refused(self) -> None:
        with pytest.raises(TypeError, match="neither a function nor an async function"):
            Routes().get("/", HELLO)  # type: ignore[arg-type]


class TestRegistering:
    def test_as_decorators_that_leave_the_function_as_it_is(self) -> None:
        made = Routes()

        @made.get("/")
        @made.post("/in")
        @made.add(["PUT", "DELETE"], "/thing")
        def endpoint(request: Request) -> Response:
            return Response(200, request.method.encode())

        assert endpoint(Request("DIRECT", "/")).body == b"DIRECT"
        for method, target in [("GET", "/"), ("POST", "/in"), ("PUT", "/thing")]:
            assert ask(made, method, target).body == method.encode()

    @pytest.mark.parametrize(
        ("first", "second"), [("/a", "/a"), ("/a/{b}", "/a/{c}"), ("/{a}/b", "/{x}/b")]
    )
    def test_a_route_twice_is_refused(self, first: str, second: str) -> None:
        made = routes(first)
        with pytest.raises(ValueError, match="registered already"):
            made.get(second, hello)

    def test_a_path_may_have_several_methods(self) -> None:
        made = routes("/a")
        made.post("/a", lambda request: Response(201))
        assert ask(made, "GET", "/a").status == 200
        assert ask(made, "POST", "/a").status == 201

    @pytest.mark.parametrize("path", ["", "a", "/a?b", "/a#b"])
    def test_what_is_no_path_is_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match="is not a path"):
            Routes().get(path, hello)

    @pytest.mark.parametrize("path", ["/{", "/}", "/{}", "/{1}", "/a{b}", "/{a}b", "/{a/b}"])
    def test_a_pattern_that_is_no_whole_segment_is_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match="must be a whole segment"):
            Routes().get(path, hello)

    def test_two_segments_of_one_name_are_refused(self) -> None:
        with pytest.raises(ValueError, match="the same name"):
            Routes().get("/{a}/{a}", hello)

    @pytest.mark.parametrize("method", ["get", "", "G T", "HEAD", "OPTIONS", "CONNECT"])
    def test_a_method_that_cannot_be_registered_is_refused(self, method: str) -> None:
        with pytest.raises(ValueError, match="cannot be registered"):
            Routes().add(["GET", method], "/", hello)


class TestMatching:
    @pytest.mark.parametrize(
        ("target", "pattern"),
        [
            ("/", b"/"),
            ("/?x=/a", b"/"),
            ("/a", b"/a"),
            ("/%61", b"/a"),
            ("/a/", b"/a/"),
            ("/a/b", b"/{x}/b"),
            ("/a/c", b"/a/{x}"),
            ("/caf%C3%A9", "/café".encode()),
            ("/anything", b"/{x}"),
            ("/{x}", b"/{x}"),
            ("/a%2Fb", b"/{x}"),
        ],
    )
    def test_a_path_finds_the_route_that_fits_it_best(self, target: str, pattern: bytes) -> None:
        made = routes("/{x}", "/", "/{x}/b", "/a/{x}", "/a", "/a/", "/café")
        assert ask(made, "GET", target).body == pattern

    @pytest.mark.parametrize("target", ["/b", "/a/", "//", "/x/", "/A", "/a%2F", "/x/y/z", "*"])
    def test_other_paths_are_not_found(self, target: str) -> None:
        made = routes("/", "/a", "/x/{y}")
        response = ask(made, "GET", target)
        assert response.status == 404
        assert response.body == b"There is nothing at this path.\n"

    def test_without_routes_nothing_is_found(self) -> None:
        assert ask(Routes(), "GET", "/").status == 404

    def test_an_exact_path_hides_no_method_of_a_pattern(self) -> None:
        made = routes("/a/b")
        made.post("/a/{x}", lambda request: Response(201))
        assert ask(made, "POST", "/a/b").status == 201

    @given(st.text(), st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]))
    def test_any_target_gets_an_answer(self, target: str, method: str) -> None:
        assert ask(routes("/", "/a/{b}"), method, target).status in (200, 204, 404, 405)


class TestMethods:
    def test_head_is_decided_as_get(self) -> None:
        made = routes("/")
        assert ask(made, "HEAD", "/") == ask(made, "GET", "/")

    def test_a_method_that_the_path_does_not_take_is_told_which_it_does(self) -> None:
        made = routes("/a")
        made.post("/{x}", hello)
        response = ask(made, "DELETE", "/a")
        assert response.status == 405
        assert dict(response.headers)["allow"] == "GET, HEAD, OPTIONS, POST"
        assert response.body == b"This path takes GET, HEAD, OPTIONS, POST only.\n"

    def test_head_is_not_taken_where_get_is_not(self) -> None:
        made = Routes()
        made.post("/a", hello)
        response = ask(made, "HEAD", "/a")
        assert response.status == 405
        assert dict(response.headers)["allow"] == "OPTIONS, POST"

    def test_options_says_what_a_path_takes(self) -> None:
        assert ask(routes("/"), "OPTIONS", "/") == Response(
            204, headers=(("allow", "GET, HEAD, OPTIONS"),)
        )
        assert ask(routes("/"), "OPTIONS", "/x").status == 404

    def test_options_may_be_asked_of_the_server_as_a_whole(self) -> None:
        assert ask(Routes(), "OPTIONS", "*") == Response(204)


class TestOtherOrigins:
    CORS = Cors([APP])

    @pytest.mark.parametrize(
        ("method", "target", "status"),
        [("GET", "/", 200), ("GET", "/x", 404), ("PUT", "/", 405), ("OPTIONS", "/", 204)],
    )
    def test_every_answer_has_the_fields_after_its_own(
        self, method: str, target: str, status: int
    ) -> None:
        plain = ask(routes("/"), method, target)
        response = ask(routes("/", cors=self.CORS), method, target, ("origin", APP))
        assert response.status == status
        assert response.headers == (*plain.headers, *self.CORS.headers(APP))

    def test_streams_have_them_too(self) -> None:
        hub = Hub(MemoryLog())
        made = Routes(self.CORS)
        made.get("/handle", stream)
        made.get("/follow", lambda request: Follow(hub, ("a",), headers=(("x", "1"),)))
        asked = Headers([("origin", APP)])
        handle = made.decide(Request("GET", "/handle", asked))
        assert handle == Handle(stream, headers=self.CORS.headers(APP))
        follow = made.decide(Request("GET", "/follow", asked))
        assert follow.headers == (("x", "1"), *self.CORS.headers(APP))

    @pytest.mark.parametrize("headers", [(), (("origin", "https://evil.example"),)])
    def test_who_is_not_allowed_gets_the_answer_without_them(
        self, headers: tuple[tuple[str, str], ...]
    ) -> None:
        response = ask(routes("/", cors=self.CORS), "GET", "/", *headers)
        assert response.status == 200
        assert response.headers == (("vary", "origin"),)

    def test_a_preflight_is_answered_where_there_is_a_route(self) -> None:
        made = routes("/", cors=self.CORS)
        asks = (("origin", APP), ("access-control-request-method", "GET"))
        request = Request("OPTIONS", "/", Headers(asks))
        assert made.decide(request) == self.CORS.preflight(request)
        assert ask(made, "OPTIONS", "/x", *asks).status == 404

    def test_without_cors_a_preflight_is_a_plain_options(self) -> None:
        asks = (("origin", APP), ("access-control-request-method", "GET"))
        assert ask(routes("/"), "OPTIONS", "/", *asks) == ask(routes("/"), "OPTIONS", "/")


class TestFollow:
    def test_topics_that_cannot_be_followed_are_refused_at_once(self) -> None:
        with pytest.raises(InvalidTopic, match="at least one topic"):
            Follow(Hub(MemoryLog()), ())

    def test_a_header_that_would_break_out_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="value"):
            Follow(Hub(MemoryLog()), ("a",), headers=(("x", "a\nb"),))


def test_a_stream_says_what_keeps_it_flowing_through_proxies() -> None:
    assert dict(STREAM_HEADERS) == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
