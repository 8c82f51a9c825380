"""Events: what may be made, and what a client reads of what is written."""

from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.event import Decoder, Event, InvalidEvent, encode, encode_comment


class TestWhatIsWritten:
    def test_data_alone(self) -> None:
        assert encode(Event("hello")) == b"data: hello\n\n"

    def test_every_field(self) -> None:
        event = Event("a", type="tick", id="1", retry=3000, comment="for you")
        assert encode(event) == b": for you\nid: 1\nevent: tick\nretry: 3000\ndata: a\n\n"

    def test_the_default_type_is_left_out(self) -> None:
        assert encode(Event("a", type="message")) == encode(Event("a"))

    def test_each_kind_of_line_break_splits_data(self) -> None:
        assert encode(Event("a\nb\rc\r\nd")) == b"data: a\ndata: b\ndata: c\ndata: d\n\n"

    def test_a_line_break_at_the_end_of_data_is_a_line_of_its_own(self) -> None:
        assert encode(Event("a\n")) == b"data: a\ndata: \n\n"

    def test_each_kind_of_line_break_splits_a_comment(self) -> None:
        assert encode(Event(comment="a\nb\rc\r\nd")) == b": a\n: b\n: c\n: d\n\n"

    def test_an_empty_comment_is_a_colon(self) -> None:
        assert encode(Event(comment="")) == b":\n\n"

    def test_no_data_is_no_data_line_and_empty_data_is_an_empty_one(self) -> None:
        assert encode(Event(id="1")) == b"id: 1\n\n"
        assert encode(Event("", id="1")) == b"id: 1\ndata: \n\n"

    def test_an_empty_id_is_written_so_that_the_client_forgets_its_own(self) -> None:
        assert encode(Event("a", id="")) == b"id: \ndata: a\n\n"

    def test_what_looks_like_a_line_end_only_to_unicode_does_not_split(self) -> None:
        assert encode(Event("a\x0b\x85\u2028b")) == "data: a\x0b\x85\u2028b\n\n".encode()

    def test_a_str_enum_is_written_by_its_value(self) -> None:
        class Kind(str, enum.Enum):  # noqa: UP042 - StrEnum formats as its value, this does not
            TICK = "tick"

        class Delay(enum.IntEnum):
            SHORT = 10

        event = Event("a", type=Kind.TICK, id=Kind.TICK, retry=Delay.SHORT)
        assert encode(event) == b"id: tick\nevent: tick\nretry: 10\ndata: a\n\n"

    def test_a_comment_by_itself(self) -> None:
        assert encode_comment() == b":\n\n"
        assert encode_comment("still here") == b": still here\n\n"
        assert encode_comment("a\r\ndata: b") == b": a\n: data: b\n\n"

    def test_a_comment_with_a_lone_surrogate_is_refused(self) -> None:
        with pytest.raises(InvalidEvent, match="comment has a lone surrogate at character 0"):
            encode_comment("\udc80")


class TestWhatIsRefused:
    @pytest.mark.parametrize("field", ["id", "type"])
    @pytest.mark.parametrize(
        ("character", "name"),
        [("\r", "a carriage return"), ("\n", "a line feed"), ("\0", "a NUL")],
    )
    def test_what_would_break_out_of_a_line(self, field: str, character: str, name: str) -> None:
        values: dict[str, Any] = {field: f"ab{character}data: c"}
        with pytest.raises(InvalidEvent, match=f"event {field} has {name} at character 2"):
            Event("a", **values)

    @pytest.mark.parametrize("field", ["data", "type", "id", "comment"])
    def test_a_lone_surrogate(self, field: str) -> None:
        values: dict[str, Any] = {field: "ab\ud800"}
        with pytest.raises(InvalidEvent, match=f"event {field} has a lone surrogate .* 2"):
            Event(**values)

    @pytest.mark.parametrize("field", ["data", "type", "id", "comment"])
    def test_what_is_not_text(self, field: str) -> None:
        values: dict[str, Any] = {field: b"a"}
        with pytest.raises(InvalidEvent, match=f"event {field} must be a str, not bytes"):
            Event(**values)

    def test_an_empty_type(self) -> None:
        with pytest.raises(InvalidEvent, match="event type is empty"):
            Event("a", type="")

    @pytest.mark.parametrize("retry", ["1", 1.0, True])
    def test_a_retry_that_is_no_int(self, retry: Any) -> None:
        with pytest.raises(InvalidEvent, match="event retry must be an int, not"):
            Event(retry=retry)

    @pytest.mark.parametrize("retry", [-1, 10**18, pytest.param(10**5000, id="huge")])
    def test_a_retry_that_no_client_could_read(self, retry: int) -> None:
        with pytest.raises(InvalidEvent, match="0 or more milliseconds, at most 18 digits"):
            Event(retry=retry)

    def test_the_refusal_is_a_value_error(self) -> None:
        assert issubclass(InvalidEvent, ValueError)

    def test_an_event_does_not_change(self) -> None:
        event = Event("a")
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.data = "b"  # type: ignore[misc]

    def test_a_changed_copy_is_checked_as_well(self) -> None:
        with pytest.raises(InvalidEvent):
            dataclasses.replace(Event("a"), id="\n")


class TestJson:
    def test_the_data_is_compact_and_keeps_its_letters(self) -> None:
        event = Event.json({"a": [1, "é"]}, type="tick", id="1", retry=5)
        assert event == Event('{"a":[1,"é"]}', type="tick", id="1", retry=5)

    @pytest.mark.parametrize("value", [object(), float("nan"), {1: {2}}, "\ud800"])
    def test_what_has_no_json_form_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidEvent, match="event data"):
            Event.json(value)


text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n: \0\ufeff"))
line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))
events = st.builds(
    Event,
    st.none() | text,
    type=line.filter(bool) | st.just("message"),
    id=st.none() | line,
    retry=st.none() | st.integers(0, 10**18 - 1),
    comment=st.none() | text,
)


@given(st.lists(events, max_size=5))
def test_a_client_reads_what_was_written(written: list[Event]) -> None:
    last_event_id, retry = "", None
    expected = []
    for event in written:
        last_event_id = last_event_id if event.id is None else event.id
        retry = retry if event.retry is None else event.retry
        if event.data is not None:
            data = event.data.replace("\r\n", "\n").replace("\r", "\n")
            expected.append(Event(data, type=event.type, id=last_event_id or None))
    decoder = Decoder()
    assert decoder.feed(b"".join(encode(event) for event in written)) == expected
    assert (decoder.last_event_id, decoder.retry) == (last_event_id, retry)


@given(text)
def test_no_comment_is_ever_read_as_an_event(comment: str) -> None:
    decoder = Decoder()
    assert decoder.feed(encode_comment(comment)) == []
    assert decoder.feed(encode(Event("a", comment=comment))) == [Event("a")]


def test_it_imports_where_trio_cannot() -> None:
    code = "import sys; sys.modules['trio'] = None; import trio_sse.event"
    subprocess.run([sys.executable, "-c", code], check=True)
