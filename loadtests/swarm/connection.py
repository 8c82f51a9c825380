"""One connection of a swarm: dials, asks, and checks what it receives.

It is on the tape while it receives what others do, else it has a parser of its own, until
its streams stand at one event again. Nothing here blocks; `crowd` calls when epoll does.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .findings import Fault, Findings, Parser, Position
from .tape import Tape

if TYPE_CHECKING:
    from .crowd import Crowd

__all__ = ["Connection"]

# All connections read into one buffer: what is in it has been dealt with before the next read.
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)

TLS_RECORD = 16_384  # RFC 8446, 5.1

FAR_FROM_A_LEVEL = 24 * 1024
"""On the tape, HTTP/2's windows are returned at levels. If the next is further than this a
window could close before it is reached: then frames are counted as they come."""

RESET = struct.pack("ii", 1, 0)


class Connection:
    """From dialling to closing. `number` tells connections of a crowd apart."""

    __slots__ = (
        "_crowd",
        "_fed",
        "_level",
        "_offset",
        "_parser",
        "_sock",
        "_tape",
        "_unsent",
        "_windows",
        "fd",
        "has_stalled",
        "number",
        "ready",
        "unanswered",
    )

    def __init__(self, crowd: Crowd, number: int, positions: Sequence[Position]) -> None:
        target = crowd.target
        self._crowd = crowd
        self.number = number
        self.unanswered = target.streams
        self.has_stalled = False
        """Whether it has read nothing for a while, so that the server may drop it."""
        self._windows = target.make_windows(crowd.random.random())
        self._parser: Parser = target.parser(number, self._windows, positions)
        self._fed = 0
        """Bytes given to the parser."""
        self._tape: Tape | None = None
        """If it is set, the parser is out of date, and the next two count."""
        self._offset = 0
        self._level = 0
        self._unsent = target.requests(number, self._windows, positions)
        self._sock: socket.socket = target.dial(number)
        self.fd = self._sock.fileno()
        self.ready = self._connected
        """To be called when epoll says so."""

    # -- on the way in ------------------------------------------------------------------

    def _connected(self) -> None:
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._end()
        elif self._crowd.target.tls is None:
            self.ready = self._read
            self._flush()
        else:
            self._sock = self._crowd.target.secure(self._sock)
            self.ready = self._shake_hands
            self._shake_hands()

    def _shake_hands(self) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._crowd.watch(self, select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self._crowd.watch(self, select.EPOLLOUT)
        except OSError:
            self._end()
        else:
            self.ready = self._read
            self._flush()

    def _flush(self) -> None:
        """Send what waits, and watch for input, and for room if some of it still waits."""
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._end()
            return
        self._unsent = self._unsent[sent:]
        self._crowd.watch(self, select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0))

    def _send(self, data: bytes) -> None:
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._flush()

    # -- receiving ----------------------------------------------------------------------

    def _read(self) -> None:
        if self._unsent:
            self._flush()
        while True:
            try:
                length = self._sock.recv_into(BUFFER)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                length = 0
            if not length:
                self._end()
                return
            self._take(VIEW[:length], length)
            if length != TLS_RECORD:
                # Else TLS may hold more, of which epoll knows nothing.
                return

    def _take(self, data: memoryview, length: int) -> None:
        now = time.monotonic_ns()
        tape = self._tape
        if tape is None:
            self._parse(bytes(data), now)
        elif tape.matches(data, self._offset) or tape.extend(data, self._offset):
            offset = self._offset = self._offset + length
            following = self._level + 1
            if following < len(tape.ends) and tape.ends[following] <= offset:
                self._pass_levels(tape, now)
            elif offset - tape.ends[self._level] > FAR_FROM_A_LEVEL and self._windows is not None:
                self._leave_tape(tape)
        else:
            self._leave_tape(tape)
            self._parse(bytes(data), now)

    def _pass_levels(self, tape: Tape, now: int) -> None:
        before, after = self._level, tape.level_before(self._offset, self._level)
        target = self._crowd.target
        self._level = after
        self._crowd.ledger.passed(
            tape.numbers[before] + 1, tape.numbers[after], target.streams, now
        )
        if self._windows is not None:
            self._windows.arrived_everywhere(tape.flows[after] - tape.flows[before])
            if due := self._windows.due():
                self._send(due)
        if tape is not self._crowd.tape and self._offset == tape.ends[after]:
            self._go_onto_tape(tape.numbers[after])

    def _parse(self, data: bytes, now: int) -> None:
        self._fed += len(data)
        found = self._parser.feed(data)
        self._crowd.ledger.parsed += 1
        self._crowd.ledger.delivered(found.received, now)
        self._account(found)
        at_level = found.levels and found.levels[-1].consumed == self._fed
        if at_level and self._crowd.target.one_topic and "ended" not in found.faults:
            self._go_onto_tape(found.levels[-1].number)

    def _account(self, found: Findings) -> None:
        self._crowd.ledger.blame([self._ending if f == "ended" else f for f in found.faults])
        if self.unanswered and (found.opened or found.faults):
            refused = found.faults.count("refused")
            self.unanswered -= found.opened + refused
            self._crowd.answered(found.opened, refused)
        if found.unchunked:
            self._crowd.chunked = False
        if found.replies:
            self._send(found.replies)

    def _go_onto_tape(self, number: int) -> None:
        tape = self._crowd.tape_from(number)
        if tape is not None and (level := tape.find(number)) is not None:
            self._tape, self._level, self._offset = tape, level, tape.ends[level]

    def _leave_tape(self, tape: Tape) -> None:
        """Go on alone, from the last level: what came after it has not been counted yet."""
        self._parser = self._crowd.parser_at(tape.numbers[self._level], self.number, self._windows)
        self._tape = None
        self._fed = 0
        seen = tape.since(self._level, self._offset)
        if seen:
            self._parse(seen, time.monotonic_ns())

    # -- where it stands ----------------------------------------------------------------

    def positions(self) -> list[Position]:
        """Return where each stream stands, to go on from there."""
        if self._tape is None:
            return self._parser.positions()
        number = self._tape.numbers[self._level]
        return [self._crowd.position(number)] * self._crowd.target.streams

    def has(self, number: int) -> bool:
        """Tell whether every stream has the event, or a later one."""
        if self._tape is not None:
            return self._tape.numbers[self._level] >= number
        return all((each.number or 0) >= number for each in self._parser.positions())

    # -- endings ------------------------------------------------------------------------

    @property
    def _ending(self) -> Fault:
        return "dropped" if self.has_stalled else "ended"

    def close(self, *, reset: bool = False) -> None:
        """Leave: properly, or as a client whose machine has lost its network does."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._sock.close()

    def _end(self) -> None:
        """Note that the server has ended it, or never answered."""
        self._crowd.ledger.blame([self._ending])
        self._crowd.ended(self)
        self._sock.close()
