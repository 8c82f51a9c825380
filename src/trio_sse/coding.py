"""The content coding of a stream: `deflate` (RFC 9110, 8.4.1.2), one piece valid in every stream.

Each piece is deflated from nothing and flushed (RFC 1951, 2.3): it refers to no history, so
what is made of it once may stand at any place of any stream, and a client can read it at once.
Small pieces go as they are, in a stored block of five bytes more.

What is a stream's own is the checksum of all that it was sent, which ends it (RFC 1950, 2.2).
Adler-32 of a whole is a few additions to those of its parts, so a `Checksum` counts blocks, not
bytes; and streams that are sent the same share one, as each differs from it by two numbers
which do not change meanwhile.

Pure: knows no streams, no hub, no wire. Refuses: to choose between codings, there is one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import cast

__all__ = ["Block", "Checksum", "Coding", "Deflated", "accepts_deflate"]

LEVEL = 6
"""zlib's own default. It costs once an audience, and what it saves it saves once a subscriber."""

REMEMBERED = 4
"""Pieces that are kept compressed: several audiences hear the same event, and those who come
back together read the same from the log."""

_HEADER = b"\x78\x9c"  # RFC 1950, 2.2: deflate, a window of 32 KiB, no dictionary
_LAST_BLOCK = b"\x03\x00"  # RFC 1951, 3.2.3: the final block, without anything in it
_MODULUS = 65521  # RFC 1950, 9
_LONGEST_STORED = 65535  # RFC 1951, 3.2.4

# RFC 9110, 12.5.3 and 12.4.2.
_MEMBER = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?\s*"
)

Frame = Callable[[bytes], bytes]


class Block(bytes):
    """Coded bytes, framed or not, that know the checksum of what they were made of."""

    first: int
    """Adler-32 of the plain bytes: its lower half, the sum of them plus one."""
    second: int
    """Its upper half, the sum of those sums."""
    length: int
    """How many plain bytes it stands for."""

    @classmethod
    def of(cls, coded: bytes, plain: bytes) -> Block:
        """Mark `coded` as standing for `plain`."""
        block = cls(coded)
        checksum = zlib.adler32(plain)
        block.first, block.second, block.length = checksum & 0xFFFF, checksum >> 16, len(plain)
        return block


class Checksum:
    """Adler-32 of everything said so far, to one stream or to several that are sent the same."""

    __slots__ = ("first", "length", "second")

    def __init__(self) -> None:
        self.first = 1
        self.second = 0
        self.length = 0

    def add(self, block: bytes) -> None:
        """Count a `Block` that is sent."""
        added = cast(Block, block)
        # zlib's adler32_combine().
        self.second = (self.second + added.second + added.length * (self.first - 1)) % _MODULUS
        self.first = (self.first + added.first - 1) % _MODULUS
        self.length += added.length


class Deflated:
    """The body of one stream: how it begins, whose checksum is its own, how it ends."""

    __slots__ = ("_ahead_first", "_ahead_second", "checksum", "coding")

    def __init__(self, coding: Coding) -> None:
        self.coding = coding
        self.checksum = Checksum()
        """Counts what the stream is sent; shared with others while they are sent the same."""
        self._ahead_first = 0
        self._ahead_second = 0

    def begin(self, opening: bytes) -> bytes:
        """Return how the body begins, with `opening` in it, not framed yet. To be called first."""
        block = self.coding.encode(opening)
        self.checksum.add(block)
        return _HEADER + block

    def share(self, checksum: Checksum) -> None:
        """Be counted by another checksum from now on."""
        first, second = self._sums()
        self.checksum = checksum
        self._ahead_first = ahead = first - checksum.first
        # While both are sent n bytes, the second sum gains n times what the first is ahead.
        self._ahead_second = second - checksum.second - ahead * checksum.length

    def finish(self, last_words: bytes = b"") -> bytes:
        """Return how the body ends, after all that was counted and `last_words`; not framed."""
        block = self.coding.encode(last_words)
        self.share(Checksum())
        self.checksum.add(block)
        first, second = self._sums()
        return block + _LAST_BLOCK + second.to_bytes(2) + first.to_bytes(2)

    def _sums(self) -> tuple[int, int]:
        shared, ahead = self.checksum, self._ahead_first
        second = shared.second + self._ahead_second + ahead * shared.length
        return (shared.first + ahead) % _MODULUS, second % _MODULUS


class Coding:
    """How one server codes: pieces of more than `above` bytes are compressed."""

    __slots__ = ("_above", "_compress", "_frames")

    def __init__(self, above: int) -> None:
        self._above = above
        self._compress = lru_cache(maxsize=REMEMBERED)(_compress)
        self._frames: dict[Frame, Frame] = {}

    def encode(self, payload: bytes) -> Block:
        """Return what may stand for `payload` in any stream, once that has begun."""
        if len(payload) > self._above:
            return self._compress(payload)
        return Block.of(_store(payload), payload)

    def within(self, frame: Frame) -> Frame:
        """Return what codes and then frames, as a `Block`: always the same for one `frame`."""
        framed = self._frames.get(frame)
        if framed is None:

            def framed(payload: bytes) -> Block:
                return Block.of(frame(self.encode(payload)), payload)

            self._frames[frame] = framed
        return framed


def accepts_deflate(fields: Iterable[str]) -> bool:
    """Tell whether the Accept-Encoding fields of a request prefer deflate to nothing at all.

    RFC 9110, 12.5.3. Without a field anything is acceptable, but who does not speak of codings
    is not given one. What cannot be read does not count.
    """
    weights: dict[str, float] = {}
    for member in ",".join(fields).split(","):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            weights[match[1].lower()] = float(match[2] or 1)
    weight = weights.get("deflate", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


def _compress(payload: bytes) -> Block:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    coded = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    stored = _store(payload)
    return Block.of(min(coded, stored, key=len), payload)


def _store(payload: bytes) -> bytes:
    """Return stored blocks (RFC 1951, 3.2.4), none of them the last of its stream."""
    pieces = []
    for start in range(0, len(payload), _LONGEST_STORED):
        piece = payload[start : start + _LONGEST_STORED]
        length = len(piece)
        pieces.append(
            b"\0" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        )
        pieces.append(piece)
    return b"".join(pieces)
