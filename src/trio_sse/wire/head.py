"""HTTP/1: the rules for a request head that h11 leaves to its user (RFC 9112, 3, 6 and 9110).

h11 has done the grammar: token, field lines, one Host, a Content-Length that is one number,
no transfer coding but chunked. What remains is what the parts say together: which version,
whose host, where the body ends. Whatever two servers on the way could read in two ways is
refused, so that none can be led past another.
"""

from __future__ import annotations

import re
from typing import Literal

import h11

from ..limits import Limits
from ..message import Headers, Peer, Request
from . import Refused

__all__ = ["body_too_large", "read_head"]

# RFC 9112, 3.2.1 and 3.2.2; the authority as in RFC 3986, 3.2, without user information,
# which RFC 9110, 4.2.4 tells a recipient to treat as an error.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:[0-9]*)?", re.ASCII)
_ORIGIN_FORM = re.compile(r"/[^#]*")
_ABSOLUTE_FORM = re.compile(r"https?://([^/?#]+)(/[^?#]*)?(\?[^#]*)?", re.IGNORECASE)


def read_head(
    event: h11.Request, limits: Limits, *, peer: Peer, scheme: Literal["http", "https"]
) -> Request | Refused:
    """Return the request without its body, or which rule it breaks."""
    version = event.http_version
    if version not in (b"1.0", b"1.1"):
        return Refused(505, "This server speaks HTTP/1.0, HTTP/1.1 and HTTP/2.")
    method = event.method.decode()
    if method == "CONNECT":
        return Refused(501, "This server opens no tunnels.")
    headers = Headers.from_wire(event.headers)
    if "transfer-encoding" in headers and (version == b"1.0" or "content-length" in headers):
        # Where the body ends would depend on who reads it (RFC 9112, 6.1).
        return Refused(400, "Transfer-Encoding goes with HTTP/1.1 and without Content-Length.")
    # At most 20 digits: h11 has refused longer ones.
    if int(headers.get("content-length", "0")) > limits.max_body_bytes:
        return body_too_large(limits)
    host = headers.get("host", "")
    if not _AUTHORITY.fullmatch(host):
        return Refused(400, "The Host field is not a name or address with perhaps a port.")
    target = event.target.decode()
    if absolute := _ABSOLUTE_FORM.fullmatch(target):
        authority, path, query = absolute.groups(default="")
        # RFC 9112, 3.2.2 has the target win; but who names two hosts is up to something.
        if not _AUTHORITY.fullmatch(authority) or host.lower() not in ("", authority.lower()):
            return Refused(400, "The request target and the Host field name different hosts.")
        host, target = authority, (path or "/") + query
    elif not _ORIGIN_FORM.fullmatch(target) and (method, target) != ("OPTIONS", "*"):
        return Refused(400, "The request target is neither a path nor an http(s) URL.")
    return Request(
        method,
        target,
        headers,
        protocol="HTTP/1.0" if version == b"1.0" else "HTTP/1.1",
        scheme=scheme,
        authority=host,
        peer=peer,
    )


def body_too_large(limits: Limits) -> Refused:
    """Return the refusal of a body over the limit."""
    return Refused(413, f"The request body is larger than {limits.max_body_bytes} bytes.")
