"""Our routes and the hub as an ASGI 3 application, for servers that run on Trio.

    app = trio_sse.asgi.application(routes)          in a module of your own, or
    hypercorn --worker-class trio 'trio_sse.asgi:hub()'

The server owns sockets, protocols and limits on connections. What is answered, and how a stream
lives, is the same as on our own server. Everything under it is the same code, but for one thing:
ASGI can only wait for a server to take bytes, so here each follower costs a task and each event
a wait for each of them.

Refuses: asyncio, at the start and in a sentence; WebSockets.
"""

from ..cors import Cors
from ..limits import Limits
from ..mercure import PATH
from .application import Application, ApplicationStatistics
from .sidecar import hub

# `Cors` and `Limits` for those who write `trio_sse.asgi:hub(cors=Cors([…]))` on a command line.
__all__ = ["PATH", "Application", "ApplicationStatistics", "Cors", "Limits", "application", "hub"]

application = Application
"""What reads better in a module: `app = application(routes)`."""
