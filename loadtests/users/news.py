"""What the processes with users tell the conductor, kept until it is asked for."""

from __future__ import annotations

from collections import defaultdict

from .seam import Content
from .timeline import Row

__all__ = ["News"]


class News:
    """Of one test."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, list[Row]] = defaultdict(list)
        """By process: what it has counted, once a second."""
        self.behind: dict[str, int] = {}
        """Clients that do not have the awaited event."""
        self.reports: dict[str, Content] = {}
        self.cpu: dict[str, list[float]] = {}
        self.published: Content | None = None
        """What the publisher has told last; None if there is no publisher."""
        self.dues: list[tuple[int, int]] = []
        """Number and due time of each event."""
        self.has_paused = False
        self.failure: str | None = None
        self._awaited = 0

    @property
    def connected(self) -> int:
        """Clients that are, as was told last."""
        return sum(int(rows[-1][1]) for rows in self.rows.values())

    def await_event(self, number: int) -> None:
        """Forget who had what, for another event is waited for."""
        self._awaited = number
        self.behind = {}

    def hear(self, process: str, content: Content) -> None:
        """Take in what a process tells."""
        match content["kind"]:
            case "counts":
                self.rows[process].append(content["row"])
            case "behind" if content["number"] == self._awaited:
                self.behind[process] = content["clients"]
            case "report":
                self.reports[process] = content["report"]
                self.cpu[process] = content["cpu"]
            case "published":
                self.published = content
                self.dues += [(number, due) for number, due in content["dues"]]
                self.has_paused = self.has_paused or content["paused"]
            case "failed":
                self.failure = content["reason"]

    def dues_between(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return number and due time of the events due in a window, as they were told so far."""
        return [(number, due) for number, due in self.dues if begin <= due <= end]
