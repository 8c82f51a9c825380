"""What a load run is made of, piece by piece: arguments, due times, refusals, the timeline."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.users.permission import refusal_of_files, refusal_of_hosts  # noqa: E402
from loadtests.users.schedule import SECOND, Schedule  # noqa: E402
from loadtests.users.settings import Burst, Stall, numbers, urls  # noqa: E402
from loadtests.users.timeline import timeline  # noqa: E402


class TestSchedule:
    def test_events_are_due_at_a_steady_rate(self) -> None:
        schedule = Schedule(4, 1_000)
        assert schedule.until(1_000 + SECOND) == 5
        assert schedule.dues == [1_000 + n * SECOND // 4 for n in range(5)]

    def test_an_event_that_is_numbered_late_keeps_its_due_time(self) -> None:
        schedule = Schedule(1, 0)
        assert schedule.next() == 0
        schedule.until(10 * SECOND)
        assert schedule.dues[3] == 3 * SECOND

    def test_a_burst_has_its_numbers_between_those_of_the_rate(self) -> None:
        schedule = Schedule(1, 0)
        schedule.burst(3, SECOND + 5)
        schedule.until(2 * SECOND)
        assert schedule.dues == [0, SECOND, SECOND + 5, SECOND + 5, SECOND + 5, 2 * SECOND]

    def test_without_a_rate_there_are_only_bursts(self) -> None:
        schedule = Schedule(0, 0)
        assert schedule.next() is None
        schedule.burst(2, SECOND)
        assert schedule.next() == SECOND
        assert schedule.until(SECOND) == 2
        assert schedule.next() is None

    def test_nothing_is_due_in_a_pause(self) -> None:
        schedule = Schedule(1, 0)
        schedule.pause(2 * SECOND)
        assert not schedule.is_idle_from(SECOND)
        assert schedule.until(9 * SECOND) == 2
        assert schedule.is_idle_from(2 * SECOND)
        schedule.resume(2, 9 * SECOND)
        assert schedule.until(10 * SECOND) == 5
        assert schedule.dues[2:] == [9 * SECOND, 19 * SECOND // 2, 10 * SECOND]

    @given(
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 10 * SECOND)), max_size=4),
        st.lists(st.integers(0, 10 * SECOND), max_size=8),
        st.integers(0, 20),
    )
    def test_when_one_looks_makes_no_difference(
        self, bursts: list[tuple[int, int]], looks: list[int], rate: int
    ) -> None:
        often, once = Schedule(rate, 0), Schedule(rate, 0)
        for schedule in (often, once):
            for burst in bursts:
                schedule.burst(*burst)
        for now in sorted(looks):
            often.until(now)
        often.until(10 * SECOND)
        once.until(10 * SECOND)
        assert often.dues == once.dues == sorted(once.dues)


class TestArguments:
    def test_bursts_and_stalls_say_what_and_when(self) -> None:
        assert Burst.read("1000@10") == (1000, 10.0)
        assert Stall.read("100@10:2.5") == (100, 10.0, 2.5)

    @pytest.mark.parametrize("text", ["1000", "1000@", "@3", "1000@10:2", "x@1"])
    def test_a_burst_that_is_written_otherwise_says_how_to_write_it(self, text: str) -> None:
        with pytest.raises(ValueError, match="as in 1000@10"):
            Burst.read(text)

    def test_a_ramp_only_grows(self) -> None:
        assert numbers("100, 200,300") == (100, 200, 300)
        with pytest.raises(ValueError, match="higher than the one before"):
            numbers("100,100")
        with pytest.raises(ValueError, match="numbers with commas"):
            numbers("100;200")

    def test_hubs_are_urls_without_a_path(self) -> None:
        assert urls("http://127.0.0.1:1/, https://[::1]:2") == (
            "http://127.0.0.1:1",
            "https://[::1]:2",
        )
        for text in ("127.0.0.1:8080", "ftp://127.0.0.1", "http://127.0.0.1/events"):
            with pytest.raises(ValueError, match="http://HOST:PORT"):
                urls(text)

    def test_they_are_listed_with_their_environment_variables(self) -> None:
        argv = [sys.executable, "-m", "loadtests.users"]
        listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "--drop-all-at <second>" in listed
        assert "LOCUST_SSE_RATE" in listed


class TestPermission:
    def test_addresses_of_this_machine_may_be_loaded(self) -> None:
        hubs = ["http://127.0.0.1:1", "https://127.9.8.7:2", "http://[::1]:3", "http://localhost:4"]
        assert refusal_of_hosts(hubs) is None

    def test_others_are_named(self) -> None:
        refusal = refusal_of_hosts(["http://127.0.0.1:1", "http://192.0.2.1:2"])
        assert refusal is not None
        assert "http://192.0.2.1:2 is not on this machine" in refusal
        assert "--allow-remote" in refusal

    def test_too_many_connections_a_process_are_refused_with_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (20_000, 20_000))
        assert refusal_of_files(30_000, 2, 1) is None
        assert refusal_of_files(1_000_000, 2, 100) is None
        refusal = refusal_of_files(60_000, 2, 1)
        assert refusal is not None
        assert "Use --processes 4, or raise that limit to 30,200" in refusal

    def test_a_soft_limit_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raised = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 20_000))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
        assert refusal_of_files(10_000, 2, 1) is None
        assert raised == [(20_000, 20_000)]


class TestTimeline:
    def test_processes_are_added_second_by_second(self) -> None:
        made = timeline(
            [
                [(10.0, 0, 0, 0, 0, 0), (11.0, 5, 100, 1_000, 0, 0), (12.0, 5, 300, 3_000, 1, 2)],
                [(10.0, 0, 0, 0, 0, 0), (11.0, 7, 10, 100, 0, 0), (12.0, 7, 20, 200, 0, 0)],
            ],
            10.0,
            12.0,
        )
        assert made == [[10.0, 12, 110, 1_100, 0, 0], [11.0, 12, 210, 2_100, 1, 2]]

    def test_who_counts_late_has_not_been_still_before(self) -> None:
        made = timeline([[(0.5, 1, 0, 0, 0, 0), (2.5, 1, 200, 0, 0, 0)]], 0.0, 3.0)
        assert [row[2] for row in made] == [50, 100, 50]

    def test_no_process_has_told_anything(self) -> None:
        assert timeline([[]], 0.0, 2.0) == [[0.0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0]]
