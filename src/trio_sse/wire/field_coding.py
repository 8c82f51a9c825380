"""HPACK (RFC 7541) as a server of many streams needs it: hpack's coder, with shorter ways.

What takes hpack's decoder most of its time is to look at each field in several calls; here the
common forms are read in one loop. What takes its encoder most is to find the same fields in its
table for each answer; here the block is remembered for as long as the table stays as it is.

Owns no table: those are hpack's, and so are integers of several bytes and Huffman's code. Owns
how large a table may become and how often its size may change, of which hpack knows no bound.
Errors have the code that RFC 9113, 4.3 asks for; h2 gives another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack.exceptions import HPACKDecodingError, HPACKError, OversizedHeaderListError
from hpack.hpack import Decoder, Encoder, decode_integer
from hpack.struct import HeaderTuple

from .huffman import decode_huffman

__all__ = ["CompressionError", "FieldDecoder", "FieldEncoder"]

Field = tuple[bytes, bytes]

# The first byte of a field's representation (RFC 7541, 6).
INDEXED = 0x80
WITH_INDEXING = 0x40
SIZE_UPDATE = 0x20

HUFFMAN = 0x80  # RFC 7541, 5.2

OVERHEAD = 32  # RFC 7541, 4.1

LONGEST_INTEGER = 6
"""Bytes of an integer that hpack reads at most: the prefix, and five for 32 bits."""

MOST_SIZE_UPDATES = 2
"""An encoder has at most two to tell, the least size and the last (RFC 7541, 4.2). A section
may have room for 64,000, each of which is work, and none of which is a field that counts."""

MAX_TABLE_BYTES = 4096
"""The most that our encoder remembers, which is HPACK's initial size. A client may allow up to
4 GiB, and the encoder looks through all of it for each field. nghttp2 stops at 4 KiB too."""


class CompressionError(ProtocolError):
    """A field section is not HPACK."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class FieldDecoder(Decoder):
    """hpack's decoder in one loop."""

    last_read = (0, 0)
    """How many fields were in the last section, and how long they were in all: bytes, without
    overhead."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """Return the fields of a section as bytes, whatever `raw` says.

        Raises CompressionError, or OversizedHeaderListError beyond `max_header_list_size`.
        """
        try:
            return cast(list[HeaderTuple], self._decode(data, self._resize(data)))
        except OversizedHeaderListError:
            raise
        except (HPACKError, IndexError) as error:
            raise CompressionError(str(error)) from error

    def _resize(self, data: bytes) -> int:
        """Change the table's size as the section begins with; return where its fields begin."""
        at = 0
        for _ in range(MOST_SIZE_UPDATES):
            if not SIZE_UPDATE <= int.from_bytes(data[at : at + 1]) < WITH_INDEXING:
                break
            size, at = _integer(data, at, 0x1F)
            if size > self.max_allowed_table_size:
                raise HPACKDecodingError(f"a table of {size} bytes is larger than allowed")
            self.header_table_size = size
        return at

    def _decode(self, data: bytes, at: int) -> list[Field]:
        table = self.header_table
        fields: list[Field] = []
        end, room = len(data), self.max_header_list_size
        while at < end:
            first = data[at]
            if first & INDEXED:
                index, at = _integer(data, at, 0x7F)
                field = table.get_by_index(index)
            else:
                if first & WITH_INDEXING:
                    index, at = _integer(data, at, 0x3F)
                elif first & SIZE_UPDATE:
                    raise HPACKDecodingError("a table's size changes too often or too late")
                else:
                    index, at = _integer(data, at, 0x0F)
                if index:
                    name = table.get_by_index(index)[0]
                else:
                    name, at = _string(data, at)
                value, at = _string(data, at)
                field = name, value
                if first & WITH_INDEXING:
                    table.add(name, value)
            room -= len(field[0]) + len(field[1]) + OVERHEAD
            if room < 0:
                most = self.max_header_list_size
                raise OversizedHeaderListError(f"the fields are larger than {most} bytes")
            fields.append(field)
        used = self.max_header_list_size - room
        self.last_read = len(fields), used - OVERHEAD * len(fields)
        return fields


def _integer(data: bytes, at: int, mask: int) -> tuple[int, int]:
    """Return an integer whose prefix has the bits of `mask`, and where it ends (RFC 7541, 5.1)."""
    number = data[at] & mask
    if number < mask:
        return number, at + 1
    # No more than that: hpack's message shows all it was given, and each slice is a copy.
    number, length = decode_integer(data[at : at + LONGEST_INTEGER], mask.bit_length())
    return number, at + length


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a string literal, and where it ends (RFC 7541, 5.2)."""
    coded = data[at] & HUFFMAN
    length, at = _integer(data, at, 0x7F)
    literal = data[at : at + length]
    if len(literal) < length:
        raise HPACKDecodingError("a field section ends within a string")
    return decode_huffman(literal) if coded else literal, at + length


class FieldEncoder(Encoder):
    """hpack's encoder, which knows the last block that it made by heart.

    The streams of a connection begin with the same fields. Once those are in the table, encoding
    them changes nothing and always gives the same bytes, until something else changes the table.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fields: object = None
        self._entries = 0
        self._block = b""

    @property
    def header_table_size(self) -> int:
        """The size of the table; no more than `MAX_TABLE_BYTES`, whatever is asked for."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        table, size = self.header_table, min(value, MAX_TABLE_BYTES)
        # hpack takes the same size again for no change, and then forgets the one before it, of
        # which the client has not been told.
        if size != table.maxsize:
            table.maxsize = size
            # The least and the last are all there is to tell (RFC 7541, 4.2).
            least = min([size, *self.table_size_changes])
            self.table_size_changes = [least, size] if least < size else [size]

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """Return the block for the fields; at once for the very object that came last."""
        table = self.header_table
        entries = table.dynamic_entries
        # Beside encoding only a new size changes the table, and all it can do is to drop entries.
        if headers is self._fields and len(entries) == self._entries and not table.resized:
            return self._block
        count, newest, is_resized = len(entries), entries[0] if entries else None, table.resized
        block = super().encode(headers, huffman)
        is_changed = len(entries) != count or (count > 0 and entries[0] is not newest)
        self._fields = None if is_changed or is_resized else headers
        self._entries, self._block = count, block
        return block
