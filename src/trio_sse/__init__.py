"""trio-sse: a Server-Sent Events hub and embeddable server on Trio."""

from .connection import Stream, StreamClosed
from .cors import Cors
from .event import Decoder, Event, InvalidEvent, encode
from .hub import Hub, InvalidTopic, Subscription, open_hub
from .limits import Limits
from .listening import Address, Bind, BindError
from .message import Headers, Peer, Request, Response
from .routes import Follow, Routes
from .server import Server, ServerStatistics, serve

__all__ = [
    "Address",
    "Bind",
    "BindError",
    "Cors",
    "Decoder",
    "Event",
    "Follow",
    "Headers",
    "Hub",
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
