"""The text/event-stream format, both ways: `event` makes and writes, `decoder` reads.

Pure values and bytes, no I/O, no clock, no Trio: load clients run this under gevent.
"""

from .decoder import Decoder
from .event import Event, EventTooLarge, InvalidEvent, encode, encode_comment

__all__ = ["Decoder", "Event", "EventTooLarge", "InvalidEvent", "encode", "encode_comment"]
