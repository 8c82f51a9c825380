"""Which pages of other origins may read answers, and what they are told (Fetch, "CORS protocol").

Pure: origins in, header fields out. An origin is allowed by name or not at all; a page whose
origin is not allowed gets an ordinary answer without these fields, which its browser then
keeps from it. Refused at construction, where the operator sees it: an origin that no browser
would ever send, and `*` together with credentials, which would let any page act as the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .message import Request, Response

__all__ = ["Cors"]

# A serialised origin: scheme, host, port, and nothing after it (RFC 6454, 6.2).
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]+))?")
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Cors:
    """An allowlist of origins, such as `https://app.example.org`.

    `origins` are compared exactly, after the host is put in lower case and a default port is
    left out, as browsers do. `"*"` allows every origin and needs `credentials=False`; `"null"`
    (sandboxed pages, files) is an origin like any other. `methods` and `headers` are what a
    page may use beyond plain requests; `max_age` is for how many seconds a browser may
    remember that. Raises ValueError, with the origin and what is wrong with it.
    """

    __slots__ = ("_any", "_fields", "_origins", "_preflight")

    def __init__(
        self,
        origins: Iterable[str],
        *,
        credentials: bool = True,
        methods: Iterable[str] = ("GET", "HEAD", "POST"),
        headers: Iterable[str] = (
            "last-event-id",
            "content-type",
            "authorization",
            "cache-control",
        ),
        max_age: int = 600,
    ) -> None:
        if isinstance(origins, str):
            raise ValueError(f"origins must be a list of origins, not the text {origins!r}")
        self._origins = frozenset(_origin(origin) for origin in origins)
        self._any = "*" in self._origins
        if self._any and credentials:
            raise ValueError(
                'the origin "*" with credentials would let any web page act as its visitor: '
                "name the origins, or pass credentials=False"
            )
        # Mercure answers with the id a stream starts from; pages see no field not named here.
        self._fields: tuple[tuple[str, str], ...] = (
            ("access-control-expose-headers", "last-event-id"),
            *((("access-control-allow-credentials", "true"),) if credentials else ()),
        )
        self._preflight = (
            ("access-control-allow-methods", _tokens("methods", methods)),
            ("access-control-allow-headers", _tokens("headers", headers)),
            ("access-control-max-age", str(max_age)),
        )

    def allows(self, origin: str) -> bool:
        """Return whether pages of this origin may read answers; `"*"` allows all of them."""
        return self._any or origin in self._origins

    def names(self, origin: str) -> bool:
        """Return whether this very origin is on the list; `"*"` names nobody."""
        return origin != "*" and origin in self._origins

    def headers(self, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return the fields for the answer to a request with this Origin field, or none.

        `vary: origin` is always among them, or a cache would hand one origin's answer to
        another (Fetch, "CORS protocol and HTTP caches").
        """
        vary = ("vary", "origin")
        if origin is None or not self.allows(origin):
            return (vary,)
        allowed = "*" if self._any else origin
        return (vary, ("access-control-allow-origin", allowed), *self._fields)

    def preflight(self, request: Request) -> Response | None:
        """Return the answer to a browser's question before a request, or None if it is none.

        What is asked for is not looked at: the browser compares it with what is allowed.
        """
        origin = request.headers.get("origin")
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if origin is None or not asks:
            return None
        allowed = self._preflight if self.allows(origin) else ()
        return Response(204, headers=(*self.headers(origin), *allowed))


def _origin(origin: str) -> str:
    """Return an origin as browsers write it."""
    if origin in ("*", "null"):
        return origin
    lowered = origin.lower()
    match = _ORIGIN.fullmatch(lowered)
    if match is None:
        raise ValueError(f"{origin!r} is not an origin: {_what_is_wrong(lowered)}")
    scheme, host, port = match.groups()
    shown = "" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}"
    return f"{scheme}://{host}{shown}"


def _what_is_wrong(origin: str) -> str:
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return "it must begin with a scheme, like https://app.example.org"
    if "/" in rest:
        return f"leave out what follows the host, so {scheme}://{rest.partition('/')[0]}"
    if not rest.isascii():
        return "write the host in the ASCII form that browsers send (xn--...)"
    if "*" in rest:
        return "there are no patterns, each origin is named"
    return "it must be a scheme, a host and perhaps a port, like https://app.example.org:8443"


def _tokens(what: str, tokens: Iterable[str]) -> str:
    """Return a list of names as a field value, refusing what would break the field."""
    names = tuple(tokens)
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be among the allowed {what}")
    return ", ".join(names)
