"""HPACK's Huffman code (RFC 7541, 5.2), read a byte at a time.

hpack reads it by halves of a byte, with a branch for each: a field section of what is allowed
held the event loop for 30 ms, and cost its client nothing. Here two of hpack's steps are made
one. Owns no code table, that is hpack's; and refuses what hpack refuses.
"""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE

__all__ = ["decode_huffman"]

_Row = tuple[list[int], list[bytes]]
"""Of one state, for each byte: the next state, and the characters that end in it, two at most."""

_ROOT = 0
_FAILED = 256
"""Beside hpack's 256 states: what has failed stays so to the end of the string."""

_COMPLETE = frozenset(
    {_ROOT, *(state for state, flags, _ in HUFFMAN_TABLE if flags & HUFFMAN_COMPLETE)}
)
"""States in which a string may end: between two characters, or in up to 7 bits of padding."""


class _Rows(dict[int, _Row]):
    """The row of each state. Made when they are needed: text needs few of the 256."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: dict[bytes, bytes] = {}

    def __missing__(self, state: int) -> _Row:
        following, pieces = [], []
        for byte in range(256):
            between, first = _half(state, byte >> 4)
            end, second = _half(between, byte & 15)
            following.append(end)
            # One object for each of the 17,665 that there are, in a megabyte; not for each use.
            pieces.append(self._pieces.setdefault(first + second, first + second))
        self[state] = row = following, pieces
        return row


def _half(state: int, nibble: int) -> tuple[int, bytes]:
    if state == _FAILED:
        return _FAILED, b""
    following, flags, character = HUFFMAN_TABLE[16 * state + nibble]
    if flags & HUFFMAN_FAIL:
        return _FAILED, b""
    return following, bytes((character,)) if flags & HUFFMAN_EMIT_SYMBOL else b""


_rows = _Rows()


def decode_huffman(literal: bytes) -> bytes:
    """Return what a string literal stands for. Raises hpack's HPACKDecodingError."""
    rows = _rows
    state = _ROOT
    decoded = bytearray()  # no list of pieces, which would take eight bytes for each
    for byte in literal:
        following, row = rows[state]
        state = following[byte]
        decoded += row[byte]
    if state not in _COMPLETE:
        raise HPACKDecodingError("a string is not in HPACK's Huffman code")
    return bytes(decoded)
