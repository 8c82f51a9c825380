"""Posting events to hubs over HTTP/1.1: a thread for each hub, with one connection that it keeps.

What is due at once is sent at once, without waiting for answers in between. What a hub does not
take (it is gone, it restarts) is sent again until it does, in order, and has the due time that
it had. Neither Locust nor gevent.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode, urlsplit

from .. import payload
from .schedule import Schedule

__all__ = ["MERCURE", "Desk", "Hub", "Publication"]

MERCURE = "/.well-known/mercure"
"""Publishing there is posting a form; to other paths the bare data is posted."""

AT_ONCE = 32
"""Posts that are sent before their answers are read: some 20 KB, which any socket takes."""

TIMEOUT = 20.0
RETRY_SECONDS = 0.1

NOT_NOW = (429, 502, 503, 504)
"""Answers of a hub that may take the event later."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published, and how."""

    topic: str
    size: int
    """Bytes of an event's data."""
    path: str = MERCURE

    def request(self, host: str, number: int, due: int) -> bytes:
        """Return the bytes of a request that publishes an event."""
        data = payload.make(self.topic, number, self.size, at=due)
        if self.path == MERCURE:
            body = urlencode({"topic": self.topic, "data": data}).encode()
            target, kind = self.path, "application/x-www-form-urlencoded"
        else:
            body = data.encode()
            target, kind = f"{self.path}?{urlencode({'topic': self.topic})}", "text/plain"
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Desk:
    """What the threads share: the schedule, and what has become of its events."""

    def __init__(self, schedule: Schedule, publication: Publication) -> None:
        self.schedule = schedule
        self.publication = publication
        self.changed = threading.Condition()
        """Held by whoever reads or writes anything here."""
        self.answered: Counter[int] = Counter()
        """Milliseconds from due to answered, since they were told last."""
        self.late_max = 0
        """ns by which an event was sent late for no fault of the hub's."""
        self.refused: Counter[str] = Counter()
        """Why events are missing for good."""

    def due(self, after: int) -> list[tuple[int, int]]:
        """Wait for events after number `after` to be due: return some, as (number, due)."""
        with self.changed:
            while (last := self.schedule.until(time.time_ns())) <= after:
                due = self.schedule.next()
                wait = None if due is None else max(0.0, (due - time.time_ns()) / 1e9)
                self.changed.wait(wait)
            numbers = range(after + 1, min(last, after + AT_ONCE) + 1)
            return [(number, self.schedule.dues[number - 1]) for number in numbers]


class Hub(threading.Thread):
    """Posts every event to one hub."""

    def __init__(self, desk: Desk, url: str) -> None:
        super().__init__(daemon=True)
        self._desk = desk
        self._url = urlsplit(url)
        self._socket: socket.socket | None = None
        self._answers: _Answers | None = None
        self.posted = 0
        """Number of the last event that has been dealt with."""
        self._free = 0
        """When it had answered what was sent before, or was back after it had failed."""

    def run(self) -> None:
        """Post for ever."""
        while True:
            batch = self._desk.due(self.posted)
            try:
                self._post(batch)
            except (OSError, http.client.HTTPException):
                self._hang_up()
                time.sleep(RETRY_SECONDS)
                self._free = time.time_ns()

    def _post(self, batch: list[tuple[int, int]]) -> None:
        sock, answers = self._connection()
        publication, host = self._desk.publication, self._url.netloc
        sent = time.time_ns()
        sock.sendall(b"".join(publication.request(host, *event) for event in batch))
        with self._desk.changed:
            late = sent - max(batch[0][1], self._free)
            self._desk.late_max = max(self._desk.late_max, late)
        for number, due in batch:
            status, last = answers.read()
            if status in NOT_NOW:
                raise http.client.HTTPException(f"the hub answers {status}")
            self._free = time.time_ns()
            with self._desk.changed:
                if 200 <= status < 300:
                    self._desk.answered[(self._free - due) // 1_000_000] += 1
                else:
                    self._desk.refused[f"{self._url.netloc} answers {status}"] += 1
                self.posted = number
            if last:
                self._hang_up()
                return

    def _connection(self) -> tuple[socket.socket, _Answers]:
        if self._socket is None or self._answers is None:
            tls = self._url.scheme == "https"
            port = self._url.port or (443 if tls else 80)
            sock = socket.create_connection((self._url.hostname or "", port), TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                context = ssl.create_default_context()
                # The certificate is one that the server made for itself, as a rule.
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                sock = context.wrap_socket(sock, server_hostname=self._url.hostname)
            self._socket, self._answers = sock, _Answers(sock)
        return self._socket, self._answers

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._answers = None


class _KeptOpen(io.BufferedReader):
    """http.client closes what it has read an answer from; the next one is in there."""

    def close(self) -> None:
        pass


class _Answers:
    """The answers on one connection, one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = _KeptOpen(sock.makefile("rb", buffering=0))

    def makefile(self, mode: str) -> io.BufferedReader:
        """Be a socket, as far as http.client asks for one."""
        return self._file

    def read(self) -> tuple[int, bool]:
        """Return the next answer's status, and whether the connection ends with it."""
        answer = http.client.HTTPResponse(cast(socket.socket, self), method="POST")
        answer.begin()
        answer.read()
        return answer.status, answer.will_close
