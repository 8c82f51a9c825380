"""An attacker as a process: makes one attack after the other, as it is told.

    python -m loadtests.soak.attacker PORT TLS_PORT

An order is a line of JSON: `attack` makes one for `seconds`, from the address `source`, and is
answered with how its connections ended. It gives way to whoever else wants its processor: honest
clients and the canary are to wait for the server, not for it. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ..abuse.attack import Attack
from ..abuse.cases import CASES

__all__ = ["main"]

NICENESS = 10


def made(attack: Attack, number: int) -> dict[str, Any]:
    """Make the attack of that number among CASES; return what came of it."""
    try:
        CASES[number].attack(attack)
    except OSError as error:
        attack.ends[f"refused: {type(error).__name__}"] += 1
    finally:
        attack.close()
    return {
        "ends": dict(attack.ends),
        "connections": attack.connections,
        "sent": attack.sent,
    }


def main(port: int, tls_port: int) -> None:
    """Attack as ordered until standard input ends."""
    os.nice(NICENESS)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        attack = Attack(port, tls_port, order["seconds"], order["source"])
        answer = {"ticket": order["ticket"]} | made(attack, order["number"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
