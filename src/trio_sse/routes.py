"""From a request to what to do with it: answer, follow topics of a hub, or run a handler.

Pure and synchronous: nothing here waits, and nothing is sent. The connection carries out a
decision, the same way for HTTP/1.1 and HTTP/2. Paths are exact, or have segments such as
`{name}` that stand for one segment each; there are no other patterns.

Owns what every path has without asking: 404, 405 with Allow, OPTIONS, HEAD (decided as GET;
the connection sends only the head), and the CORS fields on every decision. It does not catch
what an endpoint raises: what a failed request looks like is for the connection to say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from .cors import Cors
from .message import Request, Response, check_headers

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["STREAM_HEADERS", "Decision", "Endpoint", "Follow", "Handle", "Handler", "Routes"]

STREAM_HEADERS = (
    ("content-type", "text/event-stream"),
    # no-transform: a proxy that compresses a stream holds events back to do so.
    ("cache-control", "no-cache, no-transform"),
    # nginx buffers an answer unless it says so itself.
    ("x-accel-buffering", "no"),
)
"""What the answer that opens a stream says, beside the headers of the decision."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Stream what a hub publishes on these topics.

    Raises InvalidTopic, and ValueError for a header that must not be sent.
    """

    hub: Hub
    topics: tuple[str, ...]
    last_event_id: str | None = None
    """Where to resume; None starts with what is published next."""
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.hub.selectors(self.topics)
        check_headers(self.headers)


@dataclass(frozen=True, slots=True)
class Handle:
    """Run a handler, which streams."""

    handler: Handler
    eager: bool = True
    """Whether the stream opens without waiting for the handler's first event."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What the `{name}` segments of the path stood for, percent-decoded."""
    headers: tuple[tuple[str, str], ...] = ()


Decision = Response | Follow | Handle
# The argument is a Stream of the connection, a layer above, whose name is not known here.
Handler = Callable[[Any], Awaitable[Response | None]]
Endpoint = Handler | Callable[[Request], Response | Follow]
E = TypeVar("E", bound=Callable[[Any], Any])

_METHOD = re.compile(r"[A-Z][A-Z-]*")
_OWN_METHODS = frozenset({"HEAD", "OPTIONS", "CONNECT"})


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    segments: tuple[str, ...]
    endpoint: Callable[[Any], Any]
    eager: bool
    streams: bool
    """Whether the endpoint is a handler. Asked once: `inspect` takes longer than the rest."""

    @property
    def shape(self) -> tuple[str, tuple[str, ...]]:
        """What makes two routes the same one: their parameters' names do not count."""
        return self.method, tuple("{}" if _is_name(part) else part for part in self.segments)

    @property
    def is_exact(self) -> bool:
        return not any(_is_name(part) for part in self.segments)

    def match(self, path: list[str]) -> dict[str, str] | None:
        """Return the parameters if the path is one of this route's, else None."""
        if len(path) != len(self.segments):
            return None
        params = {}
        for part, found in zip(self.segments, path, strict=True):
            if _is_name(part) and found:
                params[part[1:-1]] = found
            elif part != found:
                return None
        return params


