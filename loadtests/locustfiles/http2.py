"""Everyone is a stream on an HTTP/2 connection, shared by 100, and is sent every event.

locust -f loadtests/locustfiles/http2.py --host http://127.0.0.1:8080 --processes 2
"""

from loadtests.users.beginning import begin
from loadtests.users.listeners import Http2Listener
from loadtests.users.publisher import EventPublisher

begin()


class Listener(Http2Listener):
    """Follows the topic; reconnects with Last-Event-ID."""


class Publisher(EventPublisher):
    """Publishes to the topic."""
