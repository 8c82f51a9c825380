"""The table of a run of attacks says when a server's process ended under one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from loadtests.abuse.attack import Attack
from loadtests.abuse.case import Case
from loadtests.abuse.cases import CASES
from loadtests.abuse.measuring import Figures, measure
from loadtests.abuse.subjects import Canary
from loadtests.abuse.table import Line, slow, write, wrong
from loadtests.bench.posting import Posting
from loadtests.listening import free_port

MORTAL = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    if not os.fork():
        while not listener.accept()[0].recv(1):
            pass
        os._exit(1)
    os.wait()
"""
"""A server whose worker dies of the first byte, and is followed by another."""


MIB = 1 << 20


class Unbothered(Canary):
    """A canary that sits elsewhere."""

    def __init__(self) -> None:
        pass

    def report(self, tls_port: int | None = None) -> dict[str, Any]:
        waited = {"p99": 0.0, "worst": 0.0}
        return {"opened": waited, "delays": waited, "faults": {}}


@pytest.fixture
def server() -> Iterator[Posting]:
    port = free_port()
    argv = [sys.executable, "-c", MORTAL, str(port)]
    with Posting(argv, os.sched_getaffinity(0), port) as server:
        yield server


def attacked(server: Posting, said: bytes) -> Line:
    def attack(attack: Attack) -> None:
        connection = attack.connect()
        connection.send(said)
        if said:
            connection.finish()
        attack.over(connection)

    case = Case("a byte", "RFC 9113", attack, ("open",))
    return Line("another", case, measure(server, Unbothered(), case, 0.0))


def row(line: Line, folder: Path) -> dict[str, str]:
    write(folder, [line], "python -m loadtests.abuse", [])
    table = [each for each in (folder / "abuse.md").read_text().splitlines() if each[:1] == "|"]
    names, _, cells = ([cell.strip() for cell in each.split("|")] for each in table)
    return dict(zip(names, cells, strict=True))


def test_a_worker_that_dies_and_is_followed_by_another_has_no_cpu_and_no_memory(
    server: Posting, tmp_path: Path
) -> None:
    line = attacked(server, b"!")
    told = row(line, tmp_path)
    assert told["how it ended"] == "the server's process ended"
    assert {told[each] for each in ("CPU", "memory + MiB", "left")} == {"-"}
    assert any("the server's process ended: one of its processes" in each for each in wrong(line))


def test_who_lives_has_both(server: Posting, tmp_path: Path) -> None:
    told = row(attacked(server, b""), tmp_path)
    assert told["how it ended"] == "open (1)"
    assert told["CPU"].endswith(" %")
    assert "-" not in {told["memory + MiB"], told["left"]}


def line(
    name: str, growth: int | None = 0, left: int | None = 0, opened: float = 0.0, heard: float = 0.0
) -> Line:
    case = next(each for each in CASES if each.name == name)
    figures = Figures({}, 1, 0, 1.0, opened, opened, heard, {}, None, growth, left, {})
    return Line("trio-sse", case, figures)


@pytest.mark.parametrize(
    ("growth", "left", "faults"),
    [
        (10 * MIB - 1, 10 * MIB - 1, []),
        (10 * MIB, 0, ["HTTP/2: PING: 10.0 MiB of memory were taken"]),
        (0, 12 * MIB, ["HTTP/2: PING: 12.0 MiB of memory were left"]),
        (None, None, []),
    ],
)
def test_ten_megabytes_that_are_taken_or_left_are_a_fault(
    growth: int | None, left: int | None, faults: list[str]
) -> None:
    assert wrong(line("PING", growth, left)) == faults


def test_only_a_storm_of_ten_thousand_may_take_more_memory_and_leave_it() -> None:
    assert wrong(line("ten thousand come back at once", 30 * MIB, 30 * MIB)) == []
    assert [each.name for each in CASES if each.keeps_memory] == ["ten thousand come back at once"]


def test_a_canary_that_waited_is_named_but_no_fault() -> None:
    waited = line("PING", opened=0.0499, heard=0.05)
    assert slow(waited) == ["HTTP/2: PING: events came within 50 ms (p99)"]
    assert wrong(waited) == []
