"""The soak's verdict: it finds what is planted, and the pages say what was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from impostor import ROOT

sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.abuse.cases import CASES
from loadtests.processes import Child
from loadtests.report.__main__ import main as report
from loadtests.soak.attacks import FROM_OUTSIDE, Attacks, Pace
from loadtests.soak.judging import trends, verdict
from loadtests.soak.record import Holdings, Record, Sample, Tally, load, save
from loadtests.soak.report import remake

MIB = 1 << 20
ALONE = Holdings(tasks=10, files=12, resident=130 * MIB, connections=0, audiences=0)
CROWDED = Holdings(tasks=600, files=412, resident=132 * MIB, connections=400, audiences=4)
PING = "HTTP/2: PING"


def sample(at: float, held: Holdings = CROWDED) -> Sample:
    waited = {"count": 100.0, "p50": 0.002, "p99": round(0.01 + at / 1e6, 6), "worst": 0.02}
    canary = {"opened": waited, "delays": waited}
    seen = {"HTTP/1.1": canary, "HTTP/2": canary}
    return Sample(at, held, 0.5, 0.4, [PING], seen)


def an_hour() -> Record:
    """A run that found nothing wrong."""
    return Record(
        seconds=3_600,
        warm_up=300,
        start=replace(ALONE, resident=43 * MIB),
        before=ALONE,
        after=replace(ALONE, resident=134 * MIB),
        warming=[sample(5.0)],
        samples=[sample(5.0 * number) for number in range(1, 721)],
        tallies={PING: Tally(PING, 9, 700, 5 * MIB, {"GOAWAY ENHANCE_YOUR_CALM": 700})},
        server={"accepted": 90_000, "failed": 0, "offences": {"control_frames": 700}},
        events=72_000,
        returned=9_000,
        machine={"command": "python -m loadtests.soak", "commit": "0123abc"},
    )


def test_a_run_in_which_all_is_well_has_nothing_wrong() -> None:
    assert verdict(an_hour()) == []


def leaks_tasks(record: Record) -> None:
    record.after = replace(ALONE, tasks=11)


def leaks_files(record: Record) -> None:
    record.after = replace(ALONE, files=13)


def keeps_a_connection(record: Record) -> None:
    record.after = replace(ALONE, connections=1)


def keeps_an_audience(record: Record) -> None:
    record.after = replace(ALONE, audiences=1)


def keeps_memory(record: Record) -> None:
    record.after = replace(ALONE, resident=144 * MIB)


def grows_while_all_are_there(record: Record) -> None:
    held = replace(CROWDED, resident=146 * MIB)
    record.samples[-180:] = [sample(each.at, held) for each in record.samples[-180:]]


def loses_events(record: Record) -> None:
    record.faults = {"lost": 3}


def fails_the_canary(record: Record) -> None:
    record.faults = {"streams not opened (canary, HTTP/2)": 1}


def has_a_defect(record: Record) -> None:
    record.errors = ["127.0.0.1:5000: the connection failed"]


def has_a_handler_that_raises(record: Record) -> None:
    record.server["failed"] = 2


def dies(record: Record) -> None:
    record.after = None
    record.broken = ["python -m loadtests.server_under_test was ended by signal 9"]


PLANTED: dict[Callable[[Record], None], list[str]] = {
    leaks_tasks: ["tasks: 10 at the start, 11 at the end"],
    leaks_files: ["files: 12 at the start, 13 at the end"],
    keeps_a_connection: ["connections: 0 at the start, 1 at the end"],
    keeps_an_audience: ["audiences: 0 at the start, 1 at the end"],
    keeps_memory: ["memory: 130.0 MiB after the warm-up, 144.0 MiB at the end"],
    grows_while_all_are_there: [
        "memory 132 MiB, then 146 MiB (+10.6 %), which is more than 1.1 times as much"
    ],
    loses_events: ["3 lost"],
    fails_the_canary: ["1 streams not opened (canary, HTTP/2)"],
    has_a_defect: ["the server logged an error: 127.0.0.1:5000: the connection failed"],
    has_a_handler_that_raises: ["2 handlers of the server raised"],
    dies: [
        "python -m loadtests.server_under_test was ended by signal 9",
        "the run did not come to its end",
    ],
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_server_is_found_out_that(plant: Callable[[Record], None]) -> None:
    record = an_hour()
    plant(record)
    assert verdict(record) == PLANTED[plant]


def test_after_a_short_warm_up_only_much_more_memory_is_a_fault() -> None:
    record = replace(an_hour(), warm_up=12, seconds=30)
    record.after = replace(ALONE, resident=180 * MIB)
    assert verdict(record) == []
    record.after = replace(ALONE, resident=200 * MIB)
    assert verdict(record) == ["memory: 130.0 MiB after the warm-up, 200.0 MiB at the end"]


def test_the_last_quarter_of_a_run_is_compared_with_its_first() -> None:
    memory = next(each for each in trends(an_hour()) if each.name == "memory")
    assert (memory.first, memory.last, memory.factor) == (132, 132, 1)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = an_hour()
    save(tmp_path, record, verdict(record))
    assert load(tmp_path) == record


def test_the_pages_and_the_index_are_made_from_the_record(tmp_path: Path) -> None:
    record, folder = an_hour(), tmp_path / "2026-01-15-soak-60-minutes"
    loses_events(record)
    record.noticed = [f"3 lost after 1805 s, beside {PING}"]
    save(folder, record, verdict(record))
    assert report([], tmp_path) == 0
    text, drawn = (folder / "soak.md").read_text(), (folder / "soak.svg").read_text()
    assert "60 minutes, 9 attacks. 3 lost" in text
    assert f"- 3 lost after 1805 s, beside {PING}" in text
    assert "| end, all gone | 10 | 12 | 0 | 0 | 134.0 |" in text
    assert "| memory | 132 MiB | 132 MiB | +0.0 % |" in text
    assert "| offence: control_frames | 700 |" in text
    assert text.count(" min | 600 | 412 | 400 | 4 | 132.0 |") == 10
    for words in ("MiB", "tasks", "connections", "HTTP/1.1, p99", "HTTP/2, p50"):
        assert words in drawn
    index = (tmp_path / "README.md").read_text()
    assert "3 lost ([plot](2026-01-15-soak-60-minutes/soak.svg)) |" in index
    assert remake(folder) == folder / "soak.md"
    assert (folder / "soak.md").read_text() == text


def test_a_run_that_broke_before_its_first_sample_has_a_page_too(tmp_path: Path) -> None:
    record = replace(an_hour(), samples=[], before=None, after=None, server={}, tallies={})
    save(tmp_path, record, verdict(record))
    assert remake(tmp_path) is not None
    assert "the run did not come to its end" in (tmp_path / "soak.md").read_text()


def test_a_record_that_is_broken_is_named_and_left_out_of_the_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "2026-01-15-soak-60-minutes"
    folder.mkdir()
    (folder / "soak.json").write_text('{"wrong": [], "samples": [{}]}')
    assert report([], tmp_path) == 1
    assert f"{folder / 'soak.json'} cannot be read" in capsys.readouterr().err
    assert folder.name not in (tmp_path / "README.md").read_text()


def test_an_attackers_process_that_dies_is_a_fault_and_another_one_goes_on() -> None:
    ready = "print('{}', flush=True); import sys, json; order = json.loads(input());"
    answer = {"ends": {"reset": 2}, "connections": 2, "sent": 7}
    answers = f"print(json.dumps({answer} | dict(ticket=order['ticket'])), flush=True); input()"
    programs = iter((f"{ready} sys.exit('it is broken')", f"{ready} {answers}"))
    broken: list[str] = []
    tallies: dict[str, Tally] = {}
    attacks = Attacks(broken)
    with ExitStack() as children:
        attacks.begin(lambda: children.enter_context(Told(next(programs))), Pace(1, 1), tallies)
        for _ in until(lambda: bool(tallies)):
            attacks.attend()
    (said,) = broken
    assert said.startswith("the attacker's process, in “")
    assert said.endswith("it is broken")
    (tally,) = tallies.values()
    assert (tally.times, tally.connections, tally.sent, tally.ends) == (1, 2, 7, {"reset": 2})


class Told(Child):
    """A program that stands in for an attacker."""

    def __init__(self, program: str) -> None:
        super().__init__([sys.executable, "-c", program], {0, 1}, cwd=str(ROOT))

    def greet(self) -> None:
        self.read(20)


def until(done: Callable[[], bool]) -> Iterator[None]:
    while not done():
        yield


def test_nobody_outside_makes_handlers_fail_or_stay() -> None:
    drawn = {CASES[number].offence for number in FROM_OUTSIDE}
    assert "control_frames" in drawn
    assert not drawn & {"failed", "overstayed"}
