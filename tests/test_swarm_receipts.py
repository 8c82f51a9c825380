"""Receipts of the load client: every fault has a name, and several processes add up exactly."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crowds import Gathering, due_now, gathering
from impostor import PROTOCOLS, ROOT, STREAMS, Impostor, Protocol, on_the_wire

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.swarm.bins import LONGEST, Bins, encoded
from loadtests.swarm.client import Client, Recovery
from loadtests.swarm.findings import Offence, Position, Received
from loadtests.swarm.merging import merge
from loadtests.swarm.receipts import Receipts

CLIENTS = 3
LAST = 6

# Who is read first is put on the tape; who comes later is compared with it.
victims = pytest.mark.parametrize("victim", [0, CLIENTS - 1])
protocols = pytest.mark.parametrize("protocol", PROTOCOLS)

# -- faults, planted --------------------------------------------------------------------


def figures_with(protocol: Protocol, victim: int, order: list[int]) -> dict[str, Any]:
    """Send events in this order to one client, in theirs to the others, and see what is found."""
    streams = STREAMS[protocol]
    with (
        Impostor(protocol) as impostor,
        gathering([impostor.port], protocol, clients=CLIENTS, streams=streams) as crowd,
    ):
        connect(crowd, impostor)
        events = {number: due_now(number) for number in range(1, LAST + 1)}
        sent = [order if n == victim else list(events) for n in range(CLIENTS)]
        for turn in range(max(map(len, sent))):
            for client, numbers in zip(impostor.clients, sent, strict=True):
                if turn < len(numbers):
                    client.sendall(on_the_wire(protocol, events[numbers[turn]]))
            crowd.wait(0)
        wanted = sum(map(len, sent)) * streams
        crowd.until(
            lambda: (
                crowd.crowd.events
                + sum(crowd.receipts.faults[fault] for fault in ("repeated", "reordered"))
                >= wanted
            )
        )
        return crowd.figures()


def connect(crowd: Gathering, impostor: Impostor) -> None:
    """Have clients connect one after the other, so that their numbers are known."""
    for connections in range(1, CLIENTS + 1):
        wanted = connections * crowd.crowd.target.streams
        crowd.until(impostor.pending)
        impostor.welcome(impostor.take())
        crowd.until(lambda wanted=wanted: crowd.crowd.connected == wanted)  # type: ignore[misc]


def named(protocol: Protocol, victim: int, what: str) -> set[str]:
    """What the examples say of the victim's streams."""
    streams = range(STREAMS[protocol])
    return {f"test: client {victim}:{stream} of hub 0 {what}" for stream in streams}


@protocols
@victims
def test_a_lost_event_is_caught_and_whose_it_was(protocol: Protocol, victim: int) -> None:
    figures = figures_with(protocol, victim, [1, 2, 3, 6])
    streams = STREAMS[protocol]
    assert figures["faults"] == {"lost": 2 * streams}
    assert set(figures["examples"]) == named(protocol, victim, "lost events 4 to 5")
    assert figures["expected"] - figures["deliveries"] == 2 * streams


@protocols
@victims
def test_a_repeated_event_is_caught(protocol: Protocol, victim: int) -> None:
    figures = figures_with(protocol, victim, [1, 2, 3, 3, 4, 5, 6])
    assert figures["faults"] == {"repeated": STREAMS[protocol]}
    assert set(figures["examples"]) == named(protocol, victim, "repeated event 3")
    assert figures["expected"] == figures["deliveries"]


@protocols
@victims
def test_events_in_the_wrong_order_are_caught(protocol: Protocol, victim: int) -> None:
    figures = figures_with(protocol, victim, [1, 2, 4, 3, 5, 6])
    assert figures["faults"] == {"reordered": STREAMS[protocol]}
    assert named(protocol, victim, "reordered event 3") <= set(figures["examples"])


@protocols
@victims
def test_events_that_never_come_are_caught(protocol: Protocol, victim: int) -> None:
    figures = figures_with(protocol, victim, [1, 2, 3, 4])
    streams = STREAMS[protocol]
    assert figures["faults"] == {"missing": 2 * streams}
    assert set(figures["examples"]) == named(protocol, victim, "missing events 5 to 6")
    assert figures["expected"] - figures["deliveries"] == 2 * streams


@protocols
@victims
def test_events_that_are_missed_at_the_start_are_caught(protocol: Protocol, victim: int) -> None:
    figures = figures_with(protocol, victim, [2, 3, 4, 5, 6])
    assert figures["faults"] == {"missing": STREAMS[protocol]}
    assert set(figures["examples"]) == named(protocol, victim, "missing event 1")


# -- figures that are planted -----------------------------------------------------------


def client_of(number: int, joined: int, streams: int = 1) -> Client:
    client = Client(number, 0, streams)
    client.joined = joined
    return client


def received(number: int, due: int) -> Received:
    return Received(number, due, b"")


