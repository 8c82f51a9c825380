"""HPACK's shorter ways: they read and write what hpack itself does."""

from __future__ import annotations

from typing import Any

import pytest
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.hpack import Decoder, Encoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman as hpack_huffman
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpack_pieces import SECTIONS as PIECED_SECTIONS
from hpack_pieces import resize
from trio_sse.wire import huffman
from trio_sse.wire.field_coding import CompressionError, FieldDecoder, FieldEncoder
from trio_sse.wire.huffman import decode_huffman

Fields = list[tuple[bytes, bytes]]

NAMES = st.one_of(
    st.sampled_from([b":path", b"accept", b"cookie", b"x-one", b""]), st.binary(max_size=200)
)
VALUES = st.one_of(st.sampled_from([b"", b"GET", b"a" * 300]), st.binary(max_size=40))
SECTIONS = st.lists(
    st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=6), min_size=1, max_size=6
)


def outcome(decoder: Decoder, data: bytes) -> Any:
    """What a decoder makes of a section: fields, or which kind of error."""
    try:
        return [tuple(field) for field in decoder.decode(data, raw=True)]
    except OversizedHeaderListError:
        return "oversized"
    except (HPACKError, IndexError, CompressionError):
        return "error"


# -- reading ----------------------------------------------------------------------------


@given(SECTIONS, st.booleans(), st.sampled_from([0, 60, 4096]))
def test_what_hpack_has_written_is_read(sections: Any, huffman: bool, table_size: int) -> None:
    encoder, decoder = Encoder(), FieldDecoder()
    encoder.header_table_size = table_size
    for section in sections:
        data = encoder.encode(section, huffman=huffman)
        assert outcome(decoder, data) == [(name, value) for name, value, _ in section]


@settings(max_examples=300)
@given(st.one_of(PIECED_SECTIONS, st.lists(st.binary(max_size=60), max_size=5)))
@example([b"\x82\x3f"])
@example([b"\x80"])
@example([b"\xff\x80\x80"])
@example([b"\x00\x05a"])
@example([b"\x00\x01a\x82\xff\xff"])
@example([b"\x20\x82", b"\x3f\xe1\x1f\x82", b"\x3f\xe2\x1f\x82"])
def test_what_anybody_may_send_is_read_as_hpack_reads_it(sections: list[bytes]) -> None:
    ours, theirs = FieldDecoder(), Decoder()
    for section in sections:
        expected = outcome(theirs, section)
        found = outcome(ours, section)
        if found == "error" and "too often" in str(ours_error(section)):
            break  # hpack has no bound on that.
        assert found == expected
        if not isinstance(expected, list):
            break  # That is the end of the connection.
        assert ours.header_table.dynamic_entries == theirs.header_table.dynamic_entries
        assert ours.header_table_size == theirs.header_table_size


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=40), st.lists(st.sampled_from([0xFF, 0xFE, 0x7F, 0x3C, 0])).map(bytes)
    )
)
@example(b"")
@example(b"\xff\xff\xff\xff" + bytes(20))
def test_huffman_is_read_as_hpack_reads_it(literal: bytes) -> None:
    try:
        expected = bytes(hpack_huffman(literal))
    except HPACKError:
        with pytest.raises(HPACKError):
            decode_huffman(literal)
    else:
        assert decode_huffman(literal) == expected


Bits = tuple[int, int]
"""Some bits of a string: how many, and their value."""

CODE = {
    (length, code): character
    for character, (code, length) in enumerate(
        zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
    )
}
"""RFC 7541, appendix B."""
END_OF_STRING = 256


def read_byte(begun: Bits, byte: int) -> tuple[Bits | None, bytes]:
    """Read a byte by the table of the RFC, after what has begun of a character; None: it fails."""
    length, value = begun
    found = b""
    for shift in range(7, -1, -1):
        length, value = length + 1, value << 1 | (byte >> shift & 1)
        character = CODE.get((length, value))
        if character == END_OF_STRING:
            return None, b""
        if character is not None:
            found += bytes((character,))
            length = value = 0
    return (length, value), found


