"""Representations of HPACK (RFC 7541, 6), right and wrong, put together by hand."""

from __future__ import annotations

from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import strategies as st

__all__ = [
    "NEVER",
    "SECTIONS",
    "WITHOUT",
    "WITH_INDEXING",
    "indexed",
    "literal",
    "resize",
    "string",
]

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

WITH_INDEXING, WITHOUT, NEVER = (0x40, 6), (0x00, 4), (0x10, 4)


def integer(number: int, prefix_bits: int, first: int = 0) -> bytes:
    """Encode an integer (5.1), with the bits of `first` before its prefix."""
    coded = encode_integer(number, prefix_bits)
    coded[0] |= first
    return bytes(coded)


def indexed(index: int) -> bytes:
    """An indexed field (6.1)."""
    return integer(index, 7, 0x80)


def string(text: bytes, *, huffman: bool = False) -> bytes:
    """Encode a string (5.2)."""
    if huffman:
        coded = HUFFMAN.encode(text)
        return integer(len(coded), 7, 0x80) + coded
    return integer(len(text), 7) + text


def literal(
    name: int | bytes,
    value: bytes,
    kind: tuple[int, int] = WITH_INDEXING,
    *,
    huffman: bool = False,
) -> bytes:
    """A literal field (6.2), whose name stands in a table if it is a number."""
    first, bits = kind
    if isinstance(name, int):
        return integer(name, bits, first) + string(value, huffman=huffman)
    return bytes([first]) + string(name, huffman=huffman) + string(value, huffman=huffman)


def resize(size: int) -> bytes:
    """A change of the table's size (6.3)."""
    return integer(size, 5, 0x20)


# The static table ends at 61; what is beyond may be there or not.
INDICES = st.one_of(st.integers(1, 75), st.integers(0, 300))
TEXTS = st.one_of(
    st.sampled_from([b"", b"a", b"GET", b"x" * 30, b"y" * 1000, b"z" * 4100]),
    st.binary(max_size=40),
)
KINDS = st.sampled_from([WITH_INDEXING, WITH_INDEXING, WITHOUT, NEVER])
FIELDS = st.one_of(
    INDICES.map(indexed),
    st.builds(literal, st.one_of(TEXTS, INDICES), TEXTS, KINDS, huffman=st.booleans()),
)
SIZES = st.sampled_from([0, 31, 32, 34, 100, 1000, 4095, 4096, 4097, 2**32])
RESIZES = st.lists(SIZES.map(resize), max_size=2)


@st.composite
def sections(draw: st.DrawFn) -> bytes:
    """Draw a section, now and then one with a byte changed, cut off, or with something added."""
    pieces = draw(RESIZES) if draw(st.integers(0, 3)) == 0 else []
    pieces += draw(st.lists(FIELDS, max_size=6))
    section = bytearray(b"".join(pieces))
    harm = draw(st.integers(0, 9))
    if harm == 0 and section:
        section[draw(st.integers(0, len(section) - 1))] = draw(st.integers(0, 255))
    elif harm == 1 and section:
        del section[draw(st.integers(0, len(section) - 1)) :]
    elif harm == 2:
        section += draw(st.binary(max_size=8))
    return bytes(section)


SECTIONS = st.lists(sections(), max_size=8)
"""What one connection's decoder is given, one after the other."""
