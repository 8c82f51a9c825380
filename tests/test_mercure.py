"""The hub over HTTP: who may follow and publish what, and how it is asked and answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.cors import Cors
from trio_sse.event import Event
from trio_sse.hub import Hub
from trio_sse.limits import Limits
from trio_sse.log import MemoryLog
from trio_sse.mercure import PATH, PublishFrom, mount
from trio_sse.message import Headers, Peer, Request, Response
from trio_sse.routes import Follow, Routes

APP = "https://app.example.org"
FORM = ("content-type", "application/x-www-form-urlencoded")
LOOPBACK = Peer("127.0.0.1", 4711)
ELSEWHERE = Peer("192.0.2.7", 4711)


class Mercure:
    """A hub with its HTTP face, without a server between."""

    def __init__(
        self,
        publish_from: PublishFrom = "loopback",
        cors: Cors | None = None,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> None:
        self.hub = Hub(MemoryLog(max_event_bytes=1000))
        self.routes = Routes(cors)
        mount(self.routes, self.hub, publish_from=publish_from, limits=limits)

    def get(self, query: str, *headers: tuple[str, str]) -> Response | Follow:
        request = Request("GET", f"{PATH}?{query}", Headers(headers), peer=ELSEWHERE)
        decision = self.routes.decide(request)
        assert isinstance(decision, Response | Follow)
        return decision

    def refuses_to_follow(self, query: str, *headers: tuple[str, str]) -> str:
        """Return the sentence of a 400."""
        decision = self.get(query, *headers)
        assert isinstance(decision, Response)
        assert decision.status == 400
        return decision.body.decode()

    def post(
        self,
        body: bytes = b"topic=a&data=x",
        *headers: tuple[str, str],
        peer: Peer = LOOPBACK,
        authority: str = "127.0.0.1:8080",
        form: tuple[str, str] = FORM,
    ) -> Response:
        request = Request(
            "POST", PATH, Headers([form, *headers]), body=body, peer=peer, authority=authority
        )
        decision = self.routes.decide(request)
        assert isinstance(decision, Response)
        return decision

    def refuses(self, body: bytes, status: int = 400) -> str:
        """Return the sentence of a refusal, after which nothing has been published."""
        response = self.post(body)
        assert response.status == status
        assert self.published() == []
        return response.body.decode()

    def published(self) -> list[tuple[tuple[str, ...], Event]]:
        reading = self.hub.log.read(frozenset(["*"]), self.hub.log.first, max_bytes=1 << 30)
        return [(entry.topics, entry.event) for entry in reading.entries]


class TestFollowing:
    def test_topics_are_named_in_the_query_once_or_repeatedly(self) -> None:
        mercure = Mercure()
        query = "topic=a&topic=https%3A%2F%2Fexample.org%2F%C3%A9&x=y&topic=*&topic=a"
        assert mercure.get(query) == Follow(mercure.hub, ("a", "https://example.org/é", "*"))

    @pytest.mark.parametrize("publish_from", ["loopback", "anyone", "nobody"])
    def test_anyone_may_from_anywhere(self, publish_from: PublishFrom) -> None:
        mercure = Mercure(publish_from)
        decision = mercure.get("topic=a", ("origin", "https://evil.example"), ("via", "1.1 p"))
        assert isinstance(decision, Follow)

    def test_the_last_event_id_comes_from_the_header_or_the_query(self) -> None:
        mercure = Mercure()
        assert mercure.get("topic=a&lastEventID=7") == Follow(mercure.hub, ("a",), "7")
        header = ("last-event-id", "é 9")
        assert mercure.get("topic=a&lastEventID=7", header) == Follow(mercure.hub, ("a",), "é 9")

    @pytest.mark.parametrize("query", ["", "topics=a", "data=x"])
    def test_no_topic_is_refused(self, query: str) -> None:
        assert "at least one topic" in Mercure().refuses_to_follow(query)

    def test_an_empty_or_overlong_topic_is_refused(self) -> None:
        mercure = Mercure()
        assert isinstance(mercure.get("topic=" + "%C3%A9" * 1024), Follow)
        assert "1 to 1024 characters" in mercure.refuses_to_follow("topic=" + "a" * 1025)
        assert "1 to 1024 characters" in mercure.refuses_to_follow("topic=a&topic=")

    def test_too_many_topics_are_refused(self) -> None:
        mercure = Mercure(limits=Limits(max_topics_per_stream=3))
        assert isinstance(mercure.get("topic=1&topic=2&topic=3&topic=3"), Follow)
        assert "more than 3 topics" in mercure.refuses_to_follow("topic=1&topic=2&topic=3&topic=4")

    def test_a_query_of_more_fields_than_there_could_be_is_refused(self) -> None:
        assert "more than 132 fields" in Mercure().refuses_to_follow("topic=a" + "&x" * 132)

    def test_a_topic_that_is_not_utf8_is_refused(self) -> None:
        assert "not UTF-8" in Mercure().refuses_to_follow("topic=%FF")

    @pytest.mark.parametrize("id_", ["%00", "a%0Ab", "%0D", "%7F", "%09"])
    def test_a_last_event_id_with_a_control_character_is_refused(self, id_: str) -> None:
        sentence = Mercure().refuses_to_follow(f"topic=a&lastEventID={id_}")
        assert "control characters" in sentence

    def test_a_last_event_id_header_with_a_control_character_is_refused(self) -> None:
        sentence = Mercure().refuses_to_follow("topic=a", ("last-event-id", "a\x01"))
        assert "control characters" in sentence


class TestPublishing:
    def test_a_form_becomes_an_event_on_its_topics(self) -> None:
        mercure = Mercure()
        body = b"topic=a&topic=b&data=x%0Ay+z&id=7&type=tick&retry=3000&topic=a&unknown=1&unknown=2"
        assert mercure.post(body).status == 200
        event = Event("x\ny z", type="tick", id="7", retry=3000)
        assert mercure.published() == [(("a", "b"), event)]

    def test_the_answer_is_the_id_and_nothing_more(self) -> None:
        response = Mercure().post("topic=a&id=é".encode())
        assert response.body == "é".encode()
        assert response.headers == (("content-type", "text/plain; charset=utf-8"),)

    def test_without_an_id_one_is_assigned_and_told(self) -> None:
        mercure = Mercure()
        response = mercure.post(b"topic=a")
        ((_, event),) = mercure.published()
        assert event.id
        assert response.body == event.id.encode()

    def test_without_data_there_is_an_event_all_the_same(self) -> None:
        mercure = Mercure()
        mercure.post(b"topic=a")
        ((_, event),) = mercure.published()
        assert event.data == ""

    def test_empty_fields_are_as_if_they_were_not_there(self) -> None:
        mercure = Mercure()
        assert mercure.post(b"topic=a&id=&type=&retry=").body != b""
        ((_, event),) = mercure.published()
        assert (event.type, event.retry) == ("message", None)

    @pytest.mark.parametrize(
        "form", ["Application/X-WWW-form-urlencoded", FORM[1] + " ; charset=UTF-8"]
    )
    def test_a_form_may_be_declared_in_any_case_and_with_parameters(self, form: str) -> None:
        assert Mercure().post(form=("content-type", form)).status == 200

    @pytest.mark.parametrize("form", ["application/json", "multipart/form-data", "", "text/plain"])
    def test_what_is_not_a_form_is_refused(self, form: str) -> None:
        response = Mercure().post(form=("content-type", form))
        assert response.status == 415
        assert b"application/x-www-form-urlencoded" in response.body

    def test_a_request_without_a_content_type_is_refused(self) -> None:
        assert Mercure().post(form=("accept", "*/*")).status == 415

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
    def test_any_text_arrives_as_it_was_published(self, data: str) -> None:
        mercure = Mercure()
        assert mercure.post(urlencode({"topic": "a", "data": data}).encode()).status == 200
        ((_, event),) = mercure.published()
        assert event.data == data

    @given(st.binary())
    def test_any_bytes_get_an_answer(self, body: bytes) -> None:
        assert Mercure().post(body).status in (200, 400)


class TestAFormThatIsRefused:
    @pytest.mark.parametrize("body", [b"", b"data=x", b"Topic=a"])
    def test_without_a_topic(self, body: bytes) -> None:
        assert "at least one topic" in Mercure().refuses(body)

    @pytest.mark.parametrize("body", [b"topic=", b"topic=a&topic=", b"topic=" + b"a" * 1025])
    def test_with_a_topic_of_the_wrong_length(self, body: bytes) -> None:
        assert "1 to 1024 characters" in Mercure().refuses(body)

    def test_with_too_many_topics(self) -> None:
        body = "&".join(f"topic={n}" for n in range(101)).encode()
        assert "more than 100 topics" in Mercure().refuses(body)

    def test_with_more_fields_than_there_could_be(self) -> None:
        assert "more than 132 fields" in Mercure().refuses(b"topic=a" + b"&x" * 132)

    def test_with_all_topics_for_its_topic(self) -> None:
        assert "topic of its own" in Mercure().refuses(b"topic=*")

    @pytest.mark.parametrize("body", [b"topic=a&data=\xff", b"topic=a&data=\xc3"])
    def test_with_bytes_that_are_not_utf8(self, body: bytes) -> None:
        assert "form is not UTF-8" in Mercure().refuses(body)

    @pytest.mark.parametrize("body", [b"topic=a&data=%FF", b"topic=%C3", b"topic=a&x=%ED%A0%80"])
    def test_with_escapes_that_are_not_utf8(self, body: bytes) -> None:
        assert "percent-escapes are not UTF-8" in Mercure().refuses(body)

    @pytest.mark.parametrize("field", ["data", "id", "type", "retry", "private"])
    def test_with_a_single_field_twice(self, field: str) -> None:
        sentence = Mercure().refuses(f"topic=a&{field}=1&{field}=1".encode())
        assert sentence == f"The field {field} is there more than once.\n"

    @pytest.mark.parametrize("id_", ["a%0Ab", "a%0D", "%00", "%1F", "%7F"])
    def test_with_an_id_that_nobody_could_resume_after(self, id_: str) -> None:
        assert "control characters" in Mercure().refuses(f"topic=a&id={id_}".encode())

    @pytest.mark.parametrize("id_", ["%23", "%237", "earliest"])
    def test_with_an_id_that_the_protocol_reserves(self, id_: str) -> None:
        assert "reserves" in Mercure().refuses(f"topic=a&id={id_}".encode())

    @pytest.mark.parametrize("type_", ["a%0Ab", "a%0Db", "%00"])
    def test_with_a_type_that_would_inject_a_field(self, type_: str) -> None:
        assert "event type has" in Mercure().refuses(f"topic=a&type={type_}".encode())

    @pytest.mark.parametrize("retry", ["x", "-1", "1.5", "+1", "%20", "%D9%A1", "9" * 19])
    def test_with_a_retry_that_is_no_number(self, retry: str) -> None:
        assert "whole number" in Mercure().refuses(f"topic=a&retry={retry}".encode())

    @pytest.mark.parametrize("private", ["on", "", "off"])
    def test_because_it_is_private_rather_than_told_to_everyone(self, private: str) -> None:
        sentence = Mercure().refuses(f"topic=a&data=x&private={private}".encode(), 501)
        assert "authorisation" in sentence

    def test_because_it_is_too_large(self) -> None:
        assert "1000" in Mercure().refuses(b"topic=a&data=" + b"x" * 1000, 413)

    def test_because_its_id_has_been_used(self) -> None:
        mercure = Mercure()
        assert mercure.post(b"topic=a&id=7").status == 200
        assert mercure.post(b"topic=b&id=7").status == 409
        assert len(mercure.published()) == 1


def answers(publish_from: PublishFrom, cors: Cors | None = None, **post: Any) -> Response:
    headers = post.pop("headers", ())
    mercure = Mercure(publish_from, cors)
    response = mercure.post(b"topic=a", *headers, **post)
    assert len(mercure.published()) == (1 if response.status == 200 else 0)
    return response


class TestWhoMayPublish:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
    def test_programs_on_this_machine_by_default(self, host: str) -> None:
        assert answers("loopback", peer=Peer(host, 1)).status == 200

    @pytest.mark.parametrize("peer", [ELSEWHERE, Peer("2001:db8::1", 1), Peer("unix")])
    def test_nobody_else_by_default(self, peer: Peer) -> None:
        response = answers("loopback", peer=peer)
        assert response.status == 403
        assert b"publish_from" in response.body

    @pytest.mark.parametrize("peer", [LOOPBACK, ELSEWHERE, Peer("unix")])
    def test_anyone_if_so_wanted(self, peer: Peer) -> None:
        headers = (("x-forwarded-for", "192.0.2.1"), ("via", "1.1 proxy"))
        assert answers("anyone", peer=peer, headers=headers).status == 200

    def test_nobody_if_so_wanted(self) -> None:
        response = answers("nobody")
        assert response.status == 405
        assert ("allow", "GET, HEAD, OPTIONS") in response.headers

    def test_a_word_for_it_that_is_unknown_is_refused(self) -> None:
        with pytest.raises(ValueError, match="publish_from must be one of"):
            Mercure("everyone")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "name",
        [
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Real-IP",
        ],
    )
    def test_whom_a_proxy_speaks_for_is_not_on_this_machine(self, name: str) -> None:
        response = answers("loopback", headers=((name, "x"),))
        assert response.status == 403
        assert b"proxy" in response.body
        assert b"publish_from" in response.body


ANYWHERE = pytest.mark.parametrize("publish_from", ["loopback", "anyone"])


class TestPagesInABrowser:
    @ANYWHERE
    @pytest.mark.parametrize(
        "cors",
        [None, Cors(["https://other.example"]), Cors(["*"], credentials=False)],
        ids=["no CORS", "others allowed", "all allowed, none named"],
    )
    @pytest.mark.parametrize("origin", [APP, "null", "http://127.0.0.1:8080", ""])
    def test_may_not_publish(
        self, publish_from: PublishFrom, cors: Cors | None, origin: str
    ) -> None:
        response = answers(publish_from, cors, headers=(("origin", origin),))
        assert response.status == 403
        assert b"origin" in response.body

    @ANYWHERE
    def test_may_if_their_origin_is_named(self, publish_from: PublishFrom) -> None:
        headers = (("origin", APP), ("sec-fetch-site", "cross-site"))
        response = answers(publish_from, Cors([APP]), headers=headers)
        assert response.status == 200
        assert ("access-control-allow-origin", APP) in response.headers

    @ANYWHERE
    def test_may_not_if_they_name_another_origin_too(self, publish_from: PublishFrom) -> None:
        headers = (("origin", APP), ("origin", "https://evil.example"))
        assert answers(publish_from, Cors([APP]), headers=headers).status == 403

    @ANYWHERE
    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_may_not_from_other_sites_though_they_hide_their_origin(
        self, publish_from: PublishFrom, site: str
    ) -> None:
        response = answers(publish_from, Cors([APP]), headers=(("sec-fetch-site", site),))
        assert response.status == 403

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_that_are_of_no_other_site_are_no_threat(self, site: str) -> None:
        assert answers("loopback", headers=(("sec-fetch-site", site),)).status == 200

    @pytest.mark.parametrize(
        "authority",
        [
            "localhost",
            "LOCALHOST.:8080",
            "hub.localhost:8080",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]",
            "[::1]:8080",
        ],
    )
    def test_may_call_this_machine_by_its_own_names(self, authority: str) -> None:
        headers = (("origin", APP),)
        assert answers("loopback", Cors([APP]), headers=headers, authority=authority).status == 200

    @pytest.mark.parametrize(
        "authority",
        ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "[::2]", "::1", ""],
    )
    def test_may_not_call_it_by_another(self, authority: str) -> None:
        headers = (("origin", APP),)
        response = answers("loopback", Cors([APP]), headers=headers, authority=authority)
        assert response.status == 403
        assert b"this machine's own names" in response.body

    def test_are_not_meant_by_the_rule_about_names(self) -> None:
        """A program may call the machine what it likes: only browsers can be led there."""
        assert answers("loopback", authority="hub.internal").status == 200
