"""An event stream that is continued when it breaks, as a browser's EventSource does.

Rules: nothing is printed here; what a person may want to know goes through `notice`. Every
wait on the server has a limit, except that for the server to come back.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import httpx
import trio

from ..event import Decoder, Event, EventTooLarge
from .request import BROKEN, Away, Refused, abandon, send, shown, trouble

__all__ = ["Backoff", "Listener"]

SILENCE = 120.0
"""Seconds without a byte after which a stream is opened anew: eight of our heartbeats. A peer
that vanished without a FIN gives no other sign."""

MAX_EVENT = 64 * 1024 * 1024
"""What one event may hold of this program's memory, in bytes: a whole default history."""

MAX_WAIT = 30.0
"""The longest pause between two attempts, in seconds, unless the server asks for more."""


class Backoff:
    """The pauses between attempts: each twice the one before, up to `MAX_WAIT`, with jitter.

    The jitter only adds, because a server that drains gives each client its own `retry`.
    """

    def __init__(self, first: float) -> None:
        self.first = first
        """Seconds to wait after the first failure."""
        self.failures = 0

    def failed(self, at_least: float = 0.0) -> float:
        """Count a failure and return the seconds to wait before the next attempt."""
        # 2**10 of the least pause is over MAX_WAIT, and 2**1100 is no float.
        wait = min(max(self.first, 0.1) * 2.0 ** min(self.failures, 10), MAX_WAIT)
        self.failures += 1
        return max(wait, self.first, at_least) * random.uniform(1.0, 1.25)  # noqa: S311 - no secret

    def succeeded(self) -> None:
        """Start again with the first pause."""
        self.failures = 0


class Listener:
    """One event stream, continued over reconnects: `async with` it, then `async for` events.

    Follows the EventSource rules (WHATWG HTML, 9.2.3): comes back with the last id after the
    server's `retry`, ends at a 204, fails at any other answer. Unlike a browser it also comes
    back after 429, 502, 503 and 504. Iterating raises Refused and, if not `reconnect`, Away.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: httpx.URL,
        *,
        last_event_id: str = "",
        reconnect: bool = True,
        notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.last_event_id = last_event_id
        self._client = client
        self._url = url
        self._reconnect = reconnect
        self._notice = notice
        self._backoff = Backoff(2.0)
        self._decoder = Decoder(max_event_bytes=MAX_EVENT)
        self._ready: deque[Event] = deque()
        self._told = ""
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._hang_up()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; waits for it, and for the server to come back."""
        while not self._ready:
            try:
                await self._advance()
            except Away as away:
                await self._hang_up()
                if not self._reconnect:
                    raise
                await self._wait(str(away), away.retry_after)
        return self._ready.popleft()

    async def _advance(self) -> None:
        """Connect, or read once. Raises Away, Refused, or StopAsyncIteration at the very end."""
        if self._chunks is None:
            self._chunks = await self._connect()
            return
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            await self._hang_up()
            if not self._reconnect:
                raise
            await self._wait("The stream ended.")
            return
        except BROKEN as error:
            raise trouble(error, self._url) from error
        before = self._decoder.last_event_id
        try:
            self._ready.extend(self._decoder.feed(chunk))
        except EventTooLarge as error:
            raise Refused(f"{shown(self._url)} sent too much: {error}.") from error
        # A new stream's decoder knows no id; until it meets one the old one counts.
        if self._decoder.last_event_id != before:
            self.last_event_id = self._decoder.last_event_id
        if self._decoder.retry is not None:
            self._backoff.first = self._decoder.retry / 1000

    async def _connect(self) -> AsyncIterator[bytes]:
        headers = {
            b"accept": b"text/event-stream",
            # A compressor anywhere in between would hold events back.
            b"accept-encoding": b"identity",
            b"cache-control": b"no-store",
        }
        if self.last_event_id:
            headers[b"last-event-id"] = self.last_event_id.encode()
        timeout = httpx.Timeout(10.0, read=SILENCE)
        request = self._client.build_request("GET", self._url, headers=headers, timeout=timeout)
        self._response = response = await send(self._client, request, follow_redirects=True)
        if response.status_code == 204:
            raise StopAsyncIteration
        content_type = response.headers.get("content-type", "no content type")
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise Refused(
                f"{shown(self._url)} sends {content_type}, which is no text/event-stream."
            )
        again = " again" if self._backoff.failures else ""
        self._notice(f"Listening to {shown(self._url)}{again} over {response.http_version}.")
        self._backoff.succeeded()
        self._told = ""
        self._decoder = Decoder(max_event_bytes=MAX_EVENT)
        return response.aiter_bytes()

    async def _wait(self, reason: str, at_least: float = 0.0) -> None:
        pause = self._backoff.failed(at_least)
        # Once is enough: nobody wants a line for every attempt of a night.
        if reason != self._told:
            self._notice(f"{reason} Trying again in {pause:.1f} s.")
            self._told = reason
        await trio.sleep(pause)

    async def _hang_up(self) -> None:
        if self._chunks is not None:
            await abandon(self._chunks)
        if self._response is not None:
            await self._response.aclose()
        self._chunks = self._response = None
