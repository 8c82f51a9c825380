"""The content coding of a stream: `deflate` (RFC 9110, 8.4.1.2), one piece valid in every stream.

Each piece is deflated from nothing and flushed (RFC 1951, 2.3): it refers to no history, so
what is made of it once may stand at any place of any stream, and a client can read it at once.
Small pieces go as they are, in a stored block of five bytes more.

What is a stream's own is the checksum of all that it was sent, which ends it (RFC 1950, 2.2).
Adler-32 of a whole is a few additions to those of its parts. And streams that are sent the same
share one: what one of them is ahead does not change meanwhile, so that nothing is counted for each.

Pure: knows no streams, no hub, no wire. Refuses: to choose between codings, there is one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from functools import lru_cache
from itertools import count
from typing import cast
from weakref import WeakValueDictionary

__all__ = ["Block", "Broadcast", "Checksum", "Coding", "Deflated"]

LEVEL = 6
"""zlib's own default. It costs once an audience, and what it saves it saves once a subscriber."""

LARGE = 16 * 1024
LEVEL_OF_LARGE = 1
"""Of pieces longer than that: everybody waits meanwhile, and this takes a third of the time."""

REMEMBERED = 16
"""Pieces that are kept compressed: several audiences hear the same event, and those who come
back together read the same from the log."""

_HEADER = b"\x78\x9c"  # RFC 1950, 2.2: deflate, a window of 32 KiB, no dictionary
_LAST_BLOCK = b"\x03\x00"  # RFC 1951, 3.2.3: the final block, without anything in it
_MODULUS = 65521  # RFC 1950, 9
_LONGEST_STORED = 65535  # RFC 1951, 3.2.4

Frame = Callable[[bytes], bytes]

_serials = count(1)


class Block(bytes):
    """Coded bytes, framed or not, that know the checksum of what they were made of."""

    first: int
    """Adler-32 of the plain bytes: its lower half, the sum of them plus one."""
    second: int
    """Its upper half, the sum of those sums."""
    length: int
    """How many plain bytes it stands for."""
    checksum: Checksum
    """After it, of all that its `Broadcast` has sent."""

    @classmethod
    def of(cls, coded: bytes, plain: bytes) -> Block:
        """Mark `coded` as standing for `plain`."""
        block = cls(coded)
        checksum = zlib.adler32(plain)
        block.first, block.second, block.length = checksum & 0xFFFF, checksum >> 16, len(plain)
        return block

    def within(self, frame: Frame) -> Block:
        """Return the same, framed."""
        block = Block(frame(self))
        block.first, block.second, block.length = self.first, self.second, self.length
        return block


class Checksum:
    """Adler-32 of everything said so far, to one stream or to several that are sent the same."""

    __slots__ = ("before", "first", "length", "second", "serial")

    def __init__(self) -> None:
        self.first = 1
        self.second = 0
        self.length = 0
        self.serial = 0
        """Tells those of a `Broadcast` apart; 0 for all others."""
        self.before = 0
        """The serial of the one that it goes on from."""

    def add(self, block: bytes) -> None:
        """Count a `Block` that is sent."""
        added = cast(Block, block)
        # zlib's adler32_combine().
        self.second = (self.second + added.second + added.length * (self.first - 1)) % _MODULUS
        self.first = (self.first + added.first - 1) % _MODULUS
        self.length += added.length


class Coding:
    """How one server codes: pieces of more than `above` bytes are compressed."""

    __slots__ = ("_above", "_broadcasts", "_compress")

    def __init__(self, above: int) -> None:
        self._above = above
        self._compress = lru_cache(maxsize=REMEMBERED)(_compress)
        self._broadcasts = WeakValueDictionary[tuple[Frame, Hashable], Broadcast]()

    def encode(self, payload: bytes) -> Block:
        """Return what may stand for `payload` in any stream, once that has begun."""
        if len(payload) > self._above:
            return self._compress(payload)
        return Block.of(_store(payload), payload)

    def broadcast(self, frame: Frame, audience: Hashable) -> Broadcast:
        """Return what codes and frames for an audience; the same one for as long as it is used."""
        key = (frame, audience)
        found = self._broadcasts.get(key)
        if found is None:
            found = self._broadcasts[key] = Broadcast(self, frame)
        return found


class Broadcast:
    """Codes and frames what all of an audience are sent, and keeps the checksum of it.

    Streams that are sent all of it need not count. Each block has a checksum of its own, which
    says from which one it goes on: so who is sent only some of it is found out, and counts.
    """

    __slots__ = ("__weakref__", "_checksum", "_coding", "_frame")

    def __init__(self, coding: Coding, frame: Frame) -> None:
        self._coding = coding
        self._frame = frame
        self._checksum = Checksum()
        self._checksum.serial = next(_serials)

    def __call__(self, payload: bytes) -> Block:
        """Return the next piece."""
        block = self._coding.encode(payload).within(self._frame)
        last, following = self._checksum, Checksum()
        following.first, following.second, following.length = last.first, last.second, last.length
        following.add(block)
        following.before, following.serial = last.serial, next(_serials)
        block.checksum = self._checksum = following
        return block


class Deflated:
    """The body of one stream: how it begins, whose checksum is its own, how it ends."""

    __slots__ = ("_ahead_first", "_ahead_second", "_checksum", "_coding")

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._checksum = Checksum()
        self._ahead_first = 0
        self._ahead_second = 0

    @property
    def coding(self) -> Coding:
        """Whose pieces it is made of."""
        return self._coding

    def begin(self, opening: bytes) -> bytes:
        """Return how the body begins, with `opening` in it, not framed yet. To be called first."""
        return _HEADER + self.say(opening)

    def say(self, payload: bytes) -> bytes:
        """Return what tells this stream alone something, not framed yet."""
        block = self._coding.encode(payload)
        self._add(block)
        return block

    def said(self, block: bytes) -> None:
        """Note that the stream alone is sent a block of its coding."""
        self._add(block)

    def hear(self, block: bytes) -> None:
        """Note that the stream is sent a block of a `Broadcast`."""
        checksum = cast(Block, block).checksum
        if checksum.before == self._checksum.serial:
            # It has heard the one before: what it is ahead is what it was.
            self._checksum = checksum
        else:
            self._add(block)
            self.share(checksum)

    def share(self, checksum: Checksum) -> None:
        """Be counted by another checksum from now on, that of streams which are sent the same."""
        first, second = self._sums()
        self._checksum = checksum
        self._ahead_first = ahead = first - checksum.first
        # While both are sent n bytes, the second sum gains n times what the first is ahead.
        self._ahead_second = second - checksum.second - ahead * checksum.length

    def part(self) -> None:
        """Be counted alone from now on."""
        self.share(Checksum())

    def finish(self, last_words: bytes = b"") -> bytes:
        """Return how the body ends, after all that was counted and `last_words`; not framed."""
        block = self.say(last_words) if last_words else b""
        first, second = self._sums()
        return block + _LAST_BLOCK + second.to_bytes(2) + first.to_bytes(2)

    def _add(self, block: bytes) -> None:
        self.part()
        self._checksum.add(block)

    def _sums(self) -> tuple[int, int]:
        shared, ahead = self._checksum, self._ahead_first
        second = shared.second + self._ahead_second + ahead * shared.length
        return (shared.first + ahead) % _MODULUS, second % _MODULUS


def _compress(payload: bytes) -> Block:
    level = LEVEL if len(payload) <= LARGE else LEVEL_OF_LARGE
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
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
