"""An attacker's connection: a raw socket that says anything, and notes how the server ends it.

Sockets with deadlines, no protocol library between an attack and the wire: what it sends is what
arrives. What comes back is only looked at for how it ends.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable

from h2.errors import ErrorCodes

__all__ = ["PATIENCE", "Connection"]

PATIENCE = 15.0
"""Seconds after which a connection that the server has not ended counts as open."""

BATCH = 16 * 1024
PING, GOAWAY = 6, 7
FRAME_HEADER = 9


class Connection:
    """One connection, and how it ended."""

    def __init__(self, sock: socket.socket, *, reads: bool, http2: bool) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reads = reads
        self._http2 = http2
        self._received = bytearray()
        self._statuses: list[str] = []
        self._goaway: int | None = None
        self._over: str | None = None
        self.sent = 0
        self.pongs: list[bytes] = []
        """What came back of its PINGs."""

    def send(self, data: bytes, until: float | None = None) -> bool:
        """Send all of it; False if the connection is over, or the time is: then send no more.

        TLS may have encrypted what did not fit, and would take only the same bytes again.
        """
        deadline = time.monotonic() + PATIENCE if until is None else until
        view = memoryview(data)
        while view and self._over is None:
            if self._reads:
                self._receive()
            try:
                taken = self._socket.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                events = select.POLLOUT | (select.POLLIN if self._reads else 0)
                self._poll(events, min(left, 0.5))
            except OSError:
                # What it said before is still to be read, if it has not been swept away.
                self._drain()
                self._over = self._over or "reset"
            else:
                self.sent += taken
                view = view[taken:]
        return self._over is None

    def keep_little(self) -> None:
        """Have the kernel hold little of what comes, so that it is soon full."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def offer(self, data: bytes) -> int:
        """Send what fits without waiting; return how much that was."""
        if self._reads:
            self._receive()
        try:
            taken = self._socket.send(data) if self._over is None else 0
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError:
            self._drain()
            self._over = self._over or "reset"
            return 0
        self.sent += taken
        return taken

    def flood(self, pieces: Iterable[bytes], until: float) -> None:
        """Send one after the other, many at a time, until the connection or the time is over."""
        batch = bytearray()
        for piece in pieces:
            batch += piece
            if len(batch) >= BATCH:
                if not self.send(bytes(batch), until) or time.monotonic() > until:
                    return
                batch.clear()
        self.send(bytes(batch), until)

    def wait(self, seconds: float) -> None:
        """Read until the server ends the connection, or so many seconds have passed."""
        self.wait_until(lambda: False, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Read until something is so, the server ends the connection, or time is over."""
        deadline = time.monotonic() + seconds
        while not condition() and self._over is None and (left := deadline - time.monotonic()) > 0:
            self._poll(select.POLLIN, min(left, 0.5))
            self._receive()

    def hold(self, seconds: float) -> None:
        """Read nothing, and see after so many seconds at most how it has ended."""
        # Also without reading: the server has closed it, or reset it.
        self._poll(select.POLLRDHUP, seconds)
        self._reads = True
        self.wait(1.0)

    def finish(self) -> None:
        """Say that nothing more comes, and see what the server says to that."""
        if self._over is None:
            try:
                # Not what SSLSocket does: it forgets TLS, and what comes would stay encrypted.
                socket.socket.shutdown(self._socket, socket.SHUT_WR)
            except OSError:
                self._over = "reset"
        self.wait(PATIENCE)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()

    @property
    def is_over(self) -> bool:
        """Whether the server has ended it, as far as is known by now."""
        return self._over is not None or self._goaway is not None

    @property
    def end(self) -> str:
        """How it ended: a GOAWAY's code, the statuses of HTTP/1 answers, or the socket's end."""
        if self._goaway is not None:
            return f"GOAWAY {ErrorCodes(self._goaway).name}"
        if self._statuses:
            kinds = Counter(self._statuses)
            said = ", ".join(f"{n:,} x {each}" if n > 1 else each for each, n in kinds.items())
            return said if self._over is not None else f"{said}, open"
        return self._over or "open"

    def _poll(self, events: int, seconds: float) -> None:
        if (
            events & select.POLLIN
            and isinstance(self._socket, ssl.SSLSocket)
            and self._socket.pending()
        ):
            return  # it has been decrypted already, and the kernel knows nothing of it
        poll = select.poll()
        poll.register(self._socket, events)
        poll.poll(1_000 * seconds)

    def _drain(self) -> None:
        while self._over is None and self._receive():
            pass

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(256 * 1024)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._over = "reset"
            return False
        if not data:
            self._over = "closed"
            return False
        self._received += data
        if self._http2:
            self._read_frames()
        else:
            found = re.findall(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", self._received)
            self._statuses += [each.decode() for each in found]
            # A status line that has come in part is seen when it is whole, and none is twice.
            del self._received[: self._received.rfind(b"\r\n") + 1]
        return True

    def _read_frames(self) -> None:
        buffer = self._received
        while len(buffer) >= FRAME_HEADER:
            length = int.from_bytes(buffer[:3])
            if len(buffer) < FRAME_HEADER + length:
                return
            if buffer[3] == PING:
                self.pongs.append(bytes(buffer[FRAME_HEADER : FRAME_HEADER + length]))
            elif buffer[3] == GOAWAY:
                self._goaway = int.from_bytes(buffer[FRAME_HEADER + 4 : FRAME_HEADER + 8])
            del buffer[: FRAME_HEADER + length]
