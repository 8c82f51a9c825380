"""HPACK (RFC 7541) as a server of many streams needs it: hpack's coder, with shorter ways.

What takes hpack's decoder most of its time is to look at each field in several calls; here the
common forms are read in one loop. What takes its encoder most is to find the same fields in its
table for each answer; here the block is remembered for as long as the table stays as it is.

Owns no table: those are hpack's, and so are integers of several bytes, Huffman's code, and
changes of a table's size. Errors have the code that RFC 9113, 4.3 asks for; h2 gives another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack.exceptions import HPACKDecodingError, HPACKError, OversizedHeaderListError
from hpack.hpack import Decoder, Encoder, decode_integer
from hpack.huffman_table import decode_huffman
from hpack.struct import HeaderTuple

__all__ = ["CompressionError", "FieldDecoder", "FieldEncoder"]

Field = tuple[bytes, bytes]

# The first byte of a field's representation (RFC 7541, 6).
INDEXED = 0x80
WITH_INDEXING = 0x40
SIZE_UPDATE = 0x20

HUFFMAN = 0x80  # RFC 7541, 5.2

OVERHEAD = 32  # RFC 7541, 4.1


class CompressionError(ProtocolError):
    """A field section is not HPACK."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class FieldDecoder(Decoder):
    """hpack's decoder in one loop."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """Return the fields of a section as bytes, whatever `raw` says.

        Raises CompressionError, or OversizedHeaderListError beyond `max_header_list_size`.
        """
        try:
            if data[:1] and SIZE_UPDATE <= data[0] < WITH_INDEXING:
                return super().decode(data, raw=True)
            return cast(list[HeaderTuple], self._decode(data))
        except OversizedHeaderListError:
            raise
        except (HPACKError, IndexError) as error:
            raise CompressionError(str(error)) from error

    def _decode(self, data: bytes) -> list[Field]:
        table = self.header_table
        fields: list[Field] = []
        at, end, room = 0, len(data), self.max_header_list_size
        while at < end:
            first = data[at]
            if first & INDEXED:
                index, at = _integer(data, at, 0x7F)
                field = table.get_by_index(index)
            else:
                if first & WITH_INDEXING:
                    index, at = _integer(data, at, 0x3F)
                elif first & SIZE_UPDATE:
                    raise HPACKDecodingError("a table's size changes in the middle of a section")
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
        return fields


def _integer(data: bytes, at: int, mask: int) -> tuple[int, int]:
    """Return an integer whose prefix has the bits of `mask`, and where it ends (RFC 7541, 5.1)."""
    number = data[at] & mask
    if number < mask:
        return number, at + 1
    number, length = decode_integer(data[at:], mask.bit_length())
    return number, at + length


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a string literal, and where it ends (RFC 7541, 5.2)."""
    coded = data[at] & HUFFMAN
    length, at = _integer(data, at, 0x7F)
    literal = data[at : at + length]
    if len(literal) < length:
        raise HPACKDecodingError("a field section ends within a string")
    return bytes(decode_huffman(literal)) if coded else literal, at + length


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
