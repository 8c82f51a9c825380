"""curl as a child process: a whole answer, or a stream read as it comes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trio_sse import Decoder, Event

from .site import PATIENCE

__all__ = ["CurlStream", "answer", "curl_stream"]


async def answer(*arguments: str) -> tuple[str, str]:
    """Run curl to its end and return the head (`\\n` between lines) and the body.

    Of several heads (100 Continue, then 200) all are returned, with empty lines between them.
    """
    command = ["curl", "-sS", "-i", "--max-time", f"{PATIENCE:g}", *arguments]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    text = done.stdout.decode().replace("\r\n", "\n")
    assert done.returncode == 0, (done.returncode, done.stderr.decode(), text)
    heads = []
    while text.startswith("HTTP/"):
        head, _, text = text.partition("\n\n")
        heads.append(head)
    return "\n\n".join(heads), text


class CurlStream:
    """A stream that curl receives."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._decoder = Decoder()
        self._events: list[Event] = []
        self.raw = b""
        """Everything that came, comments too."""

    async def more(self) -> bytes:
        """Wait for bytes; b"" at the end."""
        assert self._process.stdout is not None
        with trio.fail_after(PATIENCE):
            data = bytes(await self._process.stdout.receive_some())
        self.raw += data
        self._events += self._decoder.feed(data)
        return data

    async def event(self) -> Event:
        """Wait for the next event."""
        while not self._events:
            assert await self.more(), f"the stream ended after {self.raw!r}"
        return self._events.pop(0)

    async def rest(self) -> list[Event]:
        """Wait for the end, which must be a proper one, and return the events before it."""
        while await self.more():
            pass
        assert await self._process.wait() == 0
        return self._events

    def freeze(self) -> None:
        """Have the client read no more, and stay."""
        self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """Have the client vanish; its kernel closes the connection."""
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def curl_stream(*arguments: str) -> AsyncIterator[CurlStream]:
    """Run curl, unbuffered, for the length of the block at most."""
    command = ["curl", "-sS", "-N", *arguments]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    try:
        yield CurlStream(process)
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        assert process.stdout is not None
        await process.stdout.aclose()
