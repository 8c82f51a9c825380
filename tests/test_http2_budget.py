"""What an HTTP/2 client may cost without asking anything, and that honest ones never meet it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived

from hpack_pieces import literal
from http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    PEER,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    goaways,
    header_block,
    raw,
    raw_frames,
)
from trio_sse.connection.exchange import HEARTBEAT
from trio_sse.limits import Limits
from trio_sse.wire.budget import SECONDS_AT_ONCE, Allowance, Budget
from trio_sse.wire.http2 import (
    Asked,
    Gone,
    Group,
    Happening,
    Http2,
    Left,
    WindowOpened,
    WindowsChanged,
)

WITH_PRIORITY = 0x20
CANCEL = (8).to_bytes(4)
HEADER_BLOCK = header_block(GET)
POST_BLOCK = header_block([*POST, ("content-length", "3")])
LARGE_BLOCK = HEADER_BLOCK + b"\0\1a\xff\x80\x6f" + bytes(127 + (0x6F << 7))
"""14,335 bytes of Huffman's code, which stand for 22,936 zeros."""
GET_PLAIN, POST_PLAIN = b"\x82\x86\x84\x01\1a", b"\x83\x86\x84\x01\1a"
"""Requests that leave HPACK's table as it is."""
LARGE_FIELD = literal(b"a", b"v" * 3900)
BROKEN_BLOCK = header_block([*GET, ("connection", "close")])


