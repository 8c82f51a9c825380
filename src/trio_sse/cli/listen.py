"""`trio-sse listen`: an event stream on the terminal, in a pipe, or as JSON lines.

Owns how events look. Events go to standard output and are flushed one by one; everything
about the connection, and a gap in the stream, goes to standard error.

Refuses: letting an event's text drive the terminal (escape sequences are shown, not obeyed).

Ctrl-C takes effect where the client waits, and where something is printed, as whoever reads our
output may have stopped. Raised anywhere else it would leave httpx's generators half done to the
garbage collector.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import click
import trio

from ..event import Event
from .terminal import failure, printable

__all__ = ["listen"]

GAP_TYPE = "trio-sse.gap"
"""The event by which the hub says that some were lost (docs/protocol.md)."""

LOST = re.compile(r'\{\s*"lost"\s*:\s*([0-9]{1,15})\s*\}')

Style = Literal["pretty", "plain", "json"]


@click.command(short_help="Print the events of a stream.")
@click.argument("url")
@click.option("-t", "--topic", "topics", multiple=True, help="Follow this topic. Repeatable.")
@click.option("--last-id", default="", metavar="ID", help="Begin after the event with this id.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: id, type, data.")
@click.option("--no-reconnect", is_flag=True, help="Exit when the stream ends or breaks.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any certificate.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Exit after N events.")
def listen(
    url: str,
    topics: tuple[str, ...],
    last_id: str,
    as_json: bool,
    no_reconnect: bool,
    insecure: bool,
    count: int | None,
) -> int:
    """Print the events of the stream at URL as they arrive.

    URL may be of any Server-Sent Events stream. With --topic it is a hub's, whose path may be
    left out: trio-sse listen localhost:8080 --topic news
    """
    # Here, not above: `serve` starts without httpx.
    from .. import client

    style: Style = "json" if as_json else "pretty" if sys.stdout.isatty() else "plain"

    @trio.lowlevel.enable_ki_protection
    async def follow() -> None:
        target = client.hub_url(url) if topics else client.stream_url(url)
        if target.path == "/":
            tell("A hub's stream is named by --topic; this asks for the URL as it stands.")
        for topic in topics:
            target = target.copy_add_param("topic", topic)
        left = count
        async with (
            client.open_client(insecure=insecure) as http,
            client.Listener(
                http, target, last_event_id=last_id, reconnect=not no_reconnect, notice=tell
            ) as events,
        ):
            async for event in events:
                if not show(event, style) or left is None:
                    continue
                left -= 1
                if left == 0:
                    return

    try:
        trio.run(follow)
    except (client.Refused, client.Away) as error:
        raise failure(error) from error
    except BrokenPipeError:
        # Whoever read our output has seen enough (`trio-sse listen … | head`). What is still
        # buffered must not be written at exit, which would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@trio.lowlevel.disable_ki_protection
def tell(sentence: str) -> None:
    """Say something about the connection on standard error."""
    click.secho(printable(sentence), err=True, dim=True)


@trio.lowlevel.disable_ki_protection
def show(event: Event, style: Style) -> bool:
    """Print `event`; return False if it was a warning about the stream instead."""
    data = event.data or ""
    if style == "json":
        value = {"id": event.id, "type": event.type, "data": data}
        write_line(json.dumps(value, ensure_ascii=False))
        return True
    if event.type == GAP_TYPE:
        click.secho(gap(data), err=True, fg="yellow")
        return False
    write_line(data if style == "plain" else pretty(event, datetime.now()))
    return True


def write_line(text: str) -> None:
    """Print `text` at once, and as it is: click.echo takes escape sequences out for a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def pretty(event: Event, now: datetime, style: Callable[..., str] = click.style) -> str:
    """Return `event` for a terminal: time, type, id, and its data, further lines indented."""
    parts = [style(f"{now:%H:%M:%S}", dim=True), style(printable(event.type), fg="cyan")]
    if event.id:
        parts.append(style(printable(event.id), dim=True))
    lines = printable(event.data or "").split("\n")
    if len(lines) == 1:
        return "  ".join([*parts, *lines])
    return "\n          ".join(["  ".join(parts), *lines])


def gap(data: str) -> str:
    """Return the warning for a gap event's data, `{"lost": n}` or `{"lost": null}`."""
    match = LOST.fullmatch(data.strip())
    events = f"up to {int(match[1]):,} events" if match else "events"
    return f"Gap: {events} were lost, as the server's history no longer has them."
