"""trio-sse: a Server-Sent Events hub and embeddable server on Trio.

What programs embed is named here. Names are looked up when they are first used, so that
`trio_sse.event` and its decoder can be imported where Trio cannot (under gevent, for one).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import Stream, StreamClosed
    from .cors import Cors
    from .event import Decoder, Event, EventTooLarge, InvalidEvent, encode
    from .hub import GAP_TYPE, Hub, HubStatistics, InvalidTopic, Subscription, open_hub
    from .limits import Limits
    from .listening import Address, Bind, BindError
    from .log import DuplicateId
    from .message import Headers, Peer, Request, Response
    from .routes import Follow, Routes
    from .server import Server, serve
    from .statistics import ServerStatistics

__all__ = [
    "GAP_TYPE",
    "Address",
    "Bind",
    "BindError",
    "Cors",
    "Decoder",
    "DuplicateId",
    "Event",
    "EventTooLarge",
    "Follow",
    "Headers",
    "Hub",
    "HubStatistics",
    "InvalidEvent",
    "InvalidTopic",
    "Limits",
    "Peer",
    "Request",
    "Response",
    "Routes",
    "Server",
    "ServerStatistics",
    "Stream",
    "StreamClosed",
    "Subscription",
    "encode",
    "open_hub",
    "serve",
]

__version__ = "0.1.0"

_HOMES = {
    "connection": ("Stream", "StreamClosed"),
    "cors": ("Cors",),
    "event": ("Decoder", "Event", "EventTooLarge", "InvalidEvent", "encode"),
    "hub": ("GAP_TYPE", "Hub", "HubStatistics", "InvalidTopic", "Subscription", "open_hub"),
    "limits": ("Limits",),
    "listening": ("Address", "Bind", "BindError"),
    "log": ("DuplicateId",),
    "message": ("Headers", "Peer", "Request", "Response"),
    "routes": ("Follow", "Routes"),
    "server": ("Server", "serve"),
    "statistics": ("ServerStatistics",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
