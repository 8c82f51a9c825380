"""Clients of event streams and hubs, over httpx on Trio: what `listen` and `publish` do.

`request` makes one request and says what became of it, `listener` follows a stream over
reconnects. Of this package only `event` is needed, whose decoder reads the streams.
"""

from .listener import Backoff, Listener
from .request import Away, Refused, hub_url, open_client, post, stream_url

__all__ = [
    "Away",
    "Backoff",
    "Listener",
    "Refused",
    "hub_url",
    "open_client",
    "post",
    "stream_url",
]
