"""The content coding: what is made of pieces once can be read in every stream, piece by piece."""

from __future__ import annotations

import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sse.accept_encoding import accepts_deflate
from trio_sse.coding import Checksum, Coding, Deflated
from trio_sse.wire.http1_framing import chunk, identity

ABOVE = 200

SHORT = st.binary(max_size=400)

PIECES = st.lists(
    st.binary(max_size=300)
    | st.builds(lambda text, n: text * n, st.binary(), st.integers(1, 5000)),
    max_size=8,
)


@given(PIECES)
def test_each_piece_can_be_read_once_it_has_come_and_the_end_is_the_streams_own(
    pieces: list[bytes],
) -> None:
    coding = Coding(ABOVE)
    body, reader = Deflated(coding), zlib.decompressobj()
    assert reader.decompress(body.begin(b":\n\n")) == b":\n\n"
    for piece in pieces:
        assert reader.decompress(body.say(piece)) == piece
    assert not reader.eof
    # zlib compares the checksum, and raises if it is another.
    assert reader.decompress(body.finish(b"retry: 1\n\n")) == b"retry: 1\n\n"
    assert reader.eof


@given(st.data())
def test_streams_of_a_group_that_come_and_go_each_end_with_their_own_checksum(
    data: st.DataObject,
) -> None:
    coding = Coding(ABOVE)
    group, members = Checksum(), set[int]()
    bodies = [Deflated(coding) for _ in range(3)]
    readers = [zlib.decompressobj() for _ in bodies]
    for body, reader in zip(bodies, readers, strict=True):
        reader.decompress(body.begin(data.draw(SHORT)))
    for _ in range(data.draw(st.integers(0, 20))):
        number = data.draw(st.integers(0, 2))
        match data.draw(st.sampled_from(("join", "leave", "tell one", "tell all"))):
            case "join":
                members.add(number)
                bodies[number].share(group)
            case "leave":
                members.discard(number)
                bodies[number].part()
            case "tell one" if number not in members:
                readers[number].decompress(bodies[number].say(data.draw(SHORT)))
            case "tell all":
                block = coding.encode(data.draw(SHORT))
                group.add(block)
                for member in members:
                    readers[member].decompress(block)
    for body, reader in zip(bodies, readers, strict=True):
        reader.decompress(body.finish())
        assert reader.eof


@given(st.data())
def test_who_hears_some_pieces_of_a_broadcast_ends_with_a_checksum_of_those(
    data: st.DataObject,
) -> None:
    coding = Coding(ABOVE)
    broadcasts = [coding.broadcast(identity, number) for number in range(2)]
    bodies = [Deflated(coding) for _ in range(3)]
    readers = [zlib.decompressobj() for _ in bodies]
    for body, reader in zip(bodies, readers, strict=True):
        reader.decompress(body.begin(data.draw(SHORT)))
    for _ in range(data.draw(st.integers(0, 20))):
        if data.draw(st.booleans()):
            block = data.draw(st.sampled_from(broadcasts))(data.draw(SHORT))
            # All of them as a rule, as it is.
            who = data.draw(st.just({0, 1, 2}) | st.sets(st.integers(0, 2)))
            for number in who:
                bodies[number].hear(block)
                readers[number].decompress(block)
        else:
            number = data.draw(st.integers(0, 2))
            readers[number].decompress(bodies[number].say(data.draw(SHORT)))
    for body, reader in zip(bodies, readers, strict=True):
        reader.decompress(body.finish(data.draw(SHORT)))
        assert reader.eof


def test_only_pieces_above_the_size_are_compressed_and_only_if_it_helps() -> None:
    coding = Coding(ABOVE)
    at_the_size, above, noise = b"a" * ABOVE, b"a" * (ABOVE + 1), Random(1).randbytes(1000)
    assert coding.encode(at_the_size) == b"\0\xc8\0\x37\xff" + at_the_size
    assert len(coding.encode(above)) < 20
    assert coding.encode(noise)[5:] == noise


def test_a_piece_is_compressed_once_for_all_that_hear_it() -> None:
    coding = Coding(ABOVE)
    assert coding.encode(b"a" * 1000) is coding.encode(b"a" * 1000)


def test_a_broadcast_frames_what_is_coded_and_is_one_for_its_audience() -> None:
    coding = Coding(ABOVE)
    chunked = coding.broadcast(chunk, "a")
    assert chunked is coding.broadcast(chunk, "a")
    assert chunked is not coding.broadcast(identity, "a")
    assert chunked is not coding.broadcast(chunk, "b")
    assert chunked is not Coding(ABOVE).broadcast(chunk, "a")
    assert chunked(b"a" * 1000) == chunk(coding.encode(b"a" * 1000))


@pytest.mark.parametrize(
    "field",
    [
        "deflate",
        "gzip, deflate, br",
        "gzip, deflate, br, zstd",
        "DEFLATE",
        "br;q=1.0, deflate;q=0.5, *;q=0",
        "deflate ; q=0.001",
        "*",
        "gzip;q=0, *;q=0.5",
        "identity, deflate",
        "identity;q=0.5, deflate;q=0.5",
        "identity;q=0, deflate",
        "what is this?, deflate",
    ],
)
def test_who_accepts_deflate_is_sent_it(field: str) -> None:
    assert accepts_deflate([field])


@pytest.mark.parametrize(
    "field",
    [
        "",
        "gzip",
        "gzip, br",
        "identity",
        "deflate;q=0",
        "deflate;q=0.000, *",
        "*;q=0",
        "identity;q=1, deflate;q=0.5",
        "identity, *;q=0.5",
        "deflate;q=2",
        "deflate;level=9",
        "deflated",
    ],
)
def test_who_does_not_is_not(field: str) -> None:
    assert not accepts_deflate([field])


def test_several_fields_are_one_list_and_none_asks_for_nothing() -> None:
    assert accepts_deflate(["gzip", "deflate"])
    assert not accepts_deflate([])
