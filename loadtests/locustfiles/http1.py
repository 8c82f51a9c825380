"""Everyone holds an HTTP/1.1 connection and is sent every event.

locust -f loadtests/locustfiles/http1.py --host http://127.0.0.1:8080 --processes 2
"""

from loadtests.users.beginning import begin
from loadtests.users.listeners import Http1Listener
from loadtests.users.publisher import EventPublisher

begin()


class Listener(Http1Listener):
    """Follows the topic; reconnects with Last-Event-ID."""


class Publisher(EventPublisher):
    """Publishes to the topic."""
