"""What independent programs make of the server: h2spec's tests, and nghttp2's clients.

    python -m loadtests.conformance [--output FOLDER]

Runs `trio-sse serve` in clear text and over TLS, with its default limits, and against it what is
there of these:

    h2spec             the conformance tests for RFC 7540 and RFC 7541, the strict ones as well;
                       no package has it, Go builds it: github.com/summerwind/h2spec/cmd/h2spec
    nghttp, h2load     Debian's nghttp2-client

What they say goes into a file each, word for word, and the outcome into conformance.md. Ends with
1 if there was something else than the expected to say.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from . import ROOT, machine

__all__ = ["main"]

TIMEOUT_SECONDS = 120.0

EXPECTED = {
    "3.5. HTTP/2 Connection Preface, 2": "In clear text the port speaks HTTP/1.1 too, and answers "
    "what is not HTTP/2's preface in that, with 400 and the connection's end. h2spec reads the "
    "answer as a frame.",
    "5.3.1. Stream Dependencies, 2": "Of RFC 7540. To RFC 9113, which replaces it, priorities mean "
    "nothing, and PRIORITY may come for a stream that has not begun, which cannot be reset.",
}
"""Tests of h2spec that fail, and why that is right."""

NGHTTP = {
    "a page": ["/"],
    "a page, by a window of 31 bytes": ["-w5", "-W6", "/"],
    "fifty requests at once": ["-m50", "/healthz"],
    "a body after 100-continue": ["-d", __file__, "--expect-continue", "/healthz"],
    "a body and trailers": ["-d", __file__, "--trailer=x-end: 1", "/healthz"],
    "padding of 255 bytes": ["-d", __file__, "--padding=255", "/healthz"],
    "no table of fields": ["--header-table-size=0", "/", "/healthz"],
}

H2LOAD = {
    "a page": ["-n5000", "-c10", "-m50", "/"],
    "a page, by windows of 31 and 63 bytes": ["-n500", "-c10", "-m10", "-w5", "-W6", "/"],
    "no tables of fields": [
        *("-n2000", "-c5", "-m10", "--header-table-size=0", "--encoder-header-table-size=0"),
        "/healthz",
    ],
    "HTTP/1.1": ["-n2000", "-c10", "--h1", "/"],
}


class Served:
    """`trio-sse serve`, on a port of its own choice. Ends with the `with` block."""

    def __init__(self, *options: str) -> None:
        program = Path(sys.executable).with_name("trio-sse")
        self._process = subprocess.Popen(
            [program, "serve", "--port=0", *options], stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.match(r"Listening on (\S+)", line):
                return found[1]
        raise SystemExit("trio-sse serve did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


def run(argv: Sequence[str]) -> str:
    """Run a program to its end, and return what it said; its end is the last line."""
    done = subprocess.run(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    shown = " ".join("FILE" if each == __file__ else each for each in argv)
    return f"$ {shown}\n{done.stdout}exit: {done.returncode}\n"


def h2spec(url: str) -> tuple[str, list[str], list[str]]:
    """Return what h2spec said, and a line for each outcome and for each that is unexpected."""
    host, port = url.rpartition("://")[2].rsplit(":", 1)
    tls = ["-t", "-k"] if url.startswith("https") else []
    said = run(["h2spec", "-h", host, "-p", port, "-S", *tls])
    counts = re.findall(r"\d+ tests, \d+ passed, \d+ skipped, \d+ failed", said)
    failed, section = [], ""
    for line in said.partition("Failures:")[2].splitlines():
        if found := re.match(r"\s+(\d[\d.]*\. .+)", line):
            section = found[1]
        elif found := re.match(r"\s+\u00d7 (\d+):", line):
            failed.append(f"{section}, {found[1]}")
    wrong = [each for each in failed if each not in EXPECTED] if counts else ["no outcome"]
    told = [f"h2spec {'over TLS' if tls else 'in clear text'}: {''.join(counts[:1])}"]
    told += [f"    - {each}: {EXPECTED.get(each, 'unexpected')}" for each in failed]
    return said, told, wrong


def nghttp(url: str) -> tuple[str, list[str], list[str]]:
    """Run nghttp in several ways; it must get an answer in each."""
    said = {
        what: run(["nghttp", "-nv", *options[:-1], url + options[-1]])
        for what, options in NGHTTP.items()
    }
    wrong = [
        what
        for what, text in said.items()
        if not re.search(r":status: (200|405)", text) or "exit: 0" not in text or "RST_" in text
    ]
    told = [f"nghttp: {len(said) - len(wrong)} of {len(said)} ways to ask were answered to the end"]
    return "\n".join(said.values()), told, [f"nghttp: {each}" for each in wrong]


def h2load(url: str) -> tuple[str, list[str], list[str]]:
    """Run h2load in several ways; each request must succeed."""
    said = {
        what: run(["h2load", *options[:-1], url + options[-1]]) for what, options in H2LOAD.items()
    }
    wrong = [
        what
        for what, text in said.items()
        if not re.search(r"(\d+) total, \1 started, \1 done, \1 succeeded", text)
    ]
    told = [f"h2load: all requests succeeded in {len(said) - len(wrong)} of {len(said)} ways"]
    return "\n".join(said.values()), told, [f"h2load: {each}" for each in wrong]


def main(argv: list[str]) -> int:
    """Run what there is; return 1 if an outcome is not the expected one."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.conformance")
    default = ROOT / "results" / f"{date.today()}-conformance"
    parser.add_argument("--output", type=Path, default=default, help="a folder")
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    told, wrong = [], []
    with ExitStack() as servers:
        clear = servers.enter_context(Served())
        secure = servers.enter_context(Served("--self-signed"))
        for name, program, judge, url in [
            ("h2spec", "h2spec", h2spec, clear),
            ("h2spec-tls", "h2spec", h2spec, secure),
            ("nghttp", "nghttp", nghttp, clear),
            ("h2load", "h2load", h2load, clear),
            ("h2load-tls", "h2load", h2load, secure),
        ]:
            if shutil.which(program) is None:
                told.append(f"{name}: not run, as there is no {program}")
                continue
            print(f"{name} …", flush=True)
            said, outcome, unexpected = judge(url)
            (options.output / f"{name}.txt").write_text(said)
            told += [f"[{name}.txt]({name}.txt): {outcome[0]}", *outcome[1:]]
            wrong += unexpected
    lines = ["# Conformance", "", *(f"- {line}" if line[0] != " " else line for line in told), ""]
    lines += ["Unexpected: " + ("; ".join(wrong) or "nothing") + ".", ""]
    described = machine.describe("python -m loadtests.conformance")
    lines += [f"- {name}: {described[name]}" for name in ("command", "commit", "h2", "hpack")]
    (options.output / "conformance.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
