"""Peers that break the rules of HTTP/2, on real sockets: what ends, and what goes on.

What the wire makes of each violation is tested in memory. Here are the bytes that a peer gets
to read before its connection is closed, and the canary on the connections beside it.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from trio_sse import Limits
from trio_sse.mercure import PATH

from .canary import is_cut, watched_site
from .http2_stranger import Http2Stranger, http2_stranger
from .raw import RawPeer, raw_peer
from .site import Site, until

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = 0, 1, 3, 4, 5, 6, 7
WINDOW_UPDATE, CONTINUATION = 8, 9
ACK = END_STREAM = 1
END_HEADERS = 4

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    async with watched_site(caplog) as site:
        yield site


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    """Build a frame, right or wrong (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + struct.pack(">BBL", kind, flags, stream_id) + payload


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Take apart what the server sent: kinds, stream ids, payloads."""
    found = []
    while data:
        length = int.from_bytes(data[:3])
        kind, _, stream_id = struct.unpack(">BBL", data[3:9])
        found.append((kind, stream_id, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def fields(path: str, method: str = "GET") -> bytes:
    """A request's head as a connection's first."""
    pseudo = [(":method", method), (":scheme", "http"), (":authority", "localhost")]
    return bytes(Encoder().encode([*pseudo, (":path", path)]))


FOLLOW = frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(f"{PATH}?topic=canary"))

# Sent while stream 1 follows. Section numbers are those of RFC 9113.
VIOLATIONS = {
    "4.2: a frame too long": (frame(DATA, 0, 1, bytes(20_000)), ErrorCodes.FRAME_SIZE_ERROR),
    "4.3: a head that is not HPACK": (
        frame(HEADERS, END_HEADERS, 3, b"\xff" * 9),
        ErrorCodes.COMPRESSION_ERROR,
    ),
    "5.1: DATA on an idle stream": (frame(DATA, 0, 5, b"x"), ErrorCodes.PROTOCOL_ERROR),
    "5.1.1: an even stream": (
        frame(HEADERS, END_HEADERS, 2, fields("/page")),
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "6.5.2: a window too large": (
        frame(SETTINGS, 0, 0, b"\x00\x04\x80\x00\x00\x00"),
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
    "6.6: a push by the client": (
        frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)),
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "6.7: a PING too short": (frame(PING, 0, 0, b"1234"), ErrorCodes.FRAME_SIZE_ERROR),
    "6.9: a window opened by nothing": (
        frame(WINDOW_UPDATE, 0, 0, bytes(4)),
        ErrorCodes.PROTOCOL_ERROR,
    ),
    "6.9.1: a window opened too far": (
        frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        ErrorCodes.FLOW_CONTROL_ERROR,
    ),
    "6.10: CONTINUATION of nothing": (
        frame(CONTINUATION, END_HEADERS, 1),
        ErrorCodes.PROTOCOL_ERROR,
    ),
    # No longer than what the server lets pass after its last words, or the rest could not be sent.
    "10.5.1: a head without an end": (
        frame(HEADERS, 0, 3, fields("/page")) + frame(CONTINUATION, 0, 3, bytes(16_000)) * 8,
        ErrorCodes.ENHANCE_YOUR_CALM,
    ),
}


async def follow(peer: RawPeer) -> None:
    """Be a client that keeps the rules, and wait until its stream is open."""
    await peer.send(PREFACE + frame(SETTINGS) + FOLLOW)
    await peer.until(b":\nretry: 2000\n\n")


@pytest.mark.parametrize("what", VIOLATIONS)
async def test_a_violation_ends_the_connection_with_its_code(site: Site, what: str) -> None:
    sent, code = VIOLATIONS[what]
    async with raw_peer(site.port) as peer:
        await follow(peer)
        await peer.send(sent)
        last = frames(await peer.rest())[-1]
    assert last[0] == GOAWAY
    assert last[2][4:8] == code.to_bytes(4)


async def test_who_does_not_begin_with_settings_is_told_so(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(PREFACE + frame(PING, 0, 0, bytes(8)))
        kind, _, payload = frames(await peer.rest())[-1]
    assert kind == GOAWAY
    assert payload[4:8] == ErrorCodes.PROTOCOL_ERROR.to_bytes(4)
    assert b"SETTINGS" in payload


MALFORMED = {
    "a name in capitals": [("X-Name", "1")],
    "a field of HTTP/1.1": [("connection", "keep-alive")],
    "a line end in a value": [("x", "a\nb")],
    "a NUL in a value": [("last-event-id", "a\0b")],
    "two hosts": [("host", "elsewhere")],
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_request_ends_its_stream_alone(site: Site, what: str) -> None:
    async with http2_stranger(site.port) as stranger:
        beside = await following(stranger)
        stream_id = await stranger.ask("/page", *MALFORMED[what])
        status, text = await stranger.answer(stream_id)
        assert status == "400"
        assert text.endswith(b".\n")
        # After the answer, as RFC 9113, 8.1.1 has it.
        assert stranger.resets[stream_id] == ErrorCodes.PROTOCOL_ERROR
        await hears(site, stranger, beside)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (PATH, "400"),
        (f"{PATH}?topic=", "400"),
        (f"{PATH}?topic={'x' * 1025}", "400"),
        (f"{PATH}?topic=%ff", "400"),
        (f"{PATH}?topic=a&lastEventID=%0a", "400"),
        (f"/{'e' * 33_000}", "431"),  # Five bits each: hpack takes the square of them to encode.
        ("no/slash", "400"),
    ],
)
async def test_a_refused_request_leaves_the_others_alone(
    site: Site, path: str, status: str
) -> None:
    async with http2_stranger(site.port) as stranger:
        beside = await following(stranger)
        stream_id = await stranger.ask(path)
        assert (await stranger.answer(stream_id))[0] == status
        await hears(site, stranger, beside)


async def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(site: Site) -> None:
    async with http2_stranger(site.port) as stranger:
        beside = await following(stranger)
        length = "content-length", str(1024 * 1024 + 1)
        stream_id = await stranger.ask("/tell", length, method="POST", end=False)
        status, text = await stranger.answer(stream_id)
        assert status == "413"
        assert b"1048576" in text
        await stranger.until(lambda: stream_id in stranger.resets)
        # "the rest of the request is not needed" (RFC 9113, 8.1), and no error.
        assert stranger.resets[stream_id] == ErrorCodes.NO_ERROR
        await hears(site, stranger, beside)


async def test_an_undeclared_body_over_the_limit_is_refused_when_it_gets_there(
    site: Site,
) -> None:
    async with http2_stranger(site.port) as stranger:
        beside = await following(stranger)
        stream_id = await stranger.ask("/tell", method="POST", end=False)
        while stream_id not in stranger.heads:
            room = stranger.h2.local_flow_control_window(stream_id)
            await stranger.upload(stream_id, bytes(min(room, 65_535)), end=False)
            await stranger.receive()
        assert (await stranger.answer(stream_id))[0] == "413"
        await hears(site, stranger, beside)


async def test_a_body_that_does_not_come_is_a_late_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        watched_site(caplog, limits=Limits(body_timeout=0.1)) as site,
        http2_stranger(site.port) as stranger,
    ):
        beside = await following(stranger)
        stream_id = await stranger.ask("/tell", method="POST", end=False)
        await stranger.upload(stream_id, b"a begin", end=False)
        status, text = await stranger.answer(stream_id)
        assert status == "408"
        assert text == b"The request did not arrive in time.\n"
        await hears(site, stranger, beside)


async def test_a_stream_over_the_limit_is_refused_and_may_be_asked_for_again(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await follow(peer)
        # h2 as a client would keep the limit.
        for stream_id in range(3, 513, 2):
            await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, fields("/hold")))
        await until(lambda: site.held == 255)
        await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 513, fields("/page")))
        refusal = ErrorCodes.REFUSED_STREAM.to_bytes(4)
        await peer.until(frame(RST_STREAM, 0, 513, refusal))
        await peer.send(frame(RST_STREAM, 0, 3, ErrorCodes.CANCEL.to_bytes(4)))
        await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 515, fields("/page")))
        await peer.until(frame(DATA, 0, 515, b"A page.\n"))
        site.hub.publish("canary", "the first stream goes on")
        await peer.until(b"the first stream goes on")


async def test_who_cancels_all_that_it_asked_harms_nobody(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await follow(peer)
        cancel = ErrorCodes.CANCEL.to_bytes(4)
        head = fields("/hold")
        for stream_id in range(3, 1_803, 2):
            ask = frame(HEADERS, END_HEADERS | END_STREAM, stream_id, head)
            await peer.send(ask + frame(RST_STREAM, 0, stream_id, cancel))
        site.hub.publish("canary", "the first stream goes on")
        await peer.until(b"the first stream goes on")
    await until(lambda: site.held == 0)


async def test_each_of_many_pings_is_answered(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await follow(peer)
        await peer.send(b"".join(frame(PING, 0, 0, number.to_bytes(8)) for number in range(900)))
        await peer.until(frame(PING, ACK, 0, (899).to_bytes(8)))


CUT = {
    "after the preface": b"",
    "in the length of a frame": b"\0",
    "in a head": FOLLOW[:20],
    "between HEADERS and CONTINUATION": frame(HEADERS, END_STREAM, 1, fields("/page")[:5]),
    "in a body": frame(HEADERS, END_HEADERS, 1, fields("/tell", "POST")) + frame(DATA, 0, 1, b"a"),
    "after a request": frame(HEADERS, END_HEADERS | END_STREAM, 1, fields("/page")),
    "while a handler streams": frame(HEADERS, END_HEADERS | END_STREAM, 1, fields("/hold")),
    "while following": FOLLOW,
    "in a torrent": frame(HEADERS, END_HEADERS | END_STREAM, 1, fields("/count/1000000")),
    "after GOAWAY": FOLLOW + frame(GOAWAY, 0, 0, bytes(8)),
    "after cancelling": FOLLOW + frame(RST_STREAM, 0, 1, ErrorCodes.CANCEL.to_bytes(4)),
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("where", CUT)
async def test_a_connection_may_be_cut_anywhere(site: Site, where: str, how: str) -> None:
    said = PREFACE + frame(SETTINGS) + CUT[where]
    await is_cut(site, said, how, streaming=where.startswith(("while", "in a torrent")))
    await until(lambda: site.held == 0)


async def following(stranger: Http2Stranger) -> int:
    """Open a stream that must not notice the others on its connection."""
    stream_id = await stranger.ask(f"{PATH}?topic=canary")
    await stranger.until(lambda: b"\n\n" in stranger.bodies[stream_id])
    return stream_id


async def hears(site: Site, stranger: Http2Stranger, stream_id: int) -> None:
    """Publish an event, and wait until the stream has it."""
    site.hub.publish("canary", "for those who follow")
    await stranger.until(lambda: b"for those who follow" in stranger.bodies[stream_id])
