"""Who is let in, and what those hear for whom there is no room."""

from __future__ import annotations

import re
import socket

import pytest
import trio
from trio.testing import MockClock

from trio_sse.admission import MOST_AT_A_TIME, SOURCES, TURNED_AWAY_PER_SECOND, Admission
from trio_sse.event import Decoder
from trio_sse.limits import Limits
from trio_sse.message import Peer

BROWSER = (
    b"GET /events HTTP/1.1\r\nHost: hub.example\r\nAccept: text/event-stream\r\n"
    b"Origin: https://page.example\r\n\r\n"
)


def peers(*hosts: str) -> list[Peer]:
    return [Peer(host, port) for port, host in enumerate(hosts, 1)]


@pytest.mark.parametrize(
    ("hosts", "admitted"),
    [
        (["192.0.2.1", "192.0.2.200", "192.0.2.3", "192.0.3.1"], [True, True, False, True]),
        (
            ["2001:db8::1", "2001:db8::8000:1:1:1", "2001:db8::ffff", "2001:db8:0:1::1"],
            [True, True, False, True],
        ),
        (["::ffff:192.0.2.1", "192.0.2.2", "192.0.2.3"], [True, True, False]),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3"], [True, True, False]),
        (["unix", "unix", "unix"], [True, True, False]),
    ],
)
def test_addresses_of_one_network_share_a_limit(hosts: list[str], admitted: list[bool]) -> None:
    admission = Admission(Limits(max_connections_per_network=2))
    assert [admission.admit(peer, 0) for peer in peers(*hosts)] == admitted
    assert admission.open == admitted.count(True)
    assert admission.turned_away == admitted.count(False)


def test_who_leaves_makes_room_and_is_forgotten() -> None:
    admission = Admission(Limits(max_connections_per_address=1))
    first, second = peers("192.0.2.1", "192.0.2.1")
    assert admission.admit(first, 0)
    assert not admission.admit(second, 0)
    admission.leave(first)
    assert admission.admit(second, 0)
    admission.leave(second)
    assert admission.open == 0
    assert not admission._by_host
    assert not admission._by_network


def test_in_all_there_is_a_limit_as_well() -> None:
    admission = Admission(Limits(max_connections=1))
    assert [admission.admit(peer, 0) for peer in peers("192.0.2.1", "198.51.100.1")] == [
        True,
        False,
    ]


def come_and_go(admission: Admission, host: str, times: int, now: float) -> int:
    """How many of so many are let in, one after the other."""
    let_in = 0
    for peer in peers(*times * [host]):
        if admission.admit(peer, now):
            let_in += 1
            admission.leave(peer)
    return let_in


def test_who_comes_too_often_is_let_in_again_after_a_while() -> None:
    admission = Admission(Limits(max_connects_per_second=2))
    # Ten seconds' worth, and once more as nobody had asked for the time before.
    assert come_and_go(admission, "192.0.2.1", 100, now=50.0) == 40
    assert come_and_go(admission, "192.0.2.2", 1, now=50.0) == 1
    assert come_and_go(admission, "192.0.2.1", 100, now=53.0) == 6
    assert admission.turned_away == 60 + 94
    assert admission.open == 0


def test_a_customer_s_addresses_share_how_often_they_may_come() -> None:
    admission = Admission(Limits(max_connects_per_second=1))
    let_in = [come_and_go(admission, f"2001:db8::{n:x}", 1, now=0.0) for n in range(100)]
    assert sum(let_in) == 20
    assert come_and_go(admission, "2001:db8:0:1::1", 1, now=0.0) == 1


def test_how_often_they_come_is_not_known_of_any_number_of_addresses() -> None:
    admission = Admission(Limits(max_connects_per_second=1))
    come_and_go(admission, "192.0.2.1", 20, now=0.0)
    for n in range(SOURCES + 1):
        # Who has not come for longest is forgotten, and not who comes all the time.
        assert come_and_go(admission, "192.0.2.1", 1, now=0.0) == 0
        come_and_go(admission, f"10.1.{n >> 8}.{n & 255}", 1, now=0.0)
    assert len(admission._rates) == SOURCES


