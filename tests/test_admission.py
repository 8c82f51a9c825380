"""Who is let in, and what those hear for whom there is no room."""

from __future__ import annotations

import re
import socket

import pytest
import trio
from trio.testing import MockClock

from trio_sse.admission import MOST_AT_A_TIME, Admission
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
            ["2001:db8::1", "2001:db8::2:1:1:1", "2001:db8::ffff", "2001:db8:0:1::1"],
            [True, True, False, True],
        ),
        (["::ffff:192.0.2.1", "192.0.2.2", "192.0.2.3"], [True, True, False]),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3"], [True, True, False]),
        (["unix", "unix", "unix"], [True, True, False]),
    ],
)
def test_addresses_of_one_network_share_a_limit(hosts: list[str], admitted: list[bool]) -> None:
    admission = Admission(Limits(max_connections_per_network=2))
    assert [admission.admit(peer) for peer in peers(*hosts)] == admitted
    assert admission.open == admitted.count(True)
    assert admission.turned_away == admitted.count(False)


def test_who_leaves_makes_room_and_is_forgotten() -> None:
    admission = Admission(Limits(max_connections_per_address=1))
    first, second = peers("192.0.2.1", "192.0.2.1")
    assert admission.admit(first)
    assert not admission.admit(second)
    admission.leave(first)
    assert admission.admit(second)
    admission.leave(second)
    assert admission.open == 0
    assert not admission._by_host
    assert not admission._by_network


def test_in_all_there_is_a_limit_as_well() -> None:
    admission = Admission(Limits(max_connections=1))
    assert [admission.admit(peer) for peer in peers("192.0.2.1", "198.51.100.1")] == [True, False]


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


async def test_who_is_one_too_many_is_told_when_to_come_back() -> None:
    answer = await turned_away(Limits(), BROWSER)
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
async def test_who_is_gone_already_is_no_trouble(limits: Limits) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    async with trio.open_nursery() as nursery:
        Admission(limits).turn_away(ours, 1.0, nursery)
    assert ours.fileno() == -1


async def test_in_a_storm_there_is_no_time_for_words(autojump_clock: MockClock) -> None:
    admission = Admission(Limits())
    pairs = [socket.socketpair() for _ in range(3 * MOST_AT_A_TIME)]
    async with trio.open_nursery() as nursery:
        # All in one turn of the event loop.
        for ours, _ in pairs:
            admission.turn_away(ours, 1.0, nursery)
        assert [ours.fileno() != -1 for ours, _ in pairs].count(True) == MOST_AT_A_TIME
    assert all(ours.fileno() == -1 for ours, _ in pairs)
    ours, theirs = socket.socketpair()
    async with trio.open_nursery() as nursery:
        admission.turn_away(ours, 1.0, nursery)
        assert ours.fileno() != -1
    for _, their in [*pairs, (ours, theirs)]:
        their.close()
