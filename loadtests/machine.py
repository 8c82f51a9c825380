"""What was measured on: the machine, its limits, and the versions of everything involved.

No name of a machine or a person, so that results can be published as they are.
"""

from __future__ import annotations

import os
import platform
import resource
import ssl
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import ROOT

__all__ = ["describe", "warnings"]

PACKAGES = ("trio-sse", "trio", "h11", "h2", "hpack", "hyperframe", "locust", "gevent", "hypercorn")

SETTINGS = (
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
)

ENOUGH_WAITING = 4_096
"""Connections that may wait to be accepted: Linux's own default."""


def describe(command: str) -> dict[str, str]:
    """Return what a reader needs in order to judge the figures, as names and values."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    described = {
        "command": command,
        "commit": _commit(),
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} usable",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "files a process": f"{soft:,} (hard limit {hard:,})",
    }
    described |= {name.replace("/", "."): _setting(name) for name in SETTINGS}
    described |= {"Python": sys.version.split()[0], "OpenSSL": ssl.OPENSSL_VERSION}
    for package in PACKAGES:
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            described[package] = "not installed"
    return described


def warnings() -> list[str]:
    """Return what about this machine makes figures worse or less certain, in sentences."""
    found = []
    if len(os.sched_getaffinity(0)) < 2:
        found.append("There is one processor: server and clients share it.")
    waiting = int(_setting("net/core/somaxconn"))
    if waiting < ENOUGH_WAITING:
        found.append(
            f"net.core.somaxconn is {waiting}: connections beyond that which come at once are "
            f"delayed by a second. Raise it: sysctl -w net.core.somaxconn={ENOUGH_WAITING}."
        )
    if os.getloadavg()[0] > 0.5:
        found.append(
            f"The machine is busy (load {os.getloadavg()[0]:.2f}): figures are worse than "
            "they need to be, and vary."
        )
    return found


def _commit() -> str:
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "src", "loadtests")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} with changes" if changed else head


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.1f} GiB"


def _setting(name: str) -> str:
    return Path("/proc/sys", name).read_text().strip().replace("\t", " ")
