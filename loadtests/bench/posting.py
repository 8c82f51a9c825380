"""A server of others, to which events are published by POST, and whose CPU the kernel tells.

Its process group is measured from outside, all of its processes and threads together.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from .. import payload
from ..listening import Listening
from ..proc import members, read_if_there

__all__ = ["Posting"]


class Posting(Listening):
    """A process that listens on `port` and takes events at /publish?topic=a."""

    name = "?"

    def __init__(
        self, argv: Sequence[str], cpus: Iterable[int], port: int, *, cwd: str = "/"
    ) -> None:
        super().__init__(argv, cpus, port, cwd=cwd)
        self._number = 0
        self._publisher = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._publisher.close()
        super().__exit__(kind, value, traceback)

    def publish(self, count: int, interval: float, size: int) -> int:
        """Publish so many events, one every `interval` s; return the number of the last."""
        start = time.monotonic()
        for turn in range(count):
            time.sleep(max(0.0, start + turn * interval - time.monotonic()))
            self._number += 1
            self._post(payload.make("a", self._number, size))
        return self._number

    def cpu(self) -> float:
        """Return the seconds of CPU that its living processes have used."""
        return self.scheduled()[0]

    def resident(self) -> int:
        """Return the bytes of memory that its processes have of their own, and share."""
        total = 0
        for folder, _ in members(self.pid):
            rollup = read_if_there(folder / "smaps_rollup").splitlines()[1:]
            fields = dict(line.split(":", 1) for line in rollup)
            total += 1024 * int(fields.get("Pss", "0").split()[0])
        return total

    def _post(self, data: str) -> None:
        self._publisher.request("POST", "/publish?topic=a", data.encode())
        self._publisher.getresponse().read()