async def turned_away(limits: Limits, said: bytes, *, delay: float = 2.0) -> str:
    """What a client hears that has said something and nothing more."""
    ours, theirs = socket.socketpair()
    client = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    admission = Admission(limits)
    heard = b""
    async with trio.open_nursery() as nursery, client:
        if said:
            await client.send_all(said)
        admission.turn_away(ours, delay, nursery)
        async for data in client:
            heard += data
    return heard.decode()


async def test_who_is_one_too_many_is_told_when_to_come_back(autojump_clock: MockClock) -> None:
    answer = await turned_away(Limits(), BROWSER)
    assert trio.current_time() == 0  # It is over for the client, which need not wait for more.
    assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert "\r\nRetry-After: 3\r\n" in answer
    assert answer.endswith("\r\n\r\nToo many connections here.\n")


async def test_an_event_source_may_be_told_so_in_a_way_that_it_understands() -> None:
    answer = await turned_away(Limits(retry_when_full=10.0), BROWSER)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert "\r\nAccess-Control-Allow-Origin: https://page.example\r\n" in head
    decoder = Decoder()
    assert decoder.feed(body.encode()) == []
    assert decoder.retry == 12_000


async def test_a_page_of_the_same_origin_needs_no_leave() -> None:
    answer = await turned_away(
        Limits(retry_when_full=0.0), b"GET / HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n"
    )
    assert "Access-Control" not in answer
    assert answer.endswith("\r\n\r\nretry: 2000\n\n")


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", b"x" * 10_000, b"\0\r\n\r\n"]
)
async def test_others_get_503_all_the_same(said: bytes) -> None:
    answer = await turned_away(Limits(retry_when_full=10.0), said)
    assert re.match(r"HTTP/1\.1 503 ", answer)


@pytest.mark.parametrize("limits", [Limits(), Limits(retry_when_full=10.0)])
async def test_who_says_nothing_is_not_waited_for(
    limits: Limits, autojump_clock: MockClock
) -> None:
    ours, theirs = socket.socketpair()
    admission = Admission(limits)
    with theirs:
        async with trio.open_nursery() as nursery:
            admission.turn_away(ours, 1.0, nursery)
        assert ours.fileno() == -1
    assert trio.current_time() < 2


@pytest.mark.parametrize("limits", [Limits(), Limits(retry_when_full=10.0)])
async def test_who_is_gone_already_is_no_trouble(limits: Limits, autojump_clock: MockClock) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    async with trio.open_nursery() as nursery:
        Admission(limits).turn_away(ours, 1.0, nursery)
    assert ours.fileno() == -1


async def test_in_a_storm_there_is_no_time_for_words(autojump_clock: MockClock) -> None:
    admission = Admission(Limits())
    for _ in range(2):
        pairs = [socket.socketpair() for _ in range(3 * MOST_AT_A_TIME)]
        async with trio.open_nursery() as nursery:
            # All in one turn of the event loop.
            for ours, _ in pairs:
                admission.turn_away(ours, 1.0, nursery)
            assert [ours.fileno() != -1 for ours, _ in pairs].count(True) == MOST_AT_A_TIME
        assert all(ours.fileno() == -1 for ours, _ in pairs)
        for _, theirs in pairs:
            theirs.close()


async def test_in_a_long_storm_only_some_a_second_are_told(autojump_clock: MockClock) -> None:
    admission = Admission(Limits())
    told = 0
    async with trio.open_nursery() as nursery:
        for _ in range(30 * TURNED_AWAY_PER_SECOND):
            ours, theirs = socket.socketpair()
            with theirs:
                admission.turn_away(ours, 1.0, nursery)
                told += ours.fileno() != -1
            while ours.fileno() != -1:
                await trio.lowlevel.checkpoint()
    assert told == 20 * TURNED_AWAY_PER_SECOND
