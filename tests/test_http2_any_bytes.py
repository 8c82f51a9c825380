"""Whatever bytes an HTTP/2 client sends: nothing raises, and the connection ends once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from http2_client import (
    ACK,
    GET,
    LARGEST_WINDOW,
    PEER,
    POST,
    PREFACE,
    SETTINGS,
    Client,
    goaways,
    header_block,
    raw,
)
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Gone, Http2

LARGEST = LARGEST_WINDOW.to_bytes(4)


def connected() -> Http2:
    server = Http2(Limits(max_header_bytes=16_384), peer=PEER, scheme="http")
    server.start()
    server.receive(PREFACE + raw(SETTINGS) + raw(SETTINGS, ACK))
    server.output()
    return server


FRAME_KINDS = st.integers(0, 10)
STREAM_IDS = st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1])
PAYLOADS = st.one_of(
    st.binary(max_size=40), st.sampled_from([header_block(GET), bytes(4), LARGEST])
)
FRAMES = st.builds(raw, FRAME_KINDS, st.integers(0, 255), STREAM_IDS, PAYLOADS)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=30), st.integers(1, 100))
def test_no_sequence_of_frames_raises(frames: list[bytes], step: int) -> None:
    server = connected()
    listens(server, b"".join(frames), step)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 100))
def test_no_bytes_raise(data: bytes, step: int) -> None:
    listens(Http2(Limits(), peer=PEER, scheme="http"), data, step)
    listens(connected(), data, step)


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_a_conversation_raises(data: st.DataObject) -> None:
    client = Client()
    client.ask()
    upload = client.ask(POST, end=False)
    client.h2.send_data(upload, b"body", end_stream=True)
    client.h2.increment_flow_control_window(10, upload)
    client.set_initial_window(100)
    sent = client.sent
    for at in data.draw(st.lists(st.integers(len(PREFACE), len(sent) - 1), max_size=5)):
        sent[at] = data.draw(st.integers(0, 255))
    server = Http2(Limits(), peer=PEER, scheme="http")
    server.start()
    listens(server, bytes(sent), data.draw(st.integers(1, 100)))


def listens(server: Http2, data: bytes, step: int) -> None:
    """Give the server bytes, and check that it ends the connection once at most."""
    happenings = [
        each for at in range(0, len(data), step) for each in server.receive(data[at : at + step])
    ]
    ends = [each for each in happenings if isinstance(each, Gone)]
    assert ends == happenings[-1:] * len(ends)
    ours = [each for each in ends if not each.by_peer]
    assert len(goaways(server.output())) == len(ours)
