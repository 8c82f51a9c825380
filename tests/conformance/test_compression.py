"""RFC 7541: field sections that cannot be decoded end the connection (RFC 9113, 4.3)."""

from __future__ import annotations

import tracemalloc

import pytest

from hpack_pieces import NEVER, WITH_INDEXING, WITHOUT, indexed, literal, resize, string
from http2_client import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, raw
from trio_sse.limits import Limits
from trio_sse.wire.field_coding import FieldDecoder

from .witness import BROKEN, CALM, COMPRESSION, LATER, LINE, Witness, block, request

LINE_BLOCK = block(LINE)

ERRORS = {
    "2.3.3: index beyond the static table": indexed(62),
    "2.3.3: index far beyond both tables": indexed(2**31),
    "2.3.3: a name whose index is beyond both tables": literal(62, b"x"),
    "2.3.3: a name of what was driven out of the table": (
        literal(b"a", b"x" * 2000) + literal(b"b", b"x" * 3000) + indexed(63)
    ),
    "4.4: an entry too large for the table empties it": (
        literal(b"a", b"b") + literal(b"c", b"x" * 4096) + indexed(62)
    ),
    "4.3: a smaller table drives out what is too much": b"resize",
    "5.1: an integer without end": b"\xff" + b"\x80" * 20 + b"\0",
    "5.1: an integer with zeros before it": b"\xff\x80\x80\x80\x80\x80\0",
    "5.1: an integer of more than 32 bits": b"\xff\xff\xff\xff\xff\x7f",
    "5.1: an integer that is cut off": b"\xff\x80",
    "5.1: an integer of which there is only the prefix": b"\xff",
    "5.1: a length of more than 32 bits": b"\0\x7f\xff\xff\xff\xff\xff\x0f",
    "5.2: a name that is cut off": b"\0\x05abc",
    "5.2: a name without a value": b"\0\x01a",
    "5.2: a value that is cut off": b"\0\x01a\x02b",
    "5.2: nothing but the first byte of a literal": b"\x40",
    "5.2: Huffman's code with its end in it": b"\0\x01a\x84\xff\xff\xff\xff",
    "5.2: Huffman's code with its end at the end": b"\0\x01a\x85\x1f\xff\xff\xff\xfc",
    "5.2: Huffman's code with a byte of padding": b"\0\x01a\x82\x1f\xff",
    "5.2: Huffman's code with padding that is not ones": b"\0\x01a\x81\x18",
    "5.2: the same in a name": b"\0\x81\x18\x01a",
    "5.2: Huffman's code that ends within a character": b"\0\x01a\x81\xfe",
    "6.1: index 0": indexed(0),
    "6.3: a table larger than allowed": resize(4097),
    "6.3: a table larger than any": resize(2**31),
    "6.3: a size that is cut off": b"\x3f\x80",
    "4.2: a new size in the middle": indexed(2) + resize(0) + LINE_BLOCK,
    "4.2: a new size at the end": LINE_BLOCK + resize(0),
    "4.2: three new sizes": resize(0) + resize(1) + resize(2) + LINE_BLOCK,
}


@pytest.mark.parametrize("wrong", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_what_cannot_be_decoded_ends_the_connection(wrong: bytes, split: bool) -> None:
    witness = Witness()
    if wrong == b"resize":
        section = LINE_BLOCK + literal(b"a", b"x" * 100) + literal(b"b", b"y" * 100)
        witness.hear(raw(HEADERS, END_HEADERS | END_STREAM, BROKEN, section))
        wrong = resize(140) + indexed(63)
        assert witness.asked(BROKEN)
    if split:
        at = len(wrong) // 2
        witness.hear(
            raw(HEADERS, END_STREAM, LATER, wrong[:at])
            + raw(CONTINUATION, END_HEADERS, LATER, wrong[at:])
        )
    else:
        witness.hear(raw(HEADERS, END_HEADERS | END_STREAM, LATER, wrong))
    witness.assert_connection_ended(COMPRESSION)


TAKEN = {
    "2.3.1: all of the static table that requests use": (
        indexed(2) + indexed(4) + indexed(6) + literal(1, b"a")
    ),
    "4.2: a new size at the beginning": resize(0) + LINE_BLOCK,
    "4.2: two new sizes": resize(0) + resize(4096) + LINE_BLOCK,
    "5.1: an integer with a zero that it does not need": (
        LINE_BLOCK + b"\x00\x01a\x7f\x80\x00" + b"x" * 127
    ),
    "5.2: strings by Huffman": (
        b"".join(
            literal(name.encode(), value.encode(), WITHOUT, huffman=True) for name, value in LINE
        )
    ),
    "5.2: strings by Huffman that are empty": LINE_BLOCK + b"\0\x01a\x80",
    "6.2: the three kinds of literals": (
        LINE_BLOCK
        + literal(b"a", b"1", WITH_INDEXING)
        + literal(b"a", b"2", WITHOUT)
        + literal(b"a", b"3", NEVER)
        + literal(62, b"4", NEVER)
        + indexed(62)
    ),
}


@pytest.mark.parametrize("section", TAKEN.values(), ids=TAKEN)
def test_what_can_be_decoded_is_a_request(section: bytes) -> None:
    witness = Witness()
    witness.hear(raw(HEADERS, END_HEADERS | END_STREAM, BROKEN, section))
    assert witness.asked(BROKEN)
    witness.server.respond_head(BROKEN, 204, [], end=True)
    witness.assert_goes_on()


def test_fields_over_the_limit_are_still_decoded_as_others_follow() -> None:
    witness = Witness(Limits(max_header_bytes=1000))
    section = LINE_BLOCK + literal(b"a", b"x" * 1000)
    witness.hear(raw(HEADERS, END_HEADERS | END_STREAM, BROKEN, section))
    assert witness.refused == [431]
    witness.hear(raw(HEADERS, END_HEADERS | END_STREAM, LATER, LINE_BLOCK + literal(62, b"y")))
    assert witness.asked(LATER)
    witness.server.respond_head(LATER, 204, [], end=True)
    witness.assert_goes_on()


BOMBS = {
    "an entry of the table again and again": literal(b"a", b"x" * 4000) + indexed(62) * 16_000,
    "Huffman's shortest code": literal(b"a", b"0" * 30_000, huffman=True) * 2,
    "fields with nothing in them": literal(b"", b"") * 16_000,
    "indices of the static table": indexed(2) * 32_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_section_that_stands_for_much_is_not_decoded_whole(bomb: bytes) -> None:
    witness = Witness(Limits(max_header_bytes=16_384))
    section = LINE_BLOCK + bomb
    frames = [raw(HEADERS, END_STREAM, BROKEN, section[:16_384])]
    for start in range(16_384, len(section), 16_384):
        frames.append(raw(CONTINUATION, 0, BROKEN, section[start : start + 16_384]))
    witness.hear(b"".join(frames) + raw(CONTINUATION, END_HEADERS, BROKEN))
    witness.assert_connection_ended(CALM)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_decoding_takes_no_more_memory_than_a_few_times_the_limit(bomb: bytes) -> None:
    decoder = FieldDecoder(32_768)
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match="larger than 32768 bytes"):
            decoder.decode(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000


def test_a_string_is_not_made_before_its_length_is_there() -> None:
    witness = Witness()
    witness.hear(request(line=[]) + raw(HEADERS, 5, LATER, b"\0" + string(b"a") + b"\x7f\x80\x7f"))
    witness.assert_connection_ended(COMPRESSION)
