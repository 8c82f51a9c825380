"""Scenarios of the load tests as they are planned: sizes, processes, command lines, limits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.scenarios.load import Load  # noqa: E402
from loadtests.scenarios.preflight import Facts, Impossible, plan  # noqa: E402
from loadtests.scenarios.sampling import costs  # noqa: E402
from loadtests.scenarios.table import SCENARIOS, Asked  # noqa: E402

MIB = 1024 * 1024

USUAL = Facts(files=20_000, ports=28_232, memory=20_000 * MIB, waiting=4_096, processors=2)

HTTP1 = Load(protocol="http1", users=30_000, rate=0.5)
HTTP2 = Load(protocol="http2", users=100_000, rate=1.0)


def arguments(load: Load, *hubs: str) -> list[str]:
    return load.arguments(hubs or ["http://127.0.0.1:1"], 2, Path("out.json"))


# -- preflight ---------------------------------------------------------------------------


def test_connections_are_spread_over_as_many_processes_as_their_files_need() -> None:
    planned = plan(HTTP1, USUAL)
    assert (planned.servers, planned.clients) == (2, 2)
    assert "20,000 files: 2 hubs share the clients" in planned.notes[0]
    assert planned.advice == ()


def test_a_hundred_thousand_streams_are_a_thousand_connections_of_one_process_each() -> None:
    planned = plan(HTTP2, USUAL)
    assert (planned.servers, planned.clients) == (1, 1)
    assert planned.notes == planned.advice == ()


def test_with_more_files_one_hub_is_enough() -> None:
    assert plan(HTTP1, replace(USUAL, files=100_000)).servers == 1


def test_clients_have_a_process_for_each_processor_that_the_server_does_not_have() -> None:
    assert plan(HTTP2, replace(USUAL, processors=8)).clients == 7
    assert plan(replace(HTTP1, users=3), replace(USUAL, processors=8)).clients == 3
    assert plan(HTTP2, replace(USUAL, processors=1)).clients == 1


def test_a_client_process_has_no_more_connections_than_its_address_has_ports() -> None:
    facts = replace(USUAL, files=100_000, ports=10_232)
    assert plan(HTTP1, facts).clients == 3


def test_too_little_memory_is_said_and_far_too_little_refused() -> None:
    (advice,) = plan(HTTP1, replace(USUAL, memory=900 * MIB)).advice
    assert "30,000 clients take about 1,171 MiB of memory" in advice
    assert "900 MiB are left" in advice
    with pytest.raises(Impossible, match="Ask for fewer: USERS="):
        plan(HTTP1, replace(USUAL, memory=500 * MIB))


def test_tls_takes_more_memory() -> None:
    facts = replace(USUAL, memory=3_000 * MIB)
    assert plan(HTTP1, facts).advice == ()
    assert plan(replace(HTTP1, tls=True), facts).advice != ()


def test_a_storm_that_does_not_fit_into_the_queue_is_said() -> None:
    (advice,) = plan(replace(HTTP1, drop_all_at=10.0), USUAL).advice
    assert "15,000 clients come back to each hub" in advice
    assert "sysctl -w net.core.somaxconn=15000" in advice
    assert plan(replace(HTTP2, drop_all_at=10.0), USUAL).advice == ()


@pytest.mark.parametrize(("files", "users"), [(150, 10), (1_024, 100_000)])
def test_files_that_do_not_suffice_are_refused_with_what_to_raise(files: int, users: int) -> None:
    with pytest.raises(Impossible, match="ulimit -Hn"):
        plan(replace(HTTP1, users=users), replace(USUAL, files=files))


def test_to_another_machine_the_ports_of_one_address_count() -> None:
    with pytest.raises(Impossible, match="28,232 ports for connections to one hub"):
        plan(HTTP1, USUAL, hubs=1)
    assert plan(HTTP1, USUAL, hubs=2).servers == 2


def test_the_facts_of_this_machine_can_be_had() -> None:
    facts = Facts.here()
    assert facts.files > 0
    assert facts.ports > 1_000
    assert facts.memory > 10 * MIB
    assert facts.waiting > 0
    assert facts.processors > 0


# -- scenarios ---------------------------------------------------------------------------


def test_the_sizes_are_those_that_are_promised() -> None:
    (http1,) = SCENARIOS["h1"].variants(Asked())
    (http2,) = SCENARIOS["h2"].variants(Asked())
    assert (http1.load.protocol, http1.load.users) == ("http1", 30_000)
    assert (http2.load.protocol, http2.load.users) == ("http2", 100_000)


def test_steady_is_both_protocols() -> None:
    scenario = SCENARIOS["steady"]
    variants = scenario.variants(Asked())
    assert [variant.name for variant in variants] == ["trio-sse, HTTP/1.1", "trio-sse, HTTP/2"]
    assert scenario.titled(variants) == (
        "Events for 30,000 clients over HTTP/1.1 and 100,000 over HTTP/2"
    )


def test_what_is_asked_for_counts_for_all_variants() -> None:
    asked = Asked(users=500, rate=3.0, seconds=7.0, tls=True)
    for variant in SCENARIOS["steady"].variants(asked):
        load = variant.load
        assert (load.users, load.rate, load.seconds, load.tls) == (500, 3.0, 7.0, True)


def test_one_protocol_can_be_asked_for() -> None:
    (only,) = SCENARIOS["storm"].variants(Asked(protocol="http2"))
    assert only.load.protocol == "http2"


def test_a_ramp_goes_up_to_what_is_asked_for() -> None:
    http1, _ = SCENARIOS["ramp"].variants(Asked(users=7_000))
    assert http1.load.ramp == (1_000, 2_000, 5_000, 7_000)
    assert http1.load.measured == 60
    http1, http2 = SCENARIOS["ramp"].variants(Asked())
    assert http1.load.ramp[0] == 1_000
    assert http1.load.ramp[-1] == 30_000
    assert http2.load.ramp[-1] == 100_000


def test_a_tenth_of_the_connections_stalls() -> None:
    http1, http2 = SCENARIOS["slow"].variants(Asked())
    assert (http1.load.stall, http2.load.stall) == ("200@10:20", "5@10:20")
    http1, http2 = SCENARIOS["slow"].variants(Asked(users=300))
    assert (http1.load.stall, http2.load.stall) == ("30@10:20", "1@10:20")


def test_a_comparison_loads_both_servers_alike() -> None:
    variants = SCENARIOS["compare"].variants(Asked())
    assert len(variants) == 8
    for ours, theirs in zip(variants[::2], variants[1::2], strict=True):
        assert (ours.server, theirs.server) == ("trio-sse", "Hypercorn")
        assert ours.load == theirs.load
    kinds = {(each.load.protocol, each.load.tls) for each in variants}
    assert len(kinds) == 4


def test_servers_can_be_asked_for() -> None:
    variants = SCENARIOS["compare"].variants(Asked(servers=("Hypercorn",), protocol="http1"))
    assert [variant.name for variant in variants] == [
        "Hypercorn, HTTP/1.1",
        "Hypercorn, HTTP/1.1, TLS",
    ]


def test_asking_a_comparison_for_tls_leaves_that_half_of_it() -> None:
    variants = SCENARIOS["compare"].variants(Asked(tls=True))
    assert len(variants) == 4
    assert all(variant.load.tls for variant in variants)


def test_others_are_asked_only_for_what_they_speak_and_on_their_own_paths() -> None:
    variants = SCENARIOS["compare-peers"].variants(Asked())
    names = [variant.name for variant in variants]
    assert "granian, HTTP/2" in names
    assert "nchan, HTTP/2" not in names
    for variant in variants:
        paths = [word for word in arguments(variant.load) if word.endswith("/events")]
        assert paths == ([] if variant.server == "trio-sse" else ["--subscribe-path=/events"])


def test_a_comparison_is_done_within_a_quarter_of_an_hour() -> None:
    for name in ("compare", "compare-peers"):
        loads = [variant.load for variant in SCENARIOS[name].variants(Asked())]
        needed = [load.users / load.spawn_rate + load.settle + load.seconds for load in loads]
        assert max(needed) < 120
        assert sum(needed) < 12 * 60


# -- Locust's command line ---------------------------------------------------------------


def test_locust_is_told_everything_by_name() -> None:
    told = arguments(HTTP2, "https://127.0.0.1:1", "https://127.0.0.1:2")
    assert told == [
        "--processes=2",
        "--users=100000",
        "--spawn-rate=10000",
        "--run-time=60s",
        "--host=https://127.0.0.1:1",
        "--hubs=https://127.0.0.1:1,https://127.0.0.1:2",
        "--topic=load",
        "--rate=1",
        "--event-bytes=150",
        "--settle=5",
        "--sse-output=out.json",
        "--streams=100",
        "--windows=wide",
    ]


def test_what_is_not_asked_for_is_not_said() -> None:
    told = " ".join(arguments(HTTP1))
    for name in ("hubs", "streams", "burst", "drop-all-at", "stall", "ramp", "gap", "path"):
        assert f"--{name}" not in told


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("burst", "--burst=1000@10"),
        ("storm", "--drop-all-at=15"),
        ("slow", "--stall=200@10:20"),
        ("restart", "--expect-gap"),
        ("ramp", "--ramp=1000,2000,5000,10000,20000,30000"),
        ("idle", "--rate=0"),
    ],
)
def test_each_scenario_has_locust_do_what_it_is_about(scenario: str, said: str) -> None:
    first = SCENARIOS[scenario].variants(Asked())[0]
    assert said in arguments(first.load)


def test_the_manifest_says_what_was_done_in_words_that_reports_know() -> None:
    (storm, _) = SCENARIOS["storm"].variants(Asked())
    assert storm.load.settings()["drop_all_at"] == "15"
    (restart, _) = SCENARIOS["restart"].variants(Asked())
    assert restart.load.settings()["restart_at"] == 15.0
    assert restart.load.settings()["expect_gap"] is True
    assert "expect_gap" not in storm.load.settings()


# -- what it costs the server ------------------------------------------------------------


def test_cpu_and_memory_are_divided_by_what_they_were_for() -> None:
    samples = [
        [100.0, 1.0, 50e6, 10e6, 0.0],
        [110.0, 2.0, 80e6, 14e6, 2e6],
        [120.0, 4.0, 90e6, 14e6, 2e6],
        [130.0, 9.0, 90e6, 14e6, 2e6],
    ]
    measured = {
        "measured_from": 110.0, "measured_to": 118.0, "deliveries": 1_000_000, "connected": 1_000,
        "events": [[1, 117.0, 1_000, 5e5, 6e5, 8e6, 8e6], [2, 118.0, 0, None, None, None, None]],
    }  # fmt: skip
    found = costs(HTTP1, measured, samples)
    # From 2 to 6.5 s, half way between the last two samples: the last client was late.
    assert found["cpu_us_per_delivery"] == pytest.approx(4.5)
    assert found["rss_per_subscriber"] == pytest.approx(30_000)
    assert found["kernel_per_subscriber"] == pytest.approx(6_000)


def test_of_a_few_connections_the_kernels_memory_is_not_known() -> None:
    samples = [[100.0, 1.0, 50e6, 10e6, 0.0], [110.0, 2.0, 80e6, 14e6, 2e6]]
    measured = {"measured_from": 101.0, "measured_to": 109.0, "deliveries": 0, "connected": 900}
    few = replace(HTTP1, users=900)
    assert costs(few, measured, samples)["kernel_per_subscriber"] is None


def test_without_deliveries_there_is_no_cost_of_one() -> None:
    samples = [[100.0, 1.0, 50e6, 10e6, 0.0], [110.0, 2.0, 80e6, 14e6, 2e6]]
    measured = {"measured_from": 101.0, "measured_to": 109.0, "deliveries": 0, "connected": 10}
    assert costs(HTTP1, measured, samples)["cpu_us_per_delivery"] is None


# -- how they are called -----------------------------------------------------------------


def targets() -> dict[str, str]:
    """Each target of the Makefile that runs a scenario, and which."""
    makefile = (ROOT / "Makefile").read_text()
    found = re.findall(r"^([a-z0-9-]+):.*##.*\n\t@\$\(SCENARIO\) (\S+) ", makefile, re.MULTILINE)
    return dict(found)


def test_each_scenario_has_a_target_of_make() -> None:
    expected = {f"loadtest-{name}": name for name in SCENARIOS if "compare" not in name}
    assert targets() == expected | {"compare": "compare", "compare-peers": "compare-peers"}


def test_the_document_has_each_target() -> None:
    document = (ROOT / "docs" / "loadtesting.md").read_text()
    for target in targets():
        assert f"`{target}`" in document, target


def test_make_passes_on_what_is_asked_for() -> None:
    asked = ["USERS=30000", "RATE=0.5", "DURATION=20", "TLS=1", "PROTOCOL=http2"]
    # As if by hand: the tests themselves may be run by a make that has ideas and ARGS of its own.
    ideas = re.compile("MAKE|ARGS")
    environment = {name: value for name, value in os.environ.items() if not ideas.search(name)}
    planned = subprocess.run(
        ["make", "--dry-run", "loadtest-storm", *asked],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert planned.stdout.split()[-6:] == [
        "storm", "--users=30000", "--rate=0.5", "--duration=20", "--tls", "--protocol=http2"
    ]  # fmt: skip
