"""What people are shown: text made harmless, and a line of progress rewritten in place.

Progress ("1,234 events, 310/s") goes to standard error, and only if that is a terminal: a
log file wants no carriage returns. Text from the network cannot drive the terminal: control
characters are shown, not obeyed.
"""

from __future__ import annotations

import re
import sys
from collections import deque

import click
import trio

__all__ = ["Progress", "failure", "printable"]

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""C0 and C1 except tab and line feed, and what reorders or breaks a line of text."""

REDRAW = 0.25
"""Seconds between two looks; faster than that nobody reads digits."""

WINDOW = 2.0
"""Seconds over which the rate is taken, so that it falls to 0 soon after the input pauses."""


def printable(text: str) -> str:
    """Return `text` with control characters in a visible form."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def failure(error: Exception) -> click.ClickException:
    """Return the error that ends a command with the sentence of `error`."""
    return click.ClickException(printable(str(error)))


class Progress:
    """Counts events and shows the count while `run` runs. Made inside `trio.run`."""

    def __init__(self) -> None:
        self.events = 0
        # Whoever types the lines has the cursor of the same terminal.
        self._on_terminal = sys.stderr.isatty() and not sys.stdin.isatty()
        self._samples = deque([(trio.current_time(), 0)])

    async def run(self) -> None:
        """Redraw until cancelled; return at once if there is no terminal."""
        while self._on_terminal:
            self._draw(f"{self}, {self._rate():,.0f}/s")
            await trio.sleep(REDRAW)

    def say(self, sentence: str) -> None:
        """Print a sentence for the user, above the progress line."""
        self.clear()
        click.echo(sentence, err=True)

    def clear(self) -> None:
        """Take the progress line away."""
        self._draw("")

    def finish(self) -> None:
        """Leave the final count on the terminal."""
        if self._on_terminal:
            self.say(f"{self}.")

    def __str__(self) -> str:
        return f"{self.events:,} event{'s' if self.events != 1 else ''}"

    def _rate(self) -> float:
        now = trio.current_time()
        self._samples.append((now, self.events))
        # The last sample that is a whole window old stays: the rate is measured from it.
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        since, before = self._samples[0]
        return (self.events - before) / (now - since) if now > since else 0.0

    def _draw(self, text: str) -> None:
        if self._on_terminal:
            # ED 0 K: erase to the end of the line, as the text before may have been longer.
            click.echo(f"\r{text}\x1b[K", err=True, nl=False)
