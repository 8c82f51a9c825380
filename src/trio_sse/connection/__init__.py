"""Connections: the only place where wire, hub and transport meet.

Each is one task, and more when there is need. `negotiate` finds out what the client speaks, and the
connection it returns serves the client to the end, whoever brings that about.
"""

from .exchange import StreamClosed
from .negotiation import Connection, negotiate
from .service import Counters, Service
from .stream import Stream

__all__ = ["Connection", "Counters", "Service", "Stream", "StreamClosed", "negotiate"]
