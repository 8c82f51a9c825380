"""In place of Locust: says and writes what it would, of clients that are not there.

`--pretend` says what it shall do beside that, e.g. `fault`, `crash`, `stay`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import load_runs


def main() -> int:
    # As plain lines on standard error.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser()
    for name in ("users", "rate", "sse-output", "pretend", "locustfile", "host"):
        parser.add_argument(f"--{name}")
    options, _ = parser.parse_known_args()
    pretend = options.pretend or ""
    users = int(options.users)
    logging.info("sse: all are connected")
    if "crash" in pretend and pretend.partition(":")[2] in options.locustfile:
        logging.info("no idea what to do")
        return 3
    begin = time.time()
    logging.info("sse: measuring from %.3f for 1", begin)
    if pretend == "stay":
        time.sleep(600)
    faults = {"lost": 1} if "fault" in pretend else {}
    measured = load_runs.run(
        1_000, users, measured_from=begin, measured_to=time.time() + 0.001, faults=faults
    )
    del measured["server_samples"], measured["server"]
    Path(options.sse_output).write_text(json.dumps(measured))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
