"""What the log is told when connections cannot be accepted, and how often."""

from __future__ import annotations

import errno

from support.logs import Log, complaints
from trio_sse.shortage import Shortage

NO_FILES = OSError(errno.EMFILE, "Too many open files")


def test_what_is_no_shortage_is_not_told(caplog: Log) -> None:
    shortage = Shortage()
    assert not shortage.met(OSError(errno.ECONNABORTED, "gone"), 0.0)
    shortage.tick(100.0)
    assert not complaints(caplog)


def test_a_long_shortage_is_told_at_its_start_every_ten_seconds_and_when_it_is_over(
    caplog: Log,
) -> None:
    shortage = Shortage()
    for tenth in range(250):
        assert shortage.met(NO_FILES, tenth / 10)
        shortage.tick(tenth / 10)
    shortage.tick(34.0)
    assert len(complaints(caplog)) == 3
    shortage.tick(35.0)
    shortage.tick(100.0)
    assert complaints(caplog) == [
        "Cannot accept connections: Too many open files",
        "Still cannot accept all connections: Too many open files (101 failures in 10 s)",
        "Still cannot accept all connections: Too many open files (201 failures in 20 s)",
        "Connections are accepted again (250 failures in 25 s)",
    ]


def test_a_shortage_that_comes_and_goes_is_one(caplog: Log) -> None:
    # At the limit each connection that ends lets one in, and the next one fails again.
    shortage = Shortage()
    for second in range(9):
        assert shortage.met(NO_FILES, second)
        shortage.tick(second + 0.5)
    assert len(complaints(caplog)) == 1


def test_the_next_shortage_is_counted_anew(caplog: Log) -> None:
    shortage = Shortage()
    for begin in (0.0, 50.0):
        assert shortage.met(NO_FILES, begin)
        assert shortage.met(NO_FILES, begin + 1)
        shortage.tick(begin + 20)
    begins, ends = "Cannot accept connections", "Connections are accepted again (2 failures in 1 s)"
    assert [each.partition(":")[0] for each in complaints(caplog)] == [begins, ends] * 2
