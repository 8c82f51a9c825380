"""The load client catches what a server does wrong, on both protocols; and the bench runs."""

from __future__ import annotations

import json
import os
import signal
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impostor import PROTOCOLS, ROOT, STREAMS, Impostor, Protocol, event, on_the_wire
from running import Running

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.swarm.events import EventReader, Known
from loadtests.swarm.findings import Findings, Parser, Position, Received
from loadtests.swarm.frames import frame
from loadtests.swarm.http1 import Http1Parser
from loadtests.swarm.http2 import Http2Parser
from loadtests.swarm.tape import Tape
from loadtests.swarm.windows import Windows

CONNECTIONS = 3
LAST = 6
"""Number of the last event."""

EVENTS = [event(number) for number in range(1, LAST + 1)]


class Told(Running):
    """A swarm that is told what to do."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            [sys.executable, "-m", "loadtests.swarm", json.dumps(settings)],
            stdin=-1,
            cwd=ROOT,
        )
        self.expect("ready", "out")
        self._ticket = 0

    def order(self, do: str, **arguments: Any) -> int:
        self._ticket += 1
        self.send(json.dumps({"do": do, "ticket": self._ticket, "seconds": 15} | arguments))
        return self._ticket

    def answer(self, ticket: int) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.expect(f'.*"ticket": {ticket}[,}}].*', "out")[0])
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        return self.answer(self.order(do, **arguments))


@contextmanager
def crowd(protocol: Protocol) -> Iterator[tuple[Impostor, Told]]:
    """An impostor and the connections to it, all streams open."""
    with (
        Impostor(protocol) as impostor,
        Told(port=impostor.port, protocol=protocol, streams=STREAMS[protocol]) as swarm,
    ):
        connected = swarm.order("connect", connections=CONNECTIONS)
        impostor.greet(CONNECTIONS)
        assert swarm.answer(connected)["opened"] == CONNECTIONS * STREAMS[protocol]
        yield impostor, swarm
        swarm.end_input()
        assert swarm.finish() == 0


def faults_of(protocol: Protocol, victim: int, content: Iterable[bytes]) -> dict[str, int]:
    """Send `content` to one connection, what is right to the others, and see what is found."""
    with crowd(protocol) as (impostor, swarm):
        sent = [list(content) if n == victim else EVENTS for n in range(CONNECTIONS)]
        for turn in range(max(map(len, sent))):
            for client, events in zip(impostor.clients, sent, strict=True):
                if turn < len(events):
                    client.sendall(on_the_wire(protocol, events[turn]))
        swarm.ask("wait", number=LAST, seconds=0.5 if len(sent[victim]) < LAST else 15)
        report = swarm.ask("report")
        faults: dict[str, int] = report["faults"]
        if not faults:
            assert report["deliveries"] == LAST * CONNECTIONS * STREAMS[protocol]
        return faults


# Who is read first is put on the tape; who comes later is compared with it.
victims = pytest.mark.parametrize("victim", [0, CONNECTIONS - 1])
protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@protocols
def test_a_server_that_does_right_is_not_blamed(protocol: Protocol) -> None:
    assert faults_of(protocol, 0, EVENTS) == {}


@protocols
@victims
def test_a_lost_event_is_caught(protocol: Protocol, victim: int) -> None:
    planted = [*EVENTS[:3], *EVENTS[4:], b":\n\n"]
    assert faults_of(protocol, victim, planted) == {"lost": STREAMS[protocol]}


@protocols
@victims
def test_a_repeated_event_is_caught(protocol: Protocol, victim: int) -> None:
    planted = [*EVENTS[:4], EVENTS[3], *EVENTS[4:]]
    assert faults_of(protocol, victim, planted) == {"repeated": STREAMS[protocol]}


@protocols
@victims
def test_two_events_in_the_wrong_order_are_caught(protocol: Protocol, victim: int) -> None:
    planted = [*EVENTS[:2], EVENTS[3], EVENTS[2], *EVENTS[4:]]
    assert faults_of(protocol, victim, planted) == {"reordered": STREAMS[protocol]}


@protocols
@victims
def test_an_event_that_comes_late_is_known_for_late_by_who_stood_level_with_the_others(
    protocol: Protocol, victim: int
) -> None:
    with crowd(protocol) as (impostor, swarm):
        late, others = impostor.clients[victim], impostor.clients[:]
        others.remove(late)
        for client in impostor.clients:
            sent = [*EVENTS[:2], EVENTS[3]] if client is late else EVENTS[:4]
            client.sendall(b"".join(on_the_wire(protocol, each) for each in sent))
        # All are at the fourth event now, and on the tape.
        swarm.ask("wait", number=4)
        late.sendall(on_the_wire(protocol, EVENTS[2]))
        for client in impostor.clients:
            client.sendall(b"".join(on_the_wire(protocol, each) for each in EVENTS[4:]))
        assert swarm.ask("wait", number=LAST)["missing"] == 0
        assert swarm.ask("report")["faults"] == {"reordered": STREAMS[protocol]}


@protocols
@victims
def test_a_changed_byte_is_caught(protocol: Protocol, victim: int) -> None:
    planted = [*EVENTS[:3], EVENTS[3].replace(b"xxx", b"xXx", 1), *EVENTS[4:]]
    # The numbers go on one later, so it is also missed.
    streams = STREAMS[protocol]
    assert faults_of(protocol, victim, planted) == {"corrupt": streams, "lost": streams}


@protocols
@victims
def test_a_last_event_that_never_comes_is_caught(protocol: Protocol, victim: int) -> None:
    assert faults_of(protocol, victim, EVENTS[:-1]) == {"missing": 1}


@protocols
@victims
def test_a_comment_that_only_some_receive_is_no_fault(protocol: Protocol, victim: int) -> None:
    assert faults_of(protocol, victim, [*EVENTS[:3], b":\n\n", *EVENTS[3:], b":\n\n"]) == {}


@protocols
def test_an_event_of_another_topic_is_caught(protocol: Protocol) -> None:
    planted = [*EVENTS[:3], event(4, topic="b"), *EVENTS[3:]]
    assert faults_of(protocol, 1, planted) == {"misdirected": STREAMS[protocol]}


@protocols
def test_a_server_that_admits_a_gap_is_taken_at_its_word(protocol: Protocol) -> None:
    gap = b'event: trio-sse.gap\ndata: {"lost":null}\n\n'
    assert faults_of(protocol, 1, [*EVENTS[:3], gap, *EVENTS[3:]]) == {"gap": STREAMS[protocol]}


def test_an_event_on_the_wrong_stream_is_caught() -> None:
    with crowd("http2") as (impostor, swarm):
        for client in impostor.clients:
            client.sendall(b"".join(on_the_wire("http2", each) for each in EVENTS[:-1]))
        for client in impostor.clients[1:]:
            client.sendall(on_the_wire("http2", EVENTS[-1]))
        impostor.clients[0].sendall(2 * frame(0, 0, 1, EVENTS[-1]))
        assert swarm.ask("wait", number=LAST, seconds=0.5)["missing"] == 1
        assert swarm.ask("report")["faults"] == {"repeated": 1, "missing": 1}


@protocols
def test_a_connection_that_is_cut_is_caught(protocol: Protocol) -> None:
    with crowd(protocol) as (impostor, swarm):
        for client in impostor.clients:
            client.sendall(on_the_wire(protocol, EVENTS[0]))
        swarm.ask("wait", number=1)
        impostor.clients[0].close()
        swarm.ask("count", deliveries=10**6, seconds=0.5)
        assert swarm.ask("report")["faults"]["ended"] == 1


def test_a_refusal_is_caught() -> None:
    with Impostor("http1") as impostor, Told(port=impostor.port) as swarm:
        connected = swarm.order("connect", connections=1)
        impostor.take().sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        assert swarm.answer(connected)["opened"] == 0
        assert swarm.ask("report")["faults"] == {"refused": 1}


def events_in(found: Findings) -> list[Received]:
    """All events in what was found, stream after stream."""
    return [event for _, events in found.received for event in events]


# -- compressed -------------------------------------------------------------------------


def deflated(pieces: Iterable[bytes], *, flush: int = zlib.Z_FULL_FLUSH) -> list[bytes]:
    """The chunks of an answer that is compressed, each event in one of its own."""
    compressor = zlib.compressobj()
    chunks = [compressor.compress(piece) + compressor.flush(flush) for piece in pieces]
    return [on_the_wire("http1", each) for each in chunks]


def faults_in(head: str, *chunks: bytes) -> list[str]:
    """What a client finds that has asked for compression."""
    parser = Http1Parser(EventReader("a", Position(), 0, Known()), compressed=True)
    found = [parser.feed(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{head}\r\n".encode())]
    found += [parser.feed(each) for each in chunks]
    return [offence.fault for each in found for offence in each.offences]


CODED = "Content-Encoding: deflate\r\n"


def test_compressed_events_are_understood_from_any_of_them_on() -> None:
    chunks = deflated(EVENTS)
    assert faults_in(CODED, *chunks) == []
    reader = EventReader("a", Position(3), 0, Known())
    parser = Http1Parser(reader, in_body=True, compressed=True)
    assert [event.number for event in events_in(parser.feed(b"".join(chunks[3:])))] == [4, 5, 6]


def test_what_refers_to_the_history_of_its_stream_is_caught() -> None:
    assert "corrupt" in faults_in(CODED, *deflated(EVENTS, flush=zlib.Z_SYNC_FLUSH))


def test_what_is_compressed_without_saying_so_is_caught() -> None:
    assert faults_in("", *deflated(EVENTS[:1])) == ["broken"]


# -- however it is cut ------------------------------------------------------------------


def parser_of(protocol: Protocol, number: int | None = None) -> Parser:
    """A parser for a connection whose streams are open."""
    known = Known()
    places = range(STREAMS[protocol])
    readers = [EventReader("a", Position(number), place, known) for place in places]
    if protocol == "http1":
        return Http1Parser(readers[0], in_body=True)
    return Http2Parser(readers, None, opened=True)


@protocols
@given(data=st.data())
def test_what_is_found_does_not_depend_on_how_it_is_cut(
    protocol: Protocol, data: st.DataObject
) -> None:
    wire = b"".join(on_the_wire(protocol, each) for each in EVENTS)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)))))
    parser = parser_of(protocol)
    received, levels = [], []
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found = parser.feed(wire[start:stop])
        assert not found.offences
        received += events_in(found)
        levels += found.levels
    assert len(received) == LAST * STREAMS[protocol]
    assert [level.number for level in levels] == list(range(1, LAST + 1))
    assert levels[-1].consumed == len(wire)


def test_streams_are_level_only_where_none_has_begun_the_next_event() -> None:
    parser = parser_of("http2", 1)
    second, third = EVENTS[1:3]
    ahead = frame(0, 0, 1, second) + frame(0, 0, 1, third[:40])
    assert not parser.feed(ahead + frame(0, 0, 3, second)).levels
    found = parser.feed(frame(0, 0, 1, third[40:]) + frame(0, 0, 3, third))
    assert [level.number for level in found.levels] == [3]


@protocols
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 500))))
def test_a_tape_is_the_same_whoever_writes_it(
    protocol: Protocol, reads: list[tuple[int, int]]
) -> None:
    """Several read the same in pieces of their own; whoever is ahead extends the tape."""
    units = [on_the_wire(protocol, each) for each in EVENTS[1:]]
    wire = b"".join(units)
    learned: list[Received] = []
    tape = Tape(1, lambda number: parser_of(protocol, number), learned.extend)
    offsets = [0, 0, 0]
    for reader, length in [*reads, *((reader, len(wire)) for reader in range(3))]:
        start, stop = offsets[reader], min(offsets[reader] + length, len(wire))
        piece = memoryview(wire)[start:stop]
        assert tape.matches(piece, start) or tape.extend(piece, start)
        offsets[reader] = stop
    assert tape.numbers == list(range(1, LAST + 1))
    assert tape.ends == [len(b"".join(units[:n])) for n in range(LAST)]
    assert {each.number for each in learned} == set(range(2, LAST + 1))


@protocols
@given(data=st.data())
def test_nothing_faulty_gets_onto_a_tape(protocol: Protocol, data: st.DataObject) -> None:
    wire = b"".join(on_the_wire(protocol, each) for each in EVENTS[1:])
    at = data.draw(st.integers(0, len(wire) - 1))
    damaged = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]
    tape = Tape(1, lambda number: parser_of(protocol, number), lambda _: None)
    first = memoryview(wire)[: data.draw(st.integers(0, at))]
    assert tape.extend(first, 0)
    before = len(tape)
    if tape.extend(memoryview(damaged)[before:], before):
        # An id, or a length that is not complete yet: the others will differ from it.
        assert not tape.matches(memoryview(wire), 0)
    else:
        assert len(tape) == before
        assert tape.extend(memoryview(wire)[before:], before)


def test_default_windows_are_returned_when_half_of_them_is_used() -> None:
    windows = Windows("default", [1, 3], first=1.0)
    windows.arrived(1, 30_000)
    assert windows.due() == b""
    windows.arrived(3, 3_000)
    assert windows.due() == frame(8, 0, 0, (33_000).to_bytes(4))
    windows.arrived_everywhere(2 * 20_000)
    assert windows.due() == frame(8, 0, 0, (40_000).to_bytes(4)) + frame(
        8, 0, 1, (50_000).to_bytes(4)
    )


# -- the bench --------------------------------------------------------------------------


def quickly(module: str, *arguments: str) -> Running:
    marked = {"SWARM_TEST": str(os.getpid())}
    argv = [sys.executable, "-m", f"loadtests.{module}", "--quick", *arguments]
    return Running(argv, cwd=ROOT, environment=marked)


def bench(*arguments: str) -> Running:
    return quickly("bench", *arguments)


def left_behind() -> list[str]:
    """Processes that a load test of this test has started and not ended."""
    mark = f"SWARM_TEST={os.getpid()}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            marked = mark in environment.read_bytes().split(b"\0")
        except OSError:
            continue
        if marked:
            found.append((environment.parent / "cmdline").read_text())
    return found


def test_the_bench_runs_and_writes_what_it_found(tmp_path: Path) -> None:
    with bench("--only", "http1,http2,burst", "--output", str(tmp_path)) as running:
        assert running.finish() == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [row["name"] for row in written["rows"]] == ["http1", "burst", "http2"]
    for row in written["rows"]:
        assert row["not_measured"] is None, row
        assert not row["faults"]
        assert all(figure["value"] > 0 for figure in row["figures"])
    assert "bare C loop" in (tmp_path / "bench.md").read_text()
    assert left_behind() == []


def test_a_bench_that_is_interrupted_leaves_no_process_behind(tmp_path: Path) -> None:
    with bench("--only", "stalled", "--output", str(tmp_path / "none")) as running:
        running.expect(r"\[1/1\]", "out")
        running.signal(signal.SIGINT)
        assert running.finish() == 130
    assert left_behind() == []
    assert not (tmp_path / "none").exists()


def test_a_soak_that_is_ended_leaves_no_process_behind(tmp_path: Path) -> None:
    with quickly("soak", "--output", str(tmp_path / "none")) as running:
        running.expect("clients that come and go, and of attacks", "out")
        assert len(left_behind()) > len(("the soak", "its server", "an attacker"))
        running.signal(signal.SIGTERM)
        assert running.finish() == 130
    assert left_behind() == []
    assert not (tmp_path / "none").exists()


def test_a_row_that_does_not_exist_is_named() -> None:
    with bench("--only", "http3") as running:
        running.expect("No such row: http3")
        assert running.finish() == 2
