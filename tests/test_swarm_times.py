"""Whose fault it is that an event is late: the load client does not blame the server for itself."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from crowds import Gathering, due_now, gathering, hub
from impostor import PROTOCOLS, ROOT, STREAMS, Impostor, Protocol
from running import HUB

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.swarm.crowd import Crowd
from loadtests.swarm.receipts import Receipts
from loadtests.swarm.target import Target

PLANTED = 0.05
"""Seconds that the server, or the client, is made to be late."""

PLANTED_US = 49_000
"""The least of it that has to be seen, in µs: the clock that we sleep by is not the kernel's."""

protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


def be_late() -> None:
    time.sleep(PLANTED)


def rows(crowd: Gathering) -> list[dict[str, Any]]:
    """What is known of each event."""
    names = ("number", "due", "clients", "first", "median", "last", "last_application")
    return [dict(zip(names, row, strict=True)) for row in crowd.figures()["events"]]


@protocols
def test_a_delay_of_the_server_is_in_the_kernels_latency_and_one_of_the_client_is_not(
    protocol: Protocol,
) -> None:
    with (
        Impostor(protocol) as impostor,
        gathering([impostor.port], protocol, streams=STREAMS[protocol]) as crowd,
    ):
        crowd.until(impostor.pending)
        client = impostor.take()
        impostor.welcome(client)
        crowd.until(lambda: crowd.crowd.connected)

        late = due_now(1)
        be_late()
        impostor.send(late)
        crowd.have(1)

        impostor.send(due_now(2))
        crowd.wait()
        be_late()
        crowd.have(2)

        server_late, client_late = rows(crowd)
    assert server_late["first"] >= PLANTED_US
    assert client_late["last_application"] - client_late["last"] >= PLANTED_US


@protocols
def test_the_kernels_times_are_had_through_tls_too(protocol: Protocol) -> None:
    with (
        hub("--self-signed") as server,
        gathering(
            [server.port],
            protocol,
            streams=STREAMS[protocol],
            scheme="https",
            path=HUB + "?topic={topic}",
        ) as crowd,
    ):
        crowd.until(lambda: crowd.crowd.connected == STREAMS[protocol])
        crowd.have(server.publish())
        number = server.publish()
        crowd.wait()
        be_late()
        crowd.have(number)
        _, event = rows(crowd)
    assert event["last_application"] - event["last"] >= PLANTED_US


@protocols
def test_events_that_pile_up_in_one_read_are_counted(protocol: Protocol) -> None:
    streams = STREAMS[protocol]
    with (
        Impostor(protocol) as impostor,
        gathering([impostor.port], protocol, streams=streams) as crowd,
    ):
        crowd.until(impostor.pending)
        impostor.welcome(impostor.take())
        crowd.until(lambda: crowd.crowd.connected)
        impostor.send(due_now(1))
        crowd.have(1)
        impostor.send(due_now(2), due_now(3))
        crowd.have(3)
        figures = crowd.figures()
    assert (figures["reads"], figures["piled_reads"]) == (2, 1)
    assert figures["deliveries"] == 3 * streams


def test_a_crowd_without_the_kernels_times_is_refused() -> None:
    target = Target(hubs=[("127.0.0.1", 1)])
    with pytest.raises(ValueError, match="stamped"):
        Crowd(target, receipts=Receipts())