class Peer:
    """A server that hears raw frames, at a time that a test sets."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.server = Http2(limits or Limits(), peer=PEER, scheme="http")
        self.server.start()
        self.now = 1_000.0
        self.say(PREFACE + raw(SETTINGS) + raw(SETTINGS, ACK))

    def say(self, data: bytes) -> list[Happening]:
        happenings = self.server.receive(data, self.now)
        for happening in happenings:
            if isinstance(happening, Asked):
                self.server.respond_head(happening.stream_id, 200, [])
        return happenings


def requests(block: bytes, then: Callable[[int], bytes]) -> Iterator[bytes]:
    """A request after the other, and what follows each."""
    for stream_id in count(1, 2):
        yield raw(HEADERS, END_HEADERS | END_STREAM, stream_id, block) + then(stream_id)


def depending_on_themselves(block: bytes) -> Iterator[bytes]:
    """Requests with a priority that says they come after themselves."""
    for stream_id in count(1, 2):
        flags = END_HEADERS | END_STREAM | WITH_PRIORITY
        yield raw(HEADERS, flags, stream_id, stream_id.to_bytes(4) + b"\0" + block)


def again(*frames: bytes, first: bytes = b"") -> Iterator[bytes]:
    """The same frames again and again."""
    yield first
    while True:
        yield b"".join(frames)


def in_pieces(*sizes: int) -> Iterator[bytes]:
    """Requests with large heads, whose first piece is short."""
    for stream_id in count(1, 2):
        rest = LARGE_BLOCK[len(HEADER_BLOCK) :]
        said = [raw(HEADERS, END_STREAM, stream_id, HEADER_BLOCK)]
        for size in sizes:
            said.append(raw(CONTINUATION, 0, stream_id, rest[:size]))
            rest = rest[size:]
        said.append(raw(CONTINUATION, END_HEADERS, stream_id, rest))
        yield b"".join(said)


UPLOAD = raw(HEADERS, END_HEADERS, 1, header_block(POST))
FOLLOW = raw(HEADERS, END_HEADERS | END_STREAM, 1, HEADER_BLOCK)

FLOODS: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "requests taken back (CVE-2023-44487)": (
        "futile_streams",
        lambda: requests(HEADER_BLOCK, lambda stream_id: raw(RST_STREAM, 0, stream_id, CANCEL)),
    ),
    "requests taken back, the table of fields emptied by each": (
        "futile_streams",
        lambda: requests(
            b"\x20\x3f\xe1\x1f" + HEADER_BLOCK,
            lambda stream_id: raw(RST_STREAM, 0, stream_id, CANCEL),
        ),
    ),
    "heads that are too large, in Huffman's code": (
        "header_fields",
        lambda: requests(LARGE_BLOCK, lambda stream_id: b""),
    ),
    "heads that are too large, in a few pieces": (
        "header_fields",
        lambda: in_pieces(8_000),
    ),
    "requests broken by a window too large (CVE-2025-8671)": (
        "window_updates",
        lambda: requests(
            HEADER_BLOCK, lambda stream_id: raw(WINDOW_UPDATE, 0, stream_id, b"\x7f\xff\xff\xff")
        ),
    ),
    "requests broken by what comes after their end (CVE-2025-8671)": (
        "futile_streams",
        lambda: requests(HEADER_BLOCK, lambda stream_id: raw(DATA, 0, stream_id, bytes(300))),
    ),
    "requests broken by a window that is opened by nothing (CVE-2025-8671)": (
        "window_updates",
        lambda: requests(
            HEADER_BLOCK, lambda stream_id: raw(WINDOW_UPDATE, 0, stream_id, bytes(4))
        ),
    ),
    "requests broken by a priority of a wrong length (CVE-2025-8671)": (
        "control_frames",
        lambda: requests(HEADER_BLOCK, lambda stream_id: raw(PRIORITY, 0, stream_id, bytes(6))),
    ),
    "requests broken by depending on themselves (CVE-2025-8671)": (
        "control_frames",
        lambda: requests(
            HEADER_BLOCK,
            lambda stream_id: raw(PRIORITY, 0, stream_id, stream_id.to_bytes(4) + b"\0"),
        ),
    ),
    "requests that depend on themselves as they begin (CVE-2025-8671)": (
        "futile_streams",
        lambda: depending_on_themselves(HEADER_BLOCK),
    ),
    "requests broken by another head after their end (CVE-2025-8671)": (
        "futile_streams",
        lambda: requests(
            HEADER_BLOCK,
            lambda stream_id: raw(HEADERS, END_HEADERS | END_STREAM, stream_id, b"\x82"),
        ),
    ),
    "requests broken by trailers that are not the end (CVE-2025-8671)": (
        "futile_streams",
        lambda: (
            raw(HEADERS, END_HEADERS, stream_id, header_block(POST))
            + raw(HEADERS, END_HEADERS, stream_id, b"\0\1a\1b")
            for stream_id in count(1, 2)
        ),
    ),
    "bodies for a stream that is gone": (
        "futile_streams",
        lambda: again(raw(DATA, 0, 1, bytes(300)), first=FOLLOW + raw(RST_STREAM, 0, 1, CANCEL)),
    ),
    "heads for a stream that is gone": (
        "futile_streams",
        lambda: again(
            raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82"),
            first=FOLLOW + raw(RST_STREAM, 0, 1, CANCEL),
        ),
    ),
    "requests that are refused": (
        "futile_streams",
        lambda: requests(BROKEN_BLOCK, lambda stream_id: b""),
    ),
    "more streams than are allowed": (
        "futile_streams",
        lambda: requests(HEADER_BLOCK, lambda stream_id: b""),
    ),
    "requests with heads of twelve kilobytes, which stand for no more": (
        "header_fields",
        lambda: requests(HEADER_BLOCK + LARGE_FIELD * 3, lambda stream_id: b""),
    ),
    "requests with a thousand cookie crumbs each": (
        "header_fields",
        lambda: requests(HEADER_BLOCK + b"\x60\x01a" * 800, lambda stream_id: b""),
    ),
    "the same, which also depend on themselves": (
        "header_fields",
        lambda: depending_on_themselves(HEADER_BLOCK + b"\x60\x01a" * 800),
    ),
    "heads of a thousand fields for a stream that is gone": (
        "header_fields",
        lambda: again(
            raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82" * 800),
            first=FOLLOW + raw(RST_STREAM, 0, 1, CANCEL),
        ),
    ),
    "requests that wait for their bodies, with heads of a few bytes that stand for many": (
        "header_fields",
        lambda: chain(
            [raw(HEADERS, END_HEADERS | END_STREAM, 1, HEADER_BLOCK + LARGE_FIELD)],
            (raw(HEADERS, END_HEADERS, n, POST_PLAIN + b"\xbe" * 7) for n in count(3, 2)),
        ),
    ),
    "uploads beyond what a connection may hold (CVE-2025-8671)": (
        "futile_streams",
        lambda: chain(
            (
                raw(HEADERS, END_HEADERS, n, POST_PLAIN) + raw(DATA, 0, n, bytes(16_384)) * 64
                for n in (1, 3, 5, 7)
            ),
            (raw(HEADERS, END_HEADERS, n, POST_PLAIN) + raw(DATA, 0, n, b"x") for n in count(9, 2)),
        ),
    ),
    "RST_STREAM of what is gone": (
        "futile_streams",
        lambda: again(raw(RST_STREAM, 0, 1, CANCEL), first=FOLLOW),
    ),
    "PING (CVE-2019-9512)": ("control_frames", lambda: again(raw(PING, 0, 0, bytes(8)))),
    "answers to no PING": ("control_frames", lambda: again(raw(PING, ACK, 0, bytes(8)))),
    "SETTINGS (CVE-2019-9515)": ("control_frames", lambda: again(raw(SETTINGS))),
    "windows toggled by SETTINGS": (
        "control_frames",
        lambda: again(
            raw(SETTINGS, 0, 0, b"\0\4\0\0\0\0"),
            raw(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff"),
            first=FOLLOW,
        ),
    ),
    "SETTINGS ACK": ("control_frames", lambda: again(raw(SETTINGS, ACK))),
    "PRIORITY (CVE-2019-9513)": ("control_frames", lambda: again(raw(PRIORITY, 0, 3, bytes(5)))),
    "frames of no known type": ("control_frames", lambda: again(raw(99, 0, 0, b"?"))),
    "empty DATA (CVE-2019-9518)": (
        "control_frames",
        lambda: again(raw(DATA, 0, 1), first=UPLOAD),
    ),
    "DATA that is all padding": (
        "control_frames",
        lambda: again(raw(DATA, 8, 1, b"\xff" + bytes(255)), first=UPLOAD),
    ),
    "a body byte by byte": (
        "control_frames",
        lambda: again(raw(DATA, 0, 1, b"x"), first=UPLOAD),
    ),
    "heads in many pieces (CVE-2024-27316)": (
        "control_frames",
        lambda: (
            raw(HEADERS, END_STREAM, stream_id, HEADER_BLOCK)
            + raw(CONTINUATION, 0, stream_id) * 40
            + raw(CONTINUATION, END_HEADERS, stream_id)
            + raw(RST_STREAM, 0, stream_id, CANCEL)
            for stream_id in count(1, 2)
        ),
    ),
    "the connection's window opened byte by byte": (
        "window_updates",
        lambda: again(raw(WINDOW_UPDATE, 0, 0, (1).to_bytes(4))),
    ),
    "a stream's window opened byte by byte (CVE-2019-9511)": (
        "window_updates",
        lambda: again(raw(WINDOW_UPDATE, 0, 1, (1).to_bytes(4)), first=FOLLOW),
    ),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_is_ended_with_its_reason(what: str) -> None:
    offence, frames = FLOODS[what]
    peer = Peer()
    for sent in frames():
        peer.now += 0.0001
        happened = peer.say(sent)
        gone = [each for each in happened if isinstance(each, Gone)]
        if gone:
            break
    (end,) = gone
    if offence == "header_fields":
        assert happened == [end]  # What is too large is not answered either.
    assert end.error_code == ErrorCodes.ENHANCE_YOUR_CALM
    assert end.offence == offence
    assert not end.by_peer
    output = peer.server.output()
    assert [code for _, code in goaways(output)] == [ErrorCodes.ENHANCE_YOUR_CALM]
    assert end.reason.encode() in output
    assert peer.say(raw(PING, 0, 0, bytes(8))) == []
    assert not peer.server.is_open(1)


@pytest.mark.parametrize("what", FLOODS)
def test_the_same_in_small_measure_is_nobodys_business(what: str) -> None:
    _, frames = FLOODS[what]
    peer = Peer(Limits(max_streams_per_connection=100_000))
    for _, sent in zip(range(400), frames(), strict=False):
        peer.now += 0.5
        assert not [each for each in peer.say(sent) if isinstance(each, Gone)]


def test_a_proxys_clients_with_cookies_of_15_kib_may_all_come_back_at_once() -> None:
    peer = Peer(Limits(max_streams_per_connection=100_000))
    first = raw(HEADERS, END_HEADERS | END_STREAM, 1, HEADER_BLOCK + LARGE_FIELD)
    again = (
        raw(HEADERS, END_HEADERS | END_STREAM, n, GET_PLAIN + b"\xbe" * 4)
        for n in range(3, 6_000, 2)
    )
    for sent in chain([first], again):
        (happened,) = peer.say(sent)
        assert isinstance(happened, Asked)


@pytest.mark.parametrize("sizes", [(8_000,), (4_000, 8_000), (500,) * 28])
def test_a_large_head_costs_no_less_in_pieces(sizes: tuple[int, ...]) -> None:
    def how_many(heads: Iterator[bytes]) -> int:
        peer = Peer()
        for number, head in enumerate(heads):
            if any(isinstance(each, Gone) for each in peer.say(head)):
                return number
        raise AssertionError

    whole = how_many(requests(LARGE_BLOCK, lambda stream_id: b""))
    assert how_many(in_pieces(*sizes)) <= whole


def window_of(size: int) -> bytes:
    """SETTINGS that change what each stream may have under way."""
    return raw(SETTINGS, 0, 0, b"\0\4" + size.to_bytes(4))


def test_who_takes_a_request_back_pays_for_it_once() -> None:
    peer = Peer(Limits(max_futile_streams_per_second=1))
    taken_back = requests(HEADER_BLOCK, lambda stream_id: raw(RST_STREAM, 0, stream_id, CANCEL))
    # What an allowance holds, and the same again: nobody had looked at the time.
    for _ in range(2 * SECONDS_AT_ONCE):
        _asked, left = peer.say(next(taken_back))
        assert isinstance(left, Left)
    *_, gone = peer.say(next(taken_back))
    assert isinstance(gone, Gone)


# -- honest clients -----------------------------------------------------------------------


def test_a_page_that_opens_all_streams_and_is_closed_may_be_opened_again() -> None:
    client = Client()
    for _ in range(3):
        streams = [client.listen() for _ in range(256)]
        for stream_id in streams:
            client.h2.reset_stream(stream_id, 8)
        happened = client.exchange()
        assert [each for each in happened if isinstance(each, Left)] == [*map(Left, streams)]


def test_who_returns_each_byte_of_many_small_events_at_once_may_do_so_for_ever() -> None:
    client = Client()
    streams = [client.listen() for _ in range(100)]
    group = Group(client.server)
    for stream_id in streams:
        group.add(stream_id)
    event = b"data: x\n\n"
    for _ in range(200):
        frames = group.frames(event)
        assert frames
        # Two for each event of each stream: 40,000 in no time at all.
        for stream_id in streams:
            for window in (stream_id, 0):
                update = raw(WINDOW_UPDATE, 0, window, len(event).to_bytes(4))
                (opened,) = client.server.receive(update)
                assert not isinstance(opened, Gone)
    assert all(map(client.server.is_open, streams))


def test_who_leaves_may_reset_each_frame_that_was_under_way() -> None:
    client = Client(Limits(max_control_frames_per_second=1))
    streams = [client.listen() for _ in range(256)]
    group = Group(client.server)
    for stream_id in streams:
        group.add(stream_id)
    under_way = [group.frames(b"data: x\n\n") for _ in range(7)]
    for stream_id in streams:
        client.h2.reset_stream(stream_id, 8)
    said = client.h2.data_to_send()
    for frames in under_way:
        assert frames
        client.h2.receive_data(frames)
        said += client.h2.data_to_send()
    assert sum(frame.kind == RST_STREAM for frame in raw_frames(said)) == 256 * 8
    assert client.server.receive(said) == [*map(Left, streams)]
    assert client.asked(client.ask())


def test_who_returns_both_windows_for_each_heartbeat_may_do_so_for_ever() -> None:
    client = Client(Limits(max_control_frames_per_second=1))
    streams = [client.listen() for _ in range(256)]
    group = Group(client.server)
    for stream_id in streams:
        group.add(stream_id)
    for _ in range(20):
        frames = group.frames(HEARTBEAT)
        assert frames
        for event in client.h2.receive_data(frames):
            assert isinstance(event, DataReceived)
            client.h2.increment_flow_control_window(len(HEARTBEAT))
            client.h2.increment_flow_control_window(len(HEARTBEAT), event.stream_id)
        happened = client.server.receive(client.h2.data_to_send())
        assert len(happened) == 2 * len(streams)
        assert not any(isinstance(each, Gone) for each in happened)


def test_who_reads_long_frames_in_pieces_may_return_each_piece() -> None:
    client = Client(Limits(max_control_frames_per_second=1))
    stream_id = client.listen()
    for _ in range(200):
        assert client.server.send(stream_id, bytes(16_384)) == 16_384
        client.server.output()
        for _ in range(16):
            for window in (stream_id, 0):
                update = raw(WINDOW_UPDATE, 0, window, (1_024).to_bytes(4))
                (opened,) = client.server.receive(update)
                assert not isinstance(opened, Gone)


def test_who_opens_a_window_by_a_kilobyte_at_a_time_may_do_so_for_ever() -> None:
    client = Client(Limits(max_control_frames_per_second=1))
    stream_id = client.listen()
    assert client.server.send(stream_id, bytes(100_000)) == 65_535
    for _ in range(500):
        for window in (stream_id, 0):
            update = raw(WINDOW_UPDATE, 0, window, (1_024).to_bytes(4))
            (opened,) = client.server.receive(update)
            assert not isinstance(opened, Gone)
        assert client.server.send(stream_id, bytes(100_000)) == 1_024


def test_who_opens_a_window_byte_by_byte_is_not_paid_for_what_that_brings() -> None:
    # CVE-2019-9511: a body for which each window of a byte brings a frame.
    client = Client()
    stream_id = client.listen()
    assert client.server.send(stream_id, bytes(100_000)) == 65_535
    for _ in range(50_000):
        for window in (0, stream_id):
            (happened,) = client.server.receive(raw(WINDOW_UPDATE, 0, window, (1).to_bytes(4)))
            if isinstance(happened, Gone):
                assert happened.offence == "window_updates"
                return
        assert client.server.send(stream_id, bytes(100_000)) == 1
    pytest.fail("it may go on for ever")


def test_settings_that_open_hundreds_of_windows_a_little_are_as_many_updates() -> None:
    client = Client()
    assert client.server.receive(window_of(0)) == [WindowsChanged()]
    streams = [client.listen() for _ in range(256)]
    for window in range(1, 100):
        (changed,) = client.server.receive(window_of(window))
        if isinstance(changed, Gone):
            assert changed.offence == "window_updates"
            return
        assert all(client.server.send(stream_id, bytes(1_000)) == 1 for stream_id in streams)
    pytest.fail("it may go on for ever")


def test_who_was_sent_megabytes_may_open_all_windows_wider_as_often_as_it_doubles_them() -> None:
    # As gRPC does, which takes what it was sent in a round trip for what it should allow.
    client = Client(Limits(max_control_frames_per_second=5))
    streams = [client.listen() for _ in range(256)]
    update = raw(WINDOW_UPDATE, 0, 0, (100_000_000).to_bytes(4))
    assert client.server.receive(update) == [WindowOpened(0)]
    for doubled in range(17, 25):
        for stream_id in streams[: 1 << (doubled - 16)]:
            client.server.send(stream_id, bytes(65_535))
        assert client.server.receive(window_of(1 << doubled)) == [WindowsChanged()]


def test_who_has_all_the_cookies_that_a_browser_keeps_may_ask_as_others_do() -> None:
    peer = Peer()
    block = HEADER_BLOCK + b"\x60\x01a" * 180
    for stream_id in range(1, 401, 2):
        head = raw(HEADERS, END_HEADERS | END_STREAM, stream_id, block)
        (asked,) = peer.say(head)
        assert isinstance(asked, Asked)
        peer.server.end(stream_id)


def test_an_upload_of_whole_frames_costs_nothing() -> None:
    peer = Peer(Limits(max_body_bytes=100 * 1024 * 1024))
    peer.say(UPLOAD)
    for _ in range(5_000):
        assert peer.say(raw(DATA, 0, 1, bytes(1_024))) == []


def test_an_upload_of_a_few_bytes_is_a_request_as_any_other() -> None:
    peer = Peer()
    for stream_id in range(1, 6_001, 2):
        head = raw(HEADERS, END_HEADERS, stream_id, POST_BLOCK)
        (asked,) = peer.say(head + raw(DATA, END_STREAM, stream_id, b"abc"))
        assert isinstance(asked, Asked)
        peer.server.end(stream_id)


def test_who_says_afterwards_that_a_small_body_has_ended_may_publish_as_fast_as_others() -> None:
    # As httpx does: the body, in as many pieces as it is written in, and then an empty frame.
    peer = Peer()
    pieces = (b"ab", b"c", b"")
    for stream_id in range(1, 6_001, 2):
        said = [raw(HEADERS, END_HEADERS, stream_id, POST_BLOCK)]
        said += [raw(DATA, 0, stream_id, piece) for piece in pieces]
        (asked,) = peer.say(b"".join(said) + raw(DATA, END_STREAM, stream_id))
        assert isinstance(asked, Asked)
        peer.server.end(stream_id)


# -- the allowance ------------------------------------------------------------------------


def test_an_allowance_holds_some_seconds_worth_and_gets_it_back() -> None:
    allowance = Allowance(2)
    held = 2 * SECONDS_AT_ONCE
    # It was never asked before, and so it has had the time to be filled once more.
    assert all(allowance.spend(1, 5.0) for _ in range(2 * held))
    assert not allowance.spend(1, 5.0)
    assert not allowance.spend(1, 5.4)
    assert allowance.spend(1, 5.5)
    assert not allowance.spend(1, 5.5)
    assert all(allowance.spend(1, 1_000.0) for _ in range(held))
    assert not allowance.spend(1, 1_000.0)


def test_what_cannot_be_paid_is_not_paid() -> None:
    allowance = Allowance(1)
    assert allowance.spend(2 * SECONDS_AT_ONCE - 1, 0.0)
    assert not allowance.spend(2, 0.0)
    assert allowance.spend(1, 0.0)


def test_what_is_earned_can_be_spent() -> None:
    allowance = Allowance(1)
    assert allowance.spend(2 * SECONDS_AT_ONCE, 0.0)
    allowance.earn(2, most=100)
    assert allowance.spend(2, 0.0)
    assert not allowance.spend(1, 0.0)


def test_what_is_earned_is_not_kept_without_bound() -> None:
    allowance = Allowance(1)
    assert allowance.spend(2 * SECONDS_AT_ONCE, 0.0)
    allowance.earn(1_000, most=5)
    assert allowance.spend(5, 0.0)
    assert not allowance.spend(1, 0.0)


def test_who_was_sent_much_cannot_save_for_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_sse.wire.budget.MOST_ANSWERS", 50)
    limits = Limits(max_control_frames_per_second=1)
    at_once = 2 * SECONDS_AT_ONCE
    for pay in (partial(Budget.window_updates, count=1), Budget.late_reset):
        budget = Budget(limits)
        paid = [pay(budget, now=0.0, frames=1_000_000, size=9_000_000) is None for _ in range(200)]
        assert paid == [True] * (at_once + 50) + [False] * (150 - at_once)
