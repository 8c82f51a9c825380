"""Standard input cut into lines: any bytes, in pieces of any size."""

from __future__ import annotations

import os
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st

from trio_sse.cli.lines import Line, Splitter, read_lines


def split(*pieces: bytes, max_line: int = 100) -> list[Line]:
    splitter = Splitter(max_line)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return [*lines, *splitter.finish()]


def texts(*pieces: bytes) -> list[str | None]:
    return [line.text for line in split(*pieces)]


def test_lines_end_with_lf_or_crlf_and_the_last_one_needs_no_end() -> None:
    assert texts(b"a\nb\r\n\nc") == ["a", "b", "", "c"]


def test_a_carriage_return_inside_a_line_belongs_to_it() -> None:
    assert texts(b"10%\r20%\n") == ["10%\r20%"]


def test_no_input_is_no_line() -> None:
    assert texts() == []
    assert texts(b"") == []


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert texts(b"a\xffb\n", b"\xc3", b"\xa4\n") == ["a\ufffdb", "ä"]


def test_lines_are_counted_from_one() -> None:
    assert [line.number for line in split(b"a\n", b"b\nc")] == [1, 2, 3]


def test_a_line_that_is_too_long_is_left_out_and_the_others_are_not() -> None:
    pieces = [b"a\n", *[b"x" * 40] * 3, b"\nb\n", b"y" * 101]
    assert [line.text for line in split(*pieces)] == ["a", None, "b", None]
    assert split(b"x" * 100 + b"\n")[0].text == "x" * 100


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\n", b"\r\n", b"x" * 30])), st.data())
def test_every_way_to_cut_the_bytes_gives_the_same_lines(
    pieces: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    again = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert split(*pieces, max_line=50) == split(*again, max_line=50)


async def test_a_line_arrives_while_the_next_one_is_still_being_written() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one\ntw")
    async with aclosing(read_lines(reading)) as lines:
        assert await anext(lines) == Line(1, "one")
        os.write(writing, b"o\n")
        assert await anext(lines) == Line(2, "two")
        os.close(writing)
        assert [line async for line in lines] == []
    os.close(reading)
