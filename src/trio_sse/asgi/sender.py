"""The way out to an ASGI server: what waits to be said, in order, and the one `send` under way.

`send` is where a slow client is waited for. One task awaits it, for `write_timeout` seconds at
most; everybody else adds to what waits, and may wait until that is said.

Refuses: to know what is said, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import trio

from .request import Send

__all__ = ["Sender", "Stalled", "body"]

GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""How a server's `send` may say that the client has left (ASGI HTTP 2.4: OSError)."""


class Stalled(Exception):
    """The server has not taken a message in time. What came of it nobody knows."""


class Sender:
    """What one answer still has to say. Only `say`, `news` and `drained` wait."""

    __slots__ = ("_emptied", "_head", "_news", "_send", "_unsaid", "_write_timeout", "sending")

    def __init__(self, send: Send, write_timeout: float) -> None:
        self._send = send
        self._write_timeout = write_timeout
        self._head: dict[str, Any] | None = None
        self._unsaid: list[bytes] = []
        self._news = trio.Event()
        self._emptied = trio.Event()
        self.sending = False
        """True while `send` is under way, and for good if it was cancelled."""

    @property
    def clear(self) -> bool:
        """True if nothing waits, and nothing is being said."""
        return not (self.sending or self._unsaid)

    @property
    def empty(self) -> bool:
        """True if no part of the body waits."""
        return not self._unsaid

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Have the head of the answer said, before all else."""
        # Names in lower case (ASGI HTTP, "Response Start"). The server adds Date and framing.
        fields = [(name.lower().encode(), value.encode()) for name, value in headers]
        self._head = {"type": "http.response.start", "status": status, "headers": fields}
        self.wake()

    def add(self, payload: bytes) -> None:
        """Have bytes of the body said after all that waits."""
        self._unsaid.append(payload)
        self.wake()

    def drop(self) -> None:
        """Forget what waits of the body."""
        self._unsaid.clear()

    def take(self) -> dict[str, Any] | None:
        """Return the next message for `say`, of all that waits; None if nothing does."""
        if self._head is not None:
            head, self._head = self._head, None
            return head
        if self._unsaid:
            payload = b"".join(self._unsaid)
            self._unsaid.clear()
            return body(payload)
        return None

    async def say(self, message: dict[str, Any]) -> bool:
        """Give the server a message and wait until it has taken it; False if the client is gone.

        Raises Stalled after `write_timeout` seconds.
        """
        is_there = True
        self.sending = True
        with trio.move_on_after(self._write_timeout) as timer:
            try:
                await self._send(message)
            except GONE:
                is_there = False
        self.sending = False
        if timer.cancelled_caught:
            raise Stalled(f"took nothing for {self._write_timeout:g} s")
        if self.clear:
            self.release()
        return is_there

    def wake(self) -> None:
        """Have `news` return: there is something to say, or to see to."""
        self._news.set()

    async def news(self, until: float) -> None:
        """Wait for `wake`, until a time by Trio's clock at the latest."""
        self._news = trio.Event()
        with trio.move_on_at(until):
            await self._news.wait()

    def release(self) -> None:
        """Have `drained` return."""
        self._emptied.set()
        self._emptied = trio.Event()

    async def drained(self) -> None:
        """Wait until what waited is said, or it does not matter any more: look which."""
        await self._emptied.wait()


def body(payload: bytes, *, more: bool = True) -> dict[str, Any]:
    """Return the message that carries a piece of the body."""
    return {"type": "http.response.body", "body": payload, "more_body": more}
