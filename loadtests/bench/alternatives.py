"""What a delivery would cost if it were made otherwise: ideas beside what is done, timed alone.

    python -m loadtests.bench.alternatives [--output FILE]

Each is the inner loop and nothing else, over sockets on loopback whose other ends are read in
between: it shows the difference between two ways, not what a hub costs. The least of some rounds.
"""

from __future__ import annotations

import argparse
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import machine

__all__ = ["main"]

ROUNDS = 30
CLIENTS = 1_000
CONNECTIONS = 100
STREAMS = 100

EVENT = b"id: 1a2b3c4d.123456\ndata: " + b"x" * 124 + b"\n\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
HEAD = len(EVENT).to_bytes(3) + b"\0"
TAILS = {2 * n + 1: b"\0" + (2 * n + 1).to_bytes(4) for n in range(STREAMS)}
MSG_ZEROCOPY = 0x4000000
SO_ZEROCOPY = 60

Work = Callable[[], object]


@contextmanager
def _sockets(number: int) -> Iterator[tuple[list[socket.socket], list[socket.socket]]]:
    """Connections to ourselves: the ends that write, and those that read."""
    with socket.create_server(("127.0.0.1", 0), backlog=number) as listener:
        reading = [socket.create_connection(listener.getsockname()) for _ in range(number)]
        writing = [listener.accept()[0] for _ in range(number)]
    for each in [*reading, *writing]:
        each.setblocking(False)
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield writing, reading
    finally:
        for each in [*reading, *writing]:
            each.close()


def _empty(reading: Sequence[socket.socket]) -> None:
    for each in reading:
        try:
            while each.recv(1 << 18):
                pass
        except BlockingIOError:
            pass


def _timed(
    ways: dict[str, Work], reading: Sequence[socket.socket], deliveries: int
) -> dict[str, float]:
    """Return the least µs of CPU a delivery took each way; in turn, so that drift meets all."""
    found = dict.fromkeys(ways, math.inf)
    for turn in range(ROUNDS):
        # Each is once the first, whose sockets have rested, and once the last.
        first = turn % len(ways)
        for name, work in [*ways.items()][first:] + [*ways.items()][:first]:
            before = time.process_time()
            work()
            took = (time.process_time() - before) / deliveries * 1e6
            found[name] = min(found[name], took)
            _empty(reading)
    return found


def _http1() -> dict[str, float]:
    with _sockets(CLIENTS) as (writing, reading):
        head, numbers = b"%x\r\n" % len(EVENT), [each.fileno() for each in writing]

        def plain() -> None:
            for each in writing:
                each.send(CHUNK)

        def from_os() -> None:
            for number in numbers:
                os.write(number, CHUNK)

        def gathered() -> None:
            for each in writing:
                each.sendmsg((head, EVENT, b"\r\n"))

        ways: dict[str, Work] = {
            "one os.write a client (what is done)": from_os,
            "socket.send instead of os.write": plain,
            "sendmsg of the chunk's head, the event and its end": gathered,
        }
        return _timed(ways, reading, CLIENTS)


def _joined() -> bytes:
    return HEAD + (EVENT + HEAD).join(TAILS.values()) + EVENT


def _http2() -> dict[str, float]:
    with (
        _sockets(CONNECTIONS) as (writing, reading),
        _sockets(CONNECTIONS) as (zero_copying, zero_reading),
    ):
        for each in zero_copying:
            each.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)

        def joined() -> None:
            for each in writing:
                os.write(each.fileno(), _joined())

        def a_send_each() -> None:
            for each in writing:
                for tail in TAILS.values():
                    each.send(HEAD + tail + EVENT)

        def patched() -> None:
            size = len(HEAD) + 5 + len(EVENT)
            buffer = bytearray((HEAD + bytes(5) + EVENT) * STREAMS)
            for each in writing:
                at = len(HEAD)
                for tail in TAILS.values():
                    buffer[at : at + 5] = tail
                    at += size
                each.send(buffer)

        def gathered() -> None:
            for each in writing:
                each.sendmsg([piece for tail in TAILS.values() for piece in (HEAD, tail, EVENT)])

        def zero_copy() -> None:
            for each in zero_copying:
                each.send(_joined(), MSG_ZEROCOPY)

        def shared() -> None:
            frames = _joined()
            for each in writing:
                each.send(frames)

        ways: dict[str, Work] = {
            "one join and one send a connection (what is done)": joined,
            "a send for each stream": a_send_each,
            "ids written into a buffer that is kept": patched,
            "sendmsg of the pieces, without a join": gathered,
            "the join, sent with MSG_ZEROCOPY": zero_copy,
            "one buffer for all connections, if all had the same ids": shared,
        }
        return _timed(ways, [*reading, *zero_reading], CONNECTIONS * STREAMS)


def main(argv: list[str]) -> int:
    """Time them, and print what they took."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.bench.alternatives",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, help="a file for the results")
    options = parser.parse_args(argv)
    described = machine.describe("python -m loadtests.bench.alternatives")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    known = ("command", "commit", "processor", "kernel", "load before", "Python")
    said = ["What a delivery would cost if it were made otherwise, inner loops alone", ""]
    said += [f"{name}: {described[name]}" for name in known]
    streams = f"{CONNECTIONS} connections x {STREAMS} streams"
    for title, took in (
        (f"HTTP/1.1, {CLIENTS:,} clients, a chunk of {len(CHUNK)} bytes", _http1()),
        (f"HTTP/2, {streams}, a write of {len(_joined()):,} bytes", _http2()),
    ):
        said += ["", title, "", "   µs a delivery"]
        said += [f"  {each:>14.3g}  {way}" for way, each in took.items()]
    print("\n".join(said))
    if options.output:
        options.output.write_text("\n".join(said) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
