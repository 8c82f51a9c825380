"""The decoder: what a browser would dispatch, however the bytes arrive.

The table has one case or more for each file on parsing, `format-*`, in the eventsource
directory of web-platform-tests, whose names the cases carry. The inputs are our own. Left out
is format-mime-*, which is about the response's head.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.event import Decoder, Event, EventTooLarge

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    stream: bytes
    events: list[Event]
    last_event_id: str = ""
    retry: int | None = None


CASES = [
    Case("bom", BOM + b"data:a\n\ndata:b\n\n", [Event("a"), Event("b")]),
    Case("bom: not at the start", b"data:a\n\n" + BOM + b"data:b\n\n", [Event("a")]),
    Case("bom: a blank line first", b"\n" + BOM + b"data:a\n\n", []),
    Case("bom-2: only one is stripped", BOM * 2 + b"data:a\n\ndata:b\n\n", [Event("b")]),
    Case("bom: cut short", BOM[:2] + b"data:a\n\ndata:b\n\n", [Event("b")]),
    Case(
        "comments",
        b"data:a\r:\0\n:\r\n: " + b"c" * 300 + b"\rdata:b\n:data:no\n::\n:\rdata:c\n\n",
        [Event("a\nb\nc")],
    ),
    Case("comments: nothing else", b":\n\n: here\n\n:\n\n", []),
    Case(
        "data-before-final-empty-line",
        b"retry:50\ndata:a\n\nid:late\ndata:b",
        [Event("a")],
        retry=50,
    ),
    Case("data-before-final-empty-line: ended, not closed", b"id:late\ndata:b\n", []),
    Case(
        "field-data: empty and without a colon",
        b"data:\n\ndata\ndata\n\ndata:a\n\n",
        [Event(""), Event("\n"), Event("a")],
    ),
    Case("field-data: none", b"id:1\n\nevent:a\n\n\n\n", [], last_event_id="1"),
    Case(
        "field-event",
        b"event:tick\ndata:a\n\ndata:b\n\n",
        [Event("a", type="tick"), Event("b")],
    ),
    Case(
        "field-event: the last one counts",
        b"event:a\nevent:b\ndata\n\n",
        [Event("", type="b")],
    ),
    Case(
        "field-event: is forgotten by an event without data", b"event:a\n\ndata:b\n\n", [Event("b")]
    ),
    Case(
        "field-event-empty",
        b"event:a\nevent: \ndata:b\n\nevent\ndata:c\n\n",
        [Event("b"), Event("c")],
    ),
    Case(
        "field-id: sticks",
        b"id:1\ndata:a\n\ndata:b\n\nid:2\ndata:c\n\ndata:d\n\n",
        [Event("a", id="1"), Event("b", id="1"), Event("c", id="2"), Event("d", id="2")],
        last_event_id="2",
    ),
    Case(
        "field-id: without data counts for what follows",
        b"id:1\n\ndata:a\n\n",
        [Event("a", id="1")],
        last_event_id="1",
    ),
    Case("field-id: counts only with the blank line", b"id:1\n\nid:2\n", [], last_event_id="1"),
    Case(
        "field-id-2: not ASCII",
        "id: …\ndata: a\n\ndata: b\n\n".encode(),
        [Event("a", id="…"), Event("b", id="…")],
        last_event_id="…",
    ),
    Case(
        "field-id-3: resets",
        b"id:1\ndata:a\n\nid\ndata:b\n\ndata:c\n\n",
        [Event("a", id="1"), Event("b"), Event("c")],
    ),
    Case(
        "field-id-null: is no id",
        b"id:1\nid:2\0\nid:\0\0\ndata:a\n\n",
        [Event("a", id="1")],
        last_event_id="1",
    ),
    Case(
        "field-parsing: only exact names count",
        b"data:\0\ndata:  2\rData:no\ndata\0:no\ndata:1\r\0data:no\nda-ta:no\r"
        b"data_no\ndata:3\rdata:\r\n data:no\ndata :no\ndata:4\n\n",
        [Event("\0\n 2\n1\n3\n\n4")],
    ),
    Case("field-parsing: only the first colon counts", b"data:a:b: c\n\n", [Event("a:b: c")]),
    Case("field-retry", b"retry:03000\ndata:a\n\n", [Event("a")], retry=3000),
    Case("field-retry: counts without an event", b"retry: 7\n", [], retry=7),
    Case(
        "field-retry-bogus",
        b"retry:20\nretry:10x\nretry:-1\nretry:+1\nretry:1.5\nretry:0x1\nretry:1_0\nretry:  1\n",
        [],
        retry=20,
    ),
    Case("field-retry-bogus: digits of other scripts", "retry:١٢\nretry:²\n".encode(), []),
    Case("field-retry-bogus: beyond 64 bits", b"retry:" + b"9" * 5000 + b"\n", []),
    Case("field-retry-empty", b"retry\nretry:\ndata:a\n\n", [Event("a")]),
    Case("field-unknown", b"data:a\n data\ndata\nfood:b\nwords\n:b\ndata:c\n\n", [Event("a\n\nc")]),
    Case("leading-space", b"data:\ta\rdata: \ndata:  b\ndata:c \n\n", [Event("\ta\n\n b\nc ")]),
    Case(
        "newlines",
        b"data:a\r\ndata\ndata:b\r\n\r\ndata:c\r\rdata:d\n\n",
        [Event("a\n\nb"), Event("c"), Event("d")],
    ),
    Case(
        "newlines: mixed",
        b"data:a\r\n\rdata:b\n\r\ndata:c\r\n\ndata:d\n\r",
        [Event(c) for c in "abcd"],
    ),
    Case(
        "newlines: nothing but the three",
        "data:a\x0b\x0c\x1c\x85\u2028\u2029b\n\n".encode(),
        [Event("a\x0b\x0c\x1c\x85\u2028\u2029b")],
    ),
    Case("null-character", b"data:\0\n\n", [Event("\0")]),
    Case("utf-8", "data:ok…🙂\n\n".encode(), [Event("ok…🙂")]),
    Case(
        "utf-8: invalid bytes",
        b"data:\xff\xc0\x80a\xed\xa0\x80b\n\n",
        [Event("\ufffd\ufffd\ufffda\ufffd\ufffd\ufffdb")],
    ),
    Case(
        "utf-8: a sequence that a line end cuts",
        b"id:\xe2\x80\rdata:\xf0\x9f\x99\ndata:\xe2\n\n",
        [Event("\ufffd\n\ufffd", id="\ufffd")],
        last_event_id="\ufffd",
    ),
    Case("empty", b"", []),
]


def decode(*pieces: bytes) -> tuple[list[Event], str, int | None]:
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events, decoder.last_event_id, decoder.retry


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestEachCase:
    def test_whole(self, case: Case) -> None:
        assert decode(case.stream) == (case.events, case.last_event_id, case.retry)

    def test_byte_by_byte(self, case: Case) -> None:
        pieces = [bytes([byte]) for byte in case.stream]
        assert decode(*pieces) == (case.events, case.last_event_id, case.retry)

    def test_at_every_split(self, case: Case) -> None:
        for at in range(len(case.stream) + 1):
            pieces = case.stream[:at], b"", case.stream[at:]
            assert decode(*pieces) == (case.events, case.last_event_id, case.retry), at


# Bytes that mean something are likely, so that what hypothesis finds is not all noise.
streams = st.lists(
    st.sampled_from(
        [*b"\n \r \r\n : \0 7 x \xff \xe2\x80 data id event retry".split(b" "), b" ", BOM]
    )
    | st.binary(max_size=3),
    max_size=60,
)


@given(streams)
def test_however_a_stream_is_cut_it_decodes_alike(pieces: list[bytes]) -> None:
    assert decode(*pieces) == decode(b"".join(pieces))


@given(streams, st.integers(0, 12))
def test_however_a_stream_is_cut_the_bound_is_met_at_the_same_event(
    pieces: list[bytes], bound: int
) -> None:
    def outcome(*pieces: bytes) -> tuple[list[Event], bool]:
        decoder, events = Decoder(max_event_bytes=bound), []
        try:
            for piece in (*pieces, b""):
                events += decoder.feed(piece)
        except EventTooLarge:
            return events, True
        return events, False

    assert outcome(*pieces) == outcome(b"".join(pieces))


@given(st.binary())
def test_without_a_bound_no_bytes_make_it_raise(stream: bytes) -> None:
    for event in Decoder().feed(stream):
        assert event.type
        assert event.data is not None


@given(st.binary(max_size=200))
def test_invalid_bytes_are_replaced_as_the_encoding_standard_says(value: bytes) -> None:
    # Python replaces the maximal subpart of an ill-formed sequence, as WHATWG Encoding does.
    value = value.replace(b"\n", b"").replace(b"\r", b"")
    assert Decoder().feed(b"data: " + value + b"\n\n") == [Event(value.decode(errors="replace"))]


def test_a_blank_line_that_ends_with_a_cr_dispatches_at_once() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\r\r") == [Event("a")]
    assert decoder.feed(b"\ndata: b\n\n") == [Event("b")]


def test_a_type_with_a_nul_is_dispatched_though_none_may_send_it() -> None:
    (event,) = Decoder().feed(b"event: a\0b\ndata\n\n")
    assert event.type == "a\0b"


def test_a_decoded_event_is_an_event_like_any_other() -> None:
    (event,) = Decoder().feed(b"id: 1\nevent: tick\ndata: a\n\n")
    assert event == Event("a", type="tick", id="1")
    assert hash(event) == hash(Event("a", type="tick", id="1"))
    assert (event.retry, event.comment) == (None, None)


class TestTheBound:
    def test_an_event_within_it_is_decoded(self) -> None:
        assert Decoder(max_event_bytes=7).feed(b"data: a\n\n") == [Event("a")]

    @pytest.mark.parametrize("stream", [b"data: ab\n\n", b"data: ab", b":1234567\n", b"x" * 8])
    def test_a_longer_line_is_refused(self, stream: bytes) -> None:
        with pytest.raises(EventTooLarge, match="a line is larger than the 7 bytes"):
            Decoder(max_event_bytes=7).feed(stream)

    def test_a_line_that_never_ends_is_refused_before_it_is_buffered_in_full(self) -> None:
        decoder = Decoder(max_event_bytes=7)
        decoder.feed(b"data: a")
        with pytest.raises(EventTooLarge, match="a line"):
            decoder.feed(b"b")

    def test_many_short_lines_of_data_are_refused_without_waiting_for_their_end(self) -> None:
        decoder = Decoder(max_event_bytes=7)
        decoder.feed(b"data:ab\n" * 2)
        with pytest.raises(EventTooLarge, match="data is larger than the 7 bytes"):
            decoder.feed(b"data:ab\n")

    def test_the_line_ends_within_data_count(self) -> None:
        assert Decoder(max_event_bytes=7).feed(b"data\n" * 7 + b"\n") == [Event("\n" * 6)]
        with pytest.raises(EventTooLarge, match="data is larger"):
            Decoder(max_event_bytes=7).feed(b"data\n" * 8)

    def test_a_refused_line_has_no_effect(self) -> None:
        decoder = Decoder(max_event_bytes=7)
        with pytest.raises(EventTooLarge):
            decoder.feed(b"retry: 10\n")
        assert decoder.retry is None

    def test_many_events_within_it_are_no_matter(self) -> None:
        assert len(Decoder(max_event_bytes=7).feed(b"data: a\n\n" * 1000)) == 1000

    def test_events_before_the_large_one_come_first_and_then_it_raises_for_good(self) -> None:
        decoder = Decoder(max_event_bytes=7)
        assert decoder.feed(b"id: 1\ndata: a\n\ndata: large\n\ndata: b\n\n") == [Event("a", id="1")]
        assert decoder.last_event_id == "1"
        for _ in range(2):
            with pytest.raises(EventTooLarge):
                decoder.feed(b"data: b\n\n")
