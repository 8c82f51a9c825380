"""Profiles of the server say where its CPU goes, in parts that add up."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests.bench import alternatives, samples  # noqa: E402

BY_THEMSELVES = """
# Overhead  Shared Object                         Symbol
# ........  ....................................  ..................

    40.00%  [kernel.kallsyms]                     [k] tcp_v4_rcv              -      -
    20.00%  libpython3.11.so.1.0                  [.] _PyEval_EvalFrameDefault   -      -
    15.50%  libcrypto.so.3                        [.] 0x000000000033fb68      -      -
    14.50%  libc.so.6                             [.] __memmove_avx512        -      -
     9.00%  [kernel.kallsyms]                     [k] fdget                   -      -
     1.00%  libz.so.1.2.13                        [.] deflate                 -      -
"""

WITH_ALL_THEY_CALL = """
    50.00%     0.00%  [k] 0000000000000000                           -      -
    49.00%     0.95%  [k] do_syscall_64                              -      -
    40.50%     0.05%  [k] handle_softirqs                            -      -
    20.00%    20.00%  [.] _PyEval_EvalFrameDefault                   -      -
     0.10%     0.10%  [k] fdget                                      -      -
"""

STACKS = """\
main (a.py:1);Pump.run (/usr/lib/trio_sse/hub/pump.py:9);send (/x/y/trio_sse/transport.py:80) 30
main (a.py:1);Pump.run (/usr/lib/trio_sse/hub/pump.py:9) 8
main (a.py:1);send (/x/y/trio_sse/transport.py:84) 2
main (a.py:1);EpollIOManager.get_events (trio/_core/_io_epoll.py:243) 500
bootstrap (threading.py:9);Condition.wait (threading.py:331) 500
"""


def test_parts_add_up_and_the_clients_half_of_a_send_is_one_of_them() -> None:
    parts = samples.parts(samples.functions(BY_THEMSELVES), samples.callers(WITH_ALL_THEY_CALL))
    assert sum(parts.values()) == pytest.approx(1.0)
    assert parts == pytest.approx(
        {
            "kernel: receipt by the clients' sockets, under the send": 0.405,
            "kernel: sending, waiting and reading": 0.085,
            "interpreter": 0.20,
            "OpenSSL": 0.155,
            "C library (copying, allocating)": 0.145,
            "other": 0.01,
        }
    )


def test_waiting_for_something_to_do_is_no_work() -> None:
    lines = samples.lines(STACKS)
    assert lines.most_common() == [
        ("send (trio_sse/transport.py:80)", 30),
        ("Pump.run (hub/pump.py:9)", 8),
        ("send (trio_sse/transport.py:84)", 2),
    ]
    assert samples.files(lines) == {"trio_sse/transport.py": 32, "hub/pump.py": 8}


def test_shares_are_told_as_microseconds_of_a_delivery() -> None:
    told = samples.told(
        samples.functions(BY_THEMSELVES),
        samples.callers(WITH_ALL_THEY_CALL),
        samples.lines(STACKS),
        10.0,
    )
    assert "               2   20.0%  interpreter" in told
    assert "             7.5   75.0%  send (trio_sse/transport.py:80)" in told
    assert "            4.05   40.5%  handle_softirqs" in told
    assert not [line for line in told if "000000000000" in line and "0x" not in line]


def test_without_py_spy_its_parts_are_left_out() -> None:
    told = samples.told(samples.functions(BY_THEMSELVES), {}, samples.lines(""), 10.0)
    assert not [line for line in told if "py-spy" in line]
    assert "The parts, which add up (perf)" in told


def test_alternatives_are_timed_beside_what_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"ROUNDS": 2, "CLIENTS": 5, "CONNECTIONS": 2}.items():
        monkeypatch.setattr(alternatives, name, value)
    cpus = os.sched_getaffinity(0)
    try:
        assert alternatives.main(["--output", str(tmp_path / "alternatives.txt")]) == 0
    finally:
        os.sched_setaffinity(0, cpus)
    text = (tmp_path / "alternatives.txt").read_text()
    took = re.findall(r"^ +([\d.e-]+)  (.*)$", text, re.M)
    assert len(took) == 9
    assert [way for _, way in took if way.endswith("(what is done)")] == [took[0][1], took[3][1]]
    assert all(float(each) > 0 for each, _ in took)


def test_the_figures_of_the_document_stand_in_the_profiles_that_it_links() -> None:
    document = (ROOT / "docs" / "performance.md").read_text()
    found = 0
    profile = ""
    for line in document.splitlines():
        for link in re.findall(r"\]\(\.\./(results/[^)]*\.txt)\)", line):
            profile = (ROOT / link).read_text()
        if share := re.fullmatch(r"\| .* \| ([\d.]+) \| ([\d.]+%) \|", line):
            assert re.search(rf"^ +{share[1]} +{share[2]}  ", profile, re.M), line
            found += 1
        if both := re.fullmatch(r"\| .* \| ([\d.]+) \| ([\d.]+) \| .* \|", line):
            for took in both.groups():
                assert re.search(rf"^ +{took}  ", profile, re.M), line
            found += 1
    assert found > 20