class Routes:
    """The paths of a server. `cors` says which other origins' pages may use them."""

    __slots__ = ("_routes", "cors")

    def __init__(self, cors: Cors | None = None) -> None:
        self.cors = cors
        self._routes: list[_Route] = []

    def get(
        self, path: str, endpoint: Endpoint | None = None, *, eager: bool = True
    ) -> Callable[[E], E]:
        """Register an endpoint for GET (and so HEAD); as `add`."""
        return self.add("GET", path, endpoint, eager=eager)

    def post(
        self, path: str, endpoint: Endpoint | None = None, *, eager: bool = True
    ) -> Callable[[E], E]:
        """Register an endpoint for POST; as `add`."""
        return self.add("POST", path, endpoint, eager=eager)

    def add(
        self,
        methods: str | Iterable[str],
        path: str,
        endpoint: Endpoint | None = None,
        *,
        eager: bool = True,
    ) -> Callable[[E], E]:
        """Register an endpoint at once, or, used as a decorator, the function that follows.

        An `async def` is a streaming handler and takes a Stream; a plain function takes the
        Request and returns a Response or a Follow. `path` is written decoded; a segment
        `{name}` matches one segment that is not empty. A route without such segments goes
        before one that has them, and an earlier before a later one. `eager=False` is for a
        streaming handler that may answer with a Response instead of a stream.

        Raises ValueError: the path is malformed, a method is not one that can be registered,
        or the route exists already. Raises TypeError: the endpoint is not of those two kinds.
        """
        segments = _segments(path)
        wanted = [methods] if isinstance(methods, str) else list(methods)
        for method in wanted:
            if not _METHOD.fullmatch(method) or method in _OWN_METHODS:
                raise ValueError(
                    f"{method!r} cannot be registered: a method is in capitals, and HEAD, "
                    "OPTIONS and CONNECT are answered by the server"
                )

        def register(endpoint: E) -> E:
            if not callable(endpoint) or inspect.isasyncgenfunction(endpoint):
                raise TypeError(f"{path}: {endpoint!r} is neither a function nor an async function")
            for method in wanted:
                route = _Route(method, segments, endpoint, eager, _is_handler(endpoint))
                if any(route.shape == other.shape for other in self._routes):
                    raise ValueError(f"{method} {path} is registered already")
                self._routes.append(route)
            # The sort is stable: exact paths first, otherwise as registered.
            self._routes.sort(key=lambda route: not route.is_exact)
            return endpoint

        if endpoint is not None:
            register(endpoint)
        return register

    def decide(self, request: Request) -> Decision:
        """Return what to do with a request. What a plain endpoint raises comes out of here."""
        found = self._find(request.target)
        if self.cors is None:
            return _decide(request, found)
        if found and (preflight := self.cors.preflight(request)) is not None:
            return preflight
        decision = _decide(request, found)
        fields = self.cors.headers(request.headers.get("origin"))
        return replace(decision, headers=(*decision.headers, *fields))

    def _find(self, target: str) -> dict[str, tuple[_Route, dict[str, str]]]:
        """Return the routes that a target belongs to by method, with their parameters."""
        # Split before decoding: %2F is part of a segment, not a border between two.
        path = [unquote(part) for part in target.partition("?")[0].split("/")[1:]]
        found: dict[str, tuple[_Route, dict[str, str]]] = {}
        for route in self._routes:
            params = route.match(path)
            if params is not None:
                found.setdefault(route.method, (route, params))
        return found


def _decide(request: Request, found: dict[str, tuple[_Route, dict[str, str]]]) -> Decision:
    method = "GET" if request.method == "HEAD" else request.method
    if method in found:
        return _ask(*found[method], request)
    if (method, request.target) == ("OPTIONS", "*"):
        # About the server, not about a path (RFC 9110, 9.3.7).
        return Response(204)
    if not found:
        return Response.text(404, "There is nothing at this path.")
    also = ("HEAD", "OPTIONS") if "GET" in found else ("OPTIONS",)
    allow = ", ".join(sorted((*found, *also)))
    if method == "OPTIONS":
        return Response(204, headers=(("allow", allow),))
    return Response.text(405, f"This path takes {allow} only.", ("allow", allow))


def _ask(route: _Route, params: dict[str, str], request: Request) -> Decision:
    if route.streams:
        return Handle(route.endpoint, eager=route.eager, params=params)
    decision = route.endpoint(request)
    if not isinstance(decision, Response | Follow):
        raise TypeError(
            f"{route.method} /{'/'.join(route.segments)}: a plain function returns a Response or "
            f"a Follow, not {decision!r}; to stream, make it an async def"
        )
    return decision


def _is_handler(endpoint: Callable[[Any], Any]) -> bool:
    """Whether an endpoint, or the object whose call it is, is an async function."""
    call = getattr(endpoint, "__call__", None)  # noqa: B004  # its kind is asked, not whether
    return inspect.iscoroutinefunction(endpoint) or inspect.iscoroutinefunction(call)


def _is_name(part: str) -> bool:
    return part.startswith("{")


def _segments(path: str) -> tuple[str, ...]:
    """Split a path as it is registered, raising ValueError with what is wrong with it."""
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ValueError(f"{path!r} is not a path: it begins with / and has no ? or #")
    segments = tuple(path.split("/")[1:])
    names = []
    for part in segments:
        if _is_name(part) and part.endswith("}") and part[1:-1].isidentifier():
            names.append(part)
        elif "{" in part or "}" in part:
            raise ValueError(f"{path}: {part!r} must be a whole segment like {{name}}")
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two segments have the same name")
    return segments
