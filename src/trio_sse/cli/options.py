"""The limits of `serve` as options, and the kinds of values that they take.

Owns the names people type. A limit's default and meaning are those of `trio_sse.limits`;
this file adds no limit of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..limits import Limits

__all__ = ["SIZE", "OrOff", "Size", "limit_options", "limits_from"]

Command = TypeVar("Command", bound=Callable[..., Any])

UNITS = {"": 1, "b": 1} | {
    letter + suffix: base**power
    for power, letter in enumerate("kmgt", 1)
    for suffix, base in (("", 1024), ("ib", 1024), ("b", 1000))
}
"""64M and 64MiB are binary, 64MB is decimal, as in GNU coreutils."""


class Size(click.ParamType):  # type: ignore[type-arg] # not generic in older versions
    """A number of bytes: 1000, 64MiB, 1.5GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes, at least 1; fail with a sentence."""
        match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([a-z]*)", str(value).lower())
        unit = UNITS.get(match[2]) if match else None
        size = round(float(match[1]) * unit) if match and unit else 0
        if size < 1:
            self.fail(f"{value!r} is not a size such as 1000000, 512KiB or 64MiB.", param, ctx)
        return size


class OrOff(click.ParamType):  # type: ignore[type-arg] # not generic in older versions
    """What another type takes, or the word off, which is None."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.name = inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the other type makes of it, or None."""
        return None if str(value).lower() == "off" else self.inner.convert(value, param, ctx)


SIZE = Size()
COUNT = click.IntRange(min=1)
SECONDS = click.FloatRange(min=0, min_open=True)
SECONDS_OR_NONE = click.FloatRange(min=0)
COUNT_OR_OFF = OrOff(COUNT)
SIZE_OR_OFF = OrOff(SIZE)
SECONDS_OR_OFF = OrOff(SECONDS)
SECONDS_NONE_OR_OFF = OrOff(SECONDS_OR_NONE)
METAVARS = {SIZE: "SIZE", SIZE_OR_OFF: "SIZE", COUNT: "N", COUNT_OR_OFF: "N"}


@dataclass(frozen=True, slots=True)
class LimitOption:
    """An option that sets a field of `Limits`."""

    name: str
    field: str
    type: Any  # one of click's parameter types, not generic in older versions
    help: str


LIMIT_OPTIONS = (
    LimitOption("max-connections", "max_connections", COUNT, "Connections in all."),
    LimitOption(
        "max-connections-per-address",
        "max_connections_per_address",
        COUNT,
        "Connections from one address.",
    ),
    LimitOption(
        "max-connections-per-network",
        "max_connections_per_network",
        COUNT,
        "Connections from one /24, or /64 of IPv6.",
    ),
    LimitOption(
        "max-connects",
        "max_connects_per_second",
        COUNT_OR_OFF,
        "Connections a second from one address; off if unset.",
    ),
    LimitOption(
        "max-streams", "max_streams_per_connection", COUNT, "Streams on an HTTP/2 connection."
    ),
    LimitOption("max-body", "max_body_bytes", SIZE, "A request's body."),
    LimitOption("max-header", "max_header_bytes", SIZE, "A request's head."),
    LimitOption("max-topics", "max_topics_per_stream", COUNT, "Topics that one stream follows."),
    LimitOption("max-unread", "max_unread_bytes", SIZE, "What a client may send ahead of answers."),
    LimitOption(
        "max-unsent", "max_unsent_bytes", SIZE, "What the kernel takes for one that does not read."
    ),
    LimitOption(
        "max-futile-streams",
        "max_futile_streams_per_second",
        COUNT,
        "HTTP/2 requests a second that come to nothing.",
    ),
    LimitOption(
        "max-control-frames",
        "max_control_frames_per_second",
        COUNT,
        "HTTP/2 frames a second that carry no request.",
    ),
    LimitOption(
        "compress-above", "compress_above", SIZE_OR_OFF, "Compress events over this; off if unset."
    ),
    LimitOption("head-timeout", "head_timeout", SECONDS, "For a request's head, or a handshake."),
    LimitOption("body-timeout", "body_timeout", SECONDS, "For a request's body."),
    LimitOption("heartbeat", "heartbeat", SECONDS, "Silence before a comment is sent."),
    LimitOption("write-timeout", "write_timeout", SECONDS, "A client may take nothing so long."),
    LimitOption(
        "unacknowledged-timeout",
        "unacknowledged_timeout",
        SECONDS,
        "A client's machine may be silent so long.",
    ),
    LimitOption(
        "idle-timeout", "idle_timeout", SECONDS, "A connection may have no stream so long."
    ),
    LimitOption("ping-interval", "ping_interval", SECONDS, "HTTP/2: silence before a PING."),
    LimitOption("ping-timeout", "ping_timeout", SECONDS, "HTTP/2: for the answer to it."),
    LimitOption(
        "max-lifetime", "max_lifetime", SECONDS_OR_OFF, "Streams end after this; off if unset."
    ),
    LimitOption(
        "held-warning",
        "held_warning",
        SECONDS_OR_OFF,
        "Say so if the event loop is held so long, or off.",
    ),
    LimitOption(
        "drain-timeout", "drain_timeout", SECONDS_OR_NONE, "What a graceful stop may take."
    ),
    LimitOption(
        "stop-timeout",
        "stop_timeout",
        SECONDS,
        "A handler that was told to stop may go on for.",
    ),
    LimitOption(
        "reconnect-spread",
        "reconnect_spread",
        SECONDS_OR_NONE,
        "A graceful stop spreads reconnects over this.",
    ),
    LimitOption(
        "retry", "retry", SECONDS_NONE_OR_OFF, "Reconnection time that clients are given, or off."
    ),
    LimitOption(
        "retry-when-full",
        "retry_when_full",
        SECONDS_NONE_OR_OFF,
        "Tell EventSource to come back after this, not 503, when full.",
    ),
)


def limit_options(command: Command) -> Command:
    """Add an option for each limit, whose default is that of `Limits`; a decorator."""
    defaults = Limits()
    for option in reversed(LIMIT_OPTIONS):
        value = getattr(defaults, option.field)
        default = _size(value) if option.type is SIZE and value is not None else value
        command = click.option(
            f"--{option.name}",
            type=option.type,
            default=default,
            show_default=default is not None,
            metavar=METAVARS.get(option.type, "SECONDS"),
            help=option.help,
        )(command)
    return command


def _size(value: int) -> str:
    return f"{value >> 20}MiB" if value % 2**20 == 0 else f"{value >> 10}KiB"


def limits_from(values: Mapping[str, Any]) -> Limits:
    """Make `Limits` of the values of the options that `limit_options` added."""
    return Limits(**{each.field: values[each.name.replace("-", "_")] for each in LIMIT_OPTIONS})
