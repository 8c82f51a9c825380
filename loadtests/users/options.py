"""The arguments that runs of Server-Sent Events add to Locust's, on its command line, in its
environment variables and on its web page.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

from locust.argument_parser import LocustArgumentParser

from .post import MERCURE
from .settings import WIDTHS, Burst, Stall, numbers, urls

__all__ = ["add_arguments"]


def add_arguments(parser: LocustArgumentParser, **_: object) -> None:
    """Add them; Locust calls this before it reads its command line."""
    hub = parser.add_argument_group(
        "Server-Sent Events: whom to load",
        "With --host https://... it is TLS; certificates are not checked.",
    )
    hub.add_argument(
        "--hubs",
        type=_checked(urls),
        default="",
        metavar="<url,url>",
        env_var="LOCUST_SSE_HUBS",
        help="All servers, if there are several: users are dealt over them in turn, and every "
        "event is published to each. Default: the one that --host names.",
    )
    hub.add_argument(
        "--subscribe-path",
        default=MERCURE,
        metavar="<path>",
        env_var="LOCUST_SSE_SUBSCRIBE_PATH",
        help=f"Where users listen; ?topic=... is added. Default: {MERCURE}",
    )
    hub.add_argument(
        "--publish-path",
        default=MERCURE,
        metavar="<path>",
        env_var="LOCUST_SSE_PUBLISH_PATH",
        help="Where events are posted: as a form if it is the default, else as bare data, with "
        f"?topic=... added. Default: {MERCURE}",
    )
    hub.add_argument(
        "--topic",
        default="load",
        metavar="<name>",
        env_var="LOCUST_SSE_TOPIC",
        help="What everyone listens to. Default: load",
    )
    hub.add_argument(
        "--allow-remote",
        action="store_true",
        env_var="LOCUST_SSE_ALLOW_REMOTE",
        help="Load a server that is not on this machine. It must be yours.",
    )
    _add_load(parser)
    _add_course(parser)


def _add_load(parser: LocustArgumentParser) -> None:
    load = parser.add_argument_group("Server-Sent Events: the load")
    load.add_argument(
        "--streams",
        type=int,
        default=100,
        metavar="<number>",
        env_var="LOCUST_SSE_STREAMS",
        help="HTTP/2: users that share a connection. Default: 100",
    )
    load.add_argument(
        "--windows",
        choices=WIDTHS,
        default="wide",
        env_var="LOCUST_SSE_WINDOWS",
        help="HTTP/2: how far a client opens its windows; default is 65,535 bytes, as the "
        "protocol has it. Default: wide",
    )
    load.add_argument(
        "--rate",
        type=float,
        default=1.0,
        metavar="<number>",
        env_var="LOCUST_SSE_RATE",
        help="Events published a second. With 0 nothing is published. Default: 1",
    )
    load.add_argument(
        "--event-bytes",
        type=int,
        default=150,
        metavar="<bytes>",
        env_var="LOCUST_SSE_EVENT_BYTES",
        help="Length of an event's data. Default: 150",
    )
    load.add_argument(
        "--burst",
        type=_checked(Burst.read),
        default="",
        metavar="<events@second>",
        env_var="LOCUST_SSE_BURST",
        help="Publish so many events at once, beside the rate.",
    )
    load.add_argument(
        "--drop-all-at",
        type=_checked(float),
        default="",
        metavar="<second>",
        env_var="LOCUST_SSE_DROP_ALL_AT",
        help="Cut all connections at once. They come back with their Last-Event-ID, as those of "
        "browsers do.",
    )
    load.add_argument(
        "--stall",
        type=_checked(Stall.read),
        default="",
        metavar="<connections@second:seconds>",
        env_var="LOCUST_SSE_STALL",
        help="Have so many connections read nothing for so long.",
    )
    for action in load._group_actions:
        # What LocustArgumentParser.add_argument says of arguments that are in no group.
        vars(action).update(
            include_in_web_ui=True, is_secret=False, is_required=False, is_multiple=False
        )


def _add_course(parser: LocustArgumentParser) -> None:
    course = parser.add_argument_group(
        "Server-Sent Events: the course of a run",
        "Measuring begins when all users are connected and --settle seconds have passed, and goes "
        "on for --run-time, which is counted from there. Seconds above are counted from there too.",
    )
    course.add_argument(
        "--settle",
        type=float,
        default=5.0,
        metavar="<seconds>",
        env_var="LOCUST_SSE_SETTLE",
        help="From the last connection to the first measured event. Default: 5",
    )
    course.add_argument(
        "--ramp",
        type=_checked(numbers),
        default="",
        metavar="<users,users>",
        env_var="LOCUST_SSE_RAMP",
        help="Measure with so many users, then with so many, and so on; instead of --users.",
    )
    course.add_argument(
        "--step-seconds",
        type=float,
        default=15.0,
        metavar="<seconds>",
        env_var="LOCUST_SSE_STEP_SECONDS",
        help="With --ramp: how long each step is measured. Default: 15",
    )
    course.add_argument(
        "--expect-gap",
        action="store_true",
        env_var="LOCUST_SSE_EXPECT_GAP",
        help="Events may be lost where the server says so (event: trio-sse.gap).",
    )
    course.add_argument(
        "--sse-output",
        default="",
        metavar="<file>",
        env_var="LOCUST_SSE_OUTPUT",
        help="Write everything that was measured to this JSON file. Only with --headless.",
    )


def _checked(read: Callable[[str], object]) -> Callable[[str], str]:
    """Return what checks an argument and leaves it as it is written."""

    def check(text: str) -> str:
        if text:
            try:
                read(text)
            except ValueError as error:
                raise ArgumentTypeError(str(error)) from None
        return text

    return check
