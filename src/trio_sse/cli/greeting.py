"""What a running hub says about itself: to the operator at the start, to visitors at `/`.

Both show commands that work as they stand, for people and for those who copy and paste.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import __version__
from ..listening import Address
from ..mercure import PATH, PublishFrom
from ..message import Request, Response

__all__ = ["front_page", "healthz", "hints"]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound
"""Addresses to listen on but not to connect to, and what to connect to instead."""

FRONT_PAGE = f"""\
trio-sse {__version__}: a Server-Sent Events hub.

  GET  {PATH}?topic=NAME
         follows a topic; repeat topic= for more, * is all of them
  POST {PATH}
         publishes a form: topic, data, and if you like id, type, retry
  GET  /healthz
         says "ok" while this server runs

In a page:  new EventSource("{PATH}?topic=NAME").onmessage = event => console.log(event.data)"""


def front_page(request: Request) -> Response:
    """Answer with what this server is."""
    return Response.text(200, FRONT_PAGE)


def healthz(request: Request) -> Response:
    """Answer those who ask whether the server runs."""
    return Response.text(200, "ok", ("cache-control", "no-store"))


def hints(
    addresses: Sequence[Address], publish_from: PublishFrom, is_self_signed: bool
) -> Iterator[str]:
    """Yield where the server listens, a line each, then how to listen and publish with curl."""
    for address in addresses:
        yield f"Listening on {address}"
    first = addresses[0]
    if first.unix is not None:
        options, origin = f"--unix-socket '{first.unix}' ", "http://localhost"
    else:
        options = "-k " if is_self_signed else ""
        origin = str(Address(first.scheme, EVERYWHERE.get(first.host, first.host), first.port))
    yield f"  to follow a topic:  curl -N {options}'{origin}{PATH}?topic=demo'"
    # Whoever comes by a Unix socket is no loopback address: a reverse proxy sits there.
    if publish_from == "anyone" or (publish_from == "loopback" and first.unix is None):
        yield f"  to publish to it:   curl {options}-d topic=demo -d data=hello {origin}{PATH}"
