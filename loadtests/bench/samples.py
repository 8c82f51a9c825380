"""What a profiler wrote, as parts of the whole, and as text with µs a delivery.

Reads `perf report --stdio` and py-spy's raw stacks. No process is started here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Function", "callers", "files", "functions", "lines", "parts", "told"]

SHOWN = 30
LEAST = 0.005
"""Part of the whole below which nothing is shown."""

SOFTIRQ = "handle_softirqs"
"""Under a send on loopback: the receipt, by the client's socket, and its acknowledgement."""

WAITING = {"EpollIOManager.get_events", "Condition.wait"}

FILES = (
    ("interpreter", re.compile(r"libpython|python3|\[vdso\]|\.cpython-")),
    ("OpenSSL", re.compile(r"libssl|libcrypto")),
    ("C library (copying, allocating)", re.compile(r"libc\.so|libc-")),
)


@dataclass(frozen=True, slots=True)
class Function:
    """Where samples fell, and which part of all of them."""

    part: float
    file: str
    name: str


def functions(report: str) -> list[Function]:
    """Read `perf report --no-children --sort=dso,symbol`."""
    found = re.findall(r"^\s*([\d.]+)%\s+(\S+)\s+\[.\] (\S+)", report, re.M)
    return [Function(float(share) / 100, file, name) for share, file, name in found]


def callers(report: str) -> dict[str, float]:
    """Read `perf report --children --sort=symbol`: the kernel's functions with all they call."""
    found = re.findall(r"^\s*([\d.]+)%\s+[\d.]+%\s+\[k\] (\S+)", report, re.M)
    return {name: float(share) / 100 for share, name in found if not name.startswith("0")}


def lines(stacks: str) -> Counter[str]:
    """Read py-spy's raw stacks: how often each line of Python was the innermost one.

    Without the waiting for something to do, which py-spy does not always tell from work.
    """
    seen: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, number = line.rpartition(" ")
        function, _, place = stack.rpartition(";")[2].rpartition(" (")
        if function not in WAITING:
            # The folder in which Python or we live is of no interest.
            seen[f"{function} ({'/'.join(place.split('/')[-2:])}"] += int(number)
    return seen


def files(lines: Mapping[str, int]) -> Counter[str]:
    """Return the same for whole files of Python."""
    seen: Counter[str] = Counter()
    for line, number in lines.items():
        seen[line.rpartition("(")[2].partition(":")[0]] += number
    return seen


def parts(found: Iterable[Function], callers: Mapping[str, float]) -> dict[str, float]:
    """Return parts that add up to all samples."""
    total: dict[str, float] = {}
    for function in found:
        group = _group(function.file)
        total[group] = total.get(group, 0.0) + function.part
    kernel = total.pop("kernel", 0.0)
    receiving = min(callers.get(SOFTIRQ, 0.0), kernel)
    total["kernel: sending, waiting and reading"] = kernel - receiving
    total["kernel: receipt by the clients' sockets, under the send"] = receiving
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _group(file: str) -> str:
    if file.startswith("[k"):
        return "kernel"
    return next((group for group, pattern in FILES if pattern.search(file)), "other")


def told(
    found: Sequence[Function],
    callers: Mapping[str, float],
    lines: Counter[str],
    cpu: float,
) -> list[str]:
    """Return all of it as lines of text; `cpu` is the µs a delivery."""
    python = "each with the C and the kernel it calls (py-spy)"
    sections = [
        ("The parts, which add up (perf)", parts(found, callers)),
        (f"Files of Python in execution, {python}", _shares(files(lines))),
        (f"Lines of Python in execution, {python}", _shares(lines)),
        ("Functions of the kernel, each with all it calls (perf)", callers),
        (
            "Functions by themselves (perf)",
            {f"{each.name}  {each.file}": each.part for each in found},
        ),
    ]
    said = []
    for title, shares in sections:
        shown = [item for item in shares.items() if item[1] >= LEAST][:SHOWN]
        if shown:
            said += [title, "", "   µs a delivery   share"]
            said += [f"  {part * cpu:>14.3g}  {part:>6.1%}  {name}" for name, part in shown]
            said.append("")
    return said


def _shares(seen: Counter[str]) -> dict[str, float]:
    total = seen.total()
    return {name: number / total for name, number in seen.most_common()}