def test_whatever_huffman_s_code_there_is_is_read_as_the_rfc_says() -> None:
    # Not examples: each state is met with each byte, and stands for the same bits however it was
    # reached. So it holds for all strings.
    begun: dict[int, Bits] = {huffman._ROOT: (0, 0)}
    states = [huffman._ROOT]
    for state in states:
        length, value = begun[state]
        # Padding is fewer than eight bits, all of them ones (RFC 7541, 5.2).
        is_padding = length < 8 and value == (1 << length) - 1
        assert (state in huffman._COMPLETE) is is_padding
        following, pieces = huffman._rows[state]
        for byte in range(256):
            rest, found = read_byte(begun[state], byte)
            if rest is None:
                assert following[byte] == huffman._FAILED
                continue
            assert pieces[byte] == found
            if following[byte] not in begun:
                states.append(following[byte])
            assert begun.setdefault(following[byte], rest) == rest
    assert len(states) == 256
    assert huffman._FAILED not in begun
    assert set(huffman._rows[huffman._FAILED][0]) == {huffman._FAILED}
    assert huffman._FAILED not in huffman._COMPLETE


def ours_error(section: bytes) -> CompressionError | None:
    """What is wrong with a section wherever it stands."""
    try:
        FieldDecoder().decode(section)
    except CompressionError as error:
        return error
    return None


@pytest.mark.parametrize(("most", "fits"), [(42, True), (41, False)])
def test_a_section_may_be_as_large_as_was_said(most: int, fits: bool) -> None:
    decoder = FieldDecoder(most)
    section = b"\x82"  # ":method: GET" counts 7 + 3 + 32
    assert (outcome(decoder, section) == [(b":method", b"GET")]) is fits


# -- writing ----------------------------------------------------------------------------

HEAD = ((b":status", b"200"), (b"content-type", b"text/event-stream"), (b"x-a", b"1"))


def test_the_same_fields_are_looked_up_once() -> None:
    encoder, decoder = FieldEncoder(), Decoder()
    blocks = [encoder.encode(HEAD) for _ in range(4)]
    assert [tuple(decoder.decode(block, raw=True)) for block in blocks] == [HEAD] * 4
    assert blocks[1] is not blocks[0]
    assert blocks[2] is blocks[3] is blocks[1]


POOL: list[Fields] = [
    [(b":status", b"200"), (b"a", b"1")],
    [(b"b", b"2"), (b"accept", b"3")],
    [(b"x-" + b"y" * 50, b"z" * 60), (b"a", b"1")],
    [(b"a", b"1"), (b"a", b"2"), (b"a", b"3"), (b"b", b"2")],
    [],
]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(range(len(POOL))).map(lambda which: ("encode", which)),
            st.sampled_from([0, 40, 100, 200, 4096]).map(lambda size: ("resize", size)),
        ),
        max_size=20,
    )
)
@example([("encode", 3), ("encode", 3), ("resize", 100), ("encode", 3), ("encode", 3)])
@example([("encode", 3), ("resize", 100), ("resize", 100), ("encode", 3)])
def test_whatever_happens_to_the_table_a_client_reads_what_was_meant(
    steps: list[tuple[str, int]],
) -> None:
    encoder, client = FieldEncoder(), Decoder()
    for step, argument in steps:
        if step == "resize":
            encoder.header_table_size = client.max_allowed_table_size = argument
        else:
            # Raises as well if the encoder has not said that it keeps to the size allowed.
            assert list(client.decode(encoder.encode(POOL[argument]), raw=True)) == POOL[argument]
            tables = [coder.header_table for coder in (encoder, client)]
            assert tables[0].dynamic_entries == tables[1].dynamic_entries


def test_however_often_a_size_changes_the_least_and_the_last_are_told() -> None:
    encoder = FieldEncoder()
    for size in (4096, 300, 40, 40, 2000, 4096, 700):
        encoder.header_table_size = size
    assert encoder.encode([]) == resize(40) + resize(700)
    for size in (500, 100, 100):
        encoder.header_table_size = size
    assert encoder.encode([]) == resize(100)
    assert encoder.encode([]) == b""


def test_a_client_cannot_have_much_remembered() -> None:
    encoder, client = FieldEncoder(), Decoder()
    encoder.header_table_size = client.max_allowed_table_size = 2**32 - 1
    for number in range(200):
        fields = [(b"etag", b"%d" % number)]
        assert list(client.decode(encoder.encode(fields), raw=True)) == fields
    assert encoder.header_table_size == 4096
    assert len(encoder.header_table.dynamic_entries) < 4096 / 32
