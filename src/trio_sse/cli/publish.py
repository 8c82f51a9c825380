"""`trio-sse publish`: each line of standard input becomes an event, at once and in order.

Owns what happens when an event is refused (say so, go on) and when the server is away (wait
for it, with the line in hand, and read no further: a restart loses no line and memory does
not grow). Each line is sent until it is answered, so after a broken connection a line may be
published twice, never not at all.

Ctrl-C takes effect where this waits, not inside httpx, as in `listen`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from enum import Enum, auto

import click
import trio

from .lines import Line, read_lines
from .terminal import Progress, failure, printable

__all__ = ["publish"]

ABOUT_THE_EVENT = frozenset({400, 409, 413, 422, 500})
"""Answers that the next line may not get. Any other (401, 403, 404 …) all lines would get."""


FIRST_PAUSE = 0.25
"""Seconds: a restart takes about that long, and the line waiting is the newest of a log."""


class Fate(Enum):
    """What has become of a line."""

    PUBLISHED = auto()
    REFUSED = auto()
    HOPELESS = auto()
    """Refused for a reason that every other line would meet as well."""


@click.command(short_help="Publish lines of standard input.")
@click.argument("url")
@click.argument("topic")
@click.option("--data", metavar="TEXT", help="Publish this once, instead of reading lines.")
@click.option("--type", "event_type", metavar="NAME", help="The events' type.")
@click.option("--id", "event_id", metavar="ID", help="The event's id; only with --data.")
@click.option("--retry", type=click.IntRange(min=0), metavar="MS", help="Reconnection time to set.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any certificate.")
def publish(
    url: str,
    topic: str,
    data: str | None,
    event_type: str | None,
    event_id: str | None,
    retry: int | None,
    insecure: bool,
) -> int:
    """Publish to TOPIC of the hub at URL, whose path may be left out.

    For example: tail -F app.log | trio-sse publish localhost:8080 log

    Each line of standard input is the data of one event. While the server is away the lines
    wait for it. With --data, one event is published and its id printed.
    """
    # Here, not above: `serve` starts without httpx.
    from .. import client

    if event_id is not None and data is None:
        raise click.UsageError("--id goes with --data: two events cannot have the same id.")
    fields = {"type": event_type, "id": event_id, "retry": retry}
    form = {"topic": topic} | {
        key: str(value) for key, value in fields.items() if value is not None
    }
    form = {key: _text(value) for key, value in form.items()}

    @trio.lowlevel.enable_ki_protection
    async def run() -> int:
        async with client.open_client(insecure=insecure) as http:
            target = client.hub_url(url)

            async def post(text: str) -> str:
                return await client.post(http, target, form | {"data": text})

            if data is None:
                return await _publish_input(post)
            click.echo(printable(await post(_text(data))))
            return 0

    try:
        return trio.run(run)
    except (client.Refused, client.Away) as error:
        raise failure(error) from error


async def _publish_input(post: Callable[[str], Awaitable[str]]) -> int:
    """Publish the lines of standard input and return the exit code."""
    if sys.stdin.isatty():
        click.echo("Each line you type is published; Ctrl-D ends.", err=True)
    progress = Progress()
    async with trio.open_nursery() as nursery, aclosing(read_lines(sys.stdin.fileno())) as lines:
        nursery.start_soon(progress.run)
        verdict = 0
        async for line in lines:
            fate = await _publish_line(post, line, progress)
            verdict |= fate is not Fate.PUBLISHED
            if fate is Fate.HOPELESS:
                break
        nursery.cancel_scope.cancel()
    progress.finish()
    return verdict


async def _publish_line(
    post: Callable[[str], Awaitable[str]], line: Line, progress: Progress
) -> Fate:
    """Publish one line, however long the server is away, and say what has become of it."""
    from .. import client

    if line.text is None:
        progress.say(f"Line {line.number} is too long to publish; it is left out.")
        return Fate.REFUSED
    backoff = client.Backoff(FIRST_PAUSE)
    told = ""
    while True:
        try:
            await post(line.text)
        except client.Away as away:
            if str(away) != told:
                told = str(away)
                progress.say(f"{printable(told)} Line {line.number} waits for it.")
            await trio.sleep(backoff.failed(away.retry_after))
        except client.Refused as refused:
            progress.say(f"Line {line.number} is refused: {printable(str(refused))}")
            return Fate.REFUSED if refused.status in ABOUT_THE_EVENT else Fate.HOPELESS
        else:
            progress.events += 1
            if told:
                progress.say(f"Publishing again, from line {line.number} on.")
            return Fate.PUBLISHED


def _text(argument: str) -> str:
    """Return a command-line argument as text: what is no UTF-8 in it becomes U+FFFD."""
    return argument.encode(errors="surrogateescape").decode(errors="replace")