def told(receipts: Receipts, deliveries: list[tuple[int, int, int, int]]) -> None:
    """Tell of clients with two streams that joined at 0, and of their events."""
    clients = {number: client_of(number, 0, 2) for _, number, _, _ in deliveries}
    for client in clients.values():
        receipts.joined(client)
    for event, number, kernel, application in deliveries:
        receipts.learn([received(event, 1_000 * event)])
        now = 1_000 * (event + kernel + application)
        receipts.passed(clients[number], event, event, 1_000 * (event + kernel), now)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 5),
            st.integers(0, 20),
            st.integers(0, 2 * LONGEST),
            st.integers(0, 10_000),
        ),
        max_size=60,
    )
)
def test_processes_add_up_to_what_one_would_have_found(
    deliveries: list[tuple[int, int, int, int]],
) -> None:
    together = Receipts("all")
    apart = [Receipts(str(number)) for number in range(3)]
    for receipts in (together, *apart):
        receipts.measure(1, 1_000_000)
    told(together, deliveries)
    for number, receipts in enumerate(apart):
        told(receipts, [each for each in deliveries if each[1] % 3 == number])
    assert merge([each.report() for each in apart]) == merge([together.report()])


@given(st.lists(st.integers(0, 2 * LONGEST), min_size=1, max_size=200))
def test_a_histogram_is_what_one_that_was_told_at_once_would_be(durations: list[int]) -> None:
    bins = Bins()
    direct = HdrHistogram(1, LONGEST, 3)
    for duration in durations:
        bins.add(duration)
        direct.record_value(min(max(duration, 1), LONGEST))
    assert list(HdrHistogram.decode(encoded(bins)).counts) == list(direct.counts)


def test_first_median_and_last_client_are_told_apart() -> None:
    receipts = Receipts()
    receipts.measure(1, 1_000_000)
    told(receipts, [(1, client, 100 * (client + 1), 7) for client in range(5)])
    (row,) = merge([receipts.report()])["events"]
    number, due, clients, first, median, last, last_application = row
    assert (number, due, clients) == (1, 1e-6, 10)
    assert (first, last, last_application) == (100, 500, 507)
    assert median == pytest.approx(300, rel=0.004)


def test_only_events_due_within_the_window_are_measured() -> None:
    receipts = Receipts()
    receipts.measure(2_000, 3_000)
    told(receipts, [(event, 0, 5, 5) for event in (1, 2, 3, 4)])
    merged = merge([receipts.report()])
    assert [row[0] for row in merged["events"]] == [2, 3]
    assert merged["deliveries"] == merged["expected"] == 4
    assert receipts.events == 8
    receipts.measure(5_000, 6_000)
    assert merge([receipts.report()])["deliveries"] == 0


def test_who_joins_after_an_event_was_due_is_not_expected_to_have_it() -> None:
    receipts = Receipts()
    receipts.measure(1, 10_000)
    early, late = client_of(0, 1_000), client_of(1, 2_000)
    for client in (early, late):
        receipts.joined(client)
    for number, due in ((1, 1_500), (2, 2_500)):
        receipts.learn([received(number, due)])
        for client in (early, late):  # The late one has it all the same: it was published late.
            receipts.passed(client, number, number, due + 1_000, due + 1_000)
    merged = merge([receipts.report()])
    assert merged["deliveries"] == merged["expected"] == 3


def test_an_event_that_nobody_received_is_expected() -> None:
    receipts = Receipts()
    receipts.measure(1, 10_000)
    told(receipts, [(1, 0, 5, 5)])
    merged = merge([receipts.report()], published=[(1, 1_000), (2, 2_000), (3, 20_000)])
    assert (merged["deliveries"], merged["expected"]) == (2, 4)
    assert merged["events"][1] == [2, 2e-6, 0, None, None, None, None]


def test_what_has_come_since_the_last_time_is_told_once() -> None:
    receipts = Receipts()
    told(receipts, [(1, 0, 1_500, 2_000), (1, 1, 2_500, 2_000)])
    receipts.read(100)
    receipts.blame(client_of(0, 0), [Offence("lost", 0, 2, 4)])
    taken = receipts.take()
    assert taken["kernel"] == {1: 2, 2: 2}
    assert taken["application"] == {3: 2, 4: 2}
    assert taken["bytes"] == 100
    assert taken["faults"] == {"lost": 3}
    again = receipts.take()
    assert not again["kernel"]
    assert not again["faults"]
    assert again["bytes"] == 0


def test_who_was_cut_off_has_recovered_when_it_has_what_was_due_before_it_was_back() -> None:
    receipts = Receipts()
    client = client_of(0, 0, 2)
    receipts.joined(client)
    ms = 1_000_000
    dues = {1: 15 * ms, 2: 18 * ms, 3: 25 * ms}
    receipts.learn([received(number, due) for number, due in dues.items()])
    for place in range(2):
        client.recovering[place] = Recovery(10 * ms)
        client.recovering[place].opened = 20 * ms
    receipts.passed(client, 1, 1, 30 * ms, 30 * ms)
    receipts.passed(client, 2, 2, 40 * ms, 40 * ms)
    assert receipts.take()["recovery"] == {}
    receipts.passed(client, 3, 3, 50 * ms, 50 * ms)
    assert receipts.take()["recovery"] == {30: 2}
    assert not client.recovering


def test_who_left_counts_up_to_what_it_had() -> None:
    receipts = Receipts()
    receipts.measure(1, 10_000)
    client = client_of(0, 0)
    receipts.joined(client)
    receipts.learn([received(1, 1_000), received(2, 2_000)])
    receipts.passed(client, 1, 1, 1_500, 1_500)
    receipts.left(client, [Position(1)])
    assert merge([receipts.report()])["expected"] == 1
