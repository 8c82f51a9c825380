"""What HTTP/2 is made of, for who attacks with it: heads, requests, and frames without end.

Frames that are in order are hyperframe's; those that are not are made byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, count, repeat

from hpack import Encoder
from hpack.hpack import encode_integer
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = PREFACE + SettingsFrame(0).serialize()
LARGEST_WINDOW = 2**31 - 1
MAX_FRAME = 16_384

Pieces = Callable[[], Iterator[bytes]]
"""What is said one after the other, from the start each time."""


def head(*fields: tuple[str, str], path: str = "/events?topic=a", method: str = "GET") -> bytes:
    """A request's field section, as a connection's first, and so good for any of them."""
    pseudo = [(":method", method), (":scheme", "http"), (":authority", "localhost")]
    return bytes(Encoder().encode([*pseudo, (":path", path), *fields]))


FOLLOW = head()
PAGE = head(path="/")
POST = head(path="/nowhere", method="POST")
ENDLESS = head(path="/floods")
"""Asks a handler that the server under test has, and nobody else."""


def plain(frame: Frame) -> bytes:
    """A frame in order."""
    return frame.serialize()


def raw(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame of any kind, in order or not (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream_id.to_bytes(4) + payload


def request(stream_id: int, block: bytes = PAGE, *, end: bool = True) -> bytes:
    """A request with this field section, in as many frames as it takes."""
    first, *rest = (block[at : at + MAX_FRAME] for at in range(0, len(block), MAX_FRAME))
    frames: list[Frame] = [HeadersFrame(stream_id, first, flags=["END_STREAM"] if end else [])]
    frames += [ContinuationFrame(stream_id, each) for each in rest]
    frames[-1].flags.add("END_HEADERS")
    return b"".join(map(plain, frames))


def requests(block: bytes, then: Callable[[int], bytes] = lambda stream_id: b"") -> Pieces:
    """A request after the other, and what follows each."""
    return lambda: (request(stream_id, block) + then(stream_id) for stream_id in count(1, 2))


def again(frames: bytes, first: bytes = b"") -> Pieces:
    """The same for ever, after a beginning."""
    return lambda: chain([first], repeat(frames))


def split(block: bytes, pieces: Iterator[bytes]) -> Pieces:
    """A head that goes on in CONTINUATION frames."""
    return lambda: chain([plain(HeadersFrame(1, block))], pieces)


def reset(stream_id: int) -> bytes:
    """A request taken back (CANCEL)."""
    return plain(RstStreamFrame(stream_id, error_code=8))


def opened(stream_id: int, by: int) -> bytes:
    """A window opened by so many bytes."""
    return plain(WindowUpdateFrame(stream_id, window_increment=by))


def window(size: int) -> bytes:
    """The window of all streams, by SETTINGS."""
    return plain(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: size}))


def data(stream_id: int, content: bytes) -> bytes:
    """A piece of a body."""
    return plain(DataFrame(stream_id, content))


def coded(size: int) -> bytes:
    """A field in Huffman's code, of so many bytes, which stand for 8/5 as many characters."""
    literal = Encoder().huffman_coder.encode(b"0" * (size * 8 // 5))
    length = encode_integer(len(literal), 7)
    length[0] |= 0x80
    return b"\0\1a" + bytes(length) + literal
