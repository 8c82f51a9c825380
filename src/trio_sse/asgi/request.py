"""From an ASGI scope and its messages to a `Request`, within the limits on bodies.

The server has parsed and checked what came over the wire. What is left is to put it into our
terms, and the two limits that ASGI servers do not keep: how long a body may be and take.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import trio

from ..limits import Limits
from ..message import Headers, Peer, Protocol, Request, Response

__all__ = ["Receive", "Scope", "Send", "read_body", "request_of"]

# As wide as any server's or framework's own types: some have a TypedDict for each message.
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

PROTOCOLS: dict[str, Protocol] = {
    "1.0": "HTTP/1.0",
    "1.1": "HTTP/1.1",
    "2": "HTTP/2",
    "2.0": "HTTP/2",
    "3": "HTTP/3",
}

# What RFC 3986, 3.3 lets stand in a path as it is, with the slashes between segments.
IN_A_PATH = "/:@!$&'()*+,;=~"


def request_of(scope: Scope) -> Request:
    """Return the request that a scope stands for, without its body."""
    headers = Headers.from_wire(scope["headers"])
    # None for a Unix socket, and from some clients in tests: nobody is taken for a neighbour.
    host, port = scope.get("client") or ("unknown", 0)
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(
        scope["method"],
        local_target(scope) + (f"?{query}" if query else ""),
        headers,
        protocol=PROTOCOLS.get(scope.get("http_version", "1.1"), "HTTP/1.1"),
        scheme="https" if scope.get("scheme") == "https" else "http",
        authority=headers.get("host", ""),
        peer=Peer(host, port or 0),
    )


async def read_body(headers: Headers, receive: Receive, limits: Limits) -> bytes | Response | None:
    """Return the body of a request, or what it is refused with; None if the client left.

    Waits for `Limits.body_timeout` seconds at most.
    """
    most = limits.max_body_bytes
    too_large = Response.text(413, f"The request body is larger than {most} bytes.")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        return too_large
    body = bytearray()
    with trio.move_on_after(limits.body_timeout):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > most:
                return too_large
            if not message.get("more_body", False):
                return bytes(body)
    return Response.text(408, "The request did not arrive in time.")


def local_target(scope: Scope) -> str:
    """Return the path below where the application is mounted, as the client encoded it.

    Who mounts an application adds to `root_path`. Most leave `path` whole, as the ASGI text has
    it, and some cut it; `raw_path`, where there is one, is left whole by all.
    """
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :] or "/"
    raw = (scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")
    parts = raw.split("/")
    # As many segments of raw_path as path has lost belong to where we are mounted.
    surplus, mounted = len(unquote(raw)) - len(path), 0
    while surplus > 0 and mounted + 1 < len(parts):
        mounted += 1
        surplus -= 1 + len(unquote(parts[mounted]))
    local = "/" + "/".join(parts[mounted + 1 :])
    # Else somebody has rewritten the path, and raw_path says nothing about it.
    return local if unquote(local) == path else quote(path, safe=IN_A_PATH)
