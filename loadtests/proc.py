"""What the kernel says of memory, sockets and processes: works with /proc, and nothing else.

Sizes in bytes, times in seconds. A process that ends while it is looked at counts as nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Usage",
    "available_bytes",
    "forget_peak",
    "kernel_bytes",
    "living",
    "members",
    "peak",
    "read_if_there",
    "slab_bytes",
    "socket_bytes",
    "threads",
    "usage",
]

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process, or several, have used and hold."""

    cpu: float
    """Seconds, user and system, of threads that live."""
    resident: int


def available_bytes() -> int:
    """Return how much memory this machine has left."""
    return _meminfo("MemAvailable")


def kernel_bytes() -> int:
    """Return what the kernel holds for all sockets of this machine: structures and buffers."""
    return slab_bytes() + socket_bytes()


def slab_bytes() -> int:
    """Return the kernel's own structures, without caches that it would give back."""
    return _meminfo("SUnreclaim")


def socket_bytes() -> int:
    """Return what is in TCP's buffers, on the whole machine."""
    with open("/proc/net/sockstat") as file:
        tcp = next(line for line in file if line.startswith("TCP:")).split()
    return PAGE * int(tcp[tcp.index("mem") + 1])


def members(group: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder in /proc, and the fields of `stat`, of each process of a group.

    The fields are those after the name: the first is the state (proc_pid_stat, field 3).
    """
    for folder in _folders(Path("/proc")):
        content = read_if_there(folder / "stat")
        fields = content.rpartition(")")[2].split()
        if fields and int(fields[2]) == group:
            yield folder, fields


def threads(process: Path) -> Iterator[list[int]]:
    """Yield the figures of `schedstat` of each thread of a process, by its folder in /proc."""
    for folder in _folders(process / "task"):
        if content := read_if_there(folder / "schedstat"):
            yield [int(figure) for figure in content.split()]


def living(group: int) -> frozenset[int]:
    """Return the ids of a group's processes, zombies left out."""
    return frozenset(int(folder.name) for folder, fields in members(group) if fields[0] not in "ZX")


def usage(group: int) -> Usage:
    """Return what all living processes of a group together have used and hold."""
    ran = pages = 0
    for folder, fields in members(group):
        pages += int(fields[21])
        # In ns, where `stat` counts hundredths of a second.
        ran += sum(figures[0] for figures in threads(folder))
    return Usage(ran / 1e9, pages * PAGE)


def forget_peak(pid: int) -> None:
    """Have the kernel see anew from now on how much memory a process has at most."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc_pid_clear_refs(5), since Linux 4.0


def peak(pid: int) -> int:
    """Return how much memory a process has had at most since `forget_peak`, resident."""
    with open(f"/proc/{pid}/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def read_if_there(path: Path) -> str:
    """Return what is in a file of /proc, "" if its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _folders(parent: Path) -> list[Path]:
    """Return the folders of processes, or of threads.

    At once: Ctrl-C in the middle of `glob` would leave a handle to the garbage collector.
    """
    try:
        return [parent / name for name in os.listdir(parent) if name.isdigit()]
    except OSError:
        return []


def _meminfo(name: str) -> int:
    with open("/proc/meminfo") as file:
        figures = dict(line.split(":") for line in file)
    return 1024 * int(figures[name].split()[0])
