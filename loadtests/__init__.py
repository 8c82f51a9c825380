"""Load tests: what trio-sse costs, beside a bare C loop and beside other servers.

`bench` prints and writes the table of figures, `soak` lets clients come and go for an hour while
others attack, `abuse` makes each attack by itself. `swarm` is the load client of the first two,
`server_under_test` the server. `scenarios` runs Locust with tens of thousands of clients, `report`
makes pages of what came of it. All of them talk to 127.0.0.0/8 only, unless told otherwise. Nothing
here is part of the package.

    processes   those that are started, and that none stays behind
    proc        what the kernel says of memory, sockets and processes
    machine     what was measured on, for those who read the figures
    payload     what a published event says
"""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).parent.parent
"""The repository, in which all of it is started."""
