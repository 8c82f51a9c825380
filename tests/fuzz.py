"""Fuzzing for as long as one likes, guided by the code that is reached (needs atheris).

    python tests/fuzz.py KIND [--seconds 60]

KIND is one of those in `hearers`. Begins with the files of tests/corpus; what it learns on the
way is thrown away, but an input that raises stays in the folder it is run in, and belongs into
the corpus once it is understood.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

import atheris

PACKAGES = ["trio_sse", "h2", "h11", "hpack", "hyperframe"]

with atheris.instrument_imports(include=PACKAGES):  # type: ignore[attr-defined]
    from hearers import CORPUS, HEARERS

LONGEST = 4096


def main(argv: list[str]) -> None:
    """Run until the time is up, or an input raises."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz.py")
    parser.add_argument("kind", choices=HEARERS)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(argv)
    hear = HEARERS[options.kind]

    def judge(data: bytes) -> None:
        # The last byte says in what pieces the rest comes.
        if data:
            hear(data[:-1], 1 + 2 * data[-1])

    with tempfile.TemporaryDirectory() as learned:
        limits = [f"-max_total_time={options.seconds}", f"-max_len={LONGEST}", "-timeout=10"]
        told = ["-verbosity=1", "-print_final_stats=1", f"-artifact_prefix={options.kind}-"]
        corpus = str(CORPUS / options.kind)
        atheris.Setup([sys.argv[0], *limits, *told, learned, corpus], judge)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
