"""Requests and responses as plain values, the same for HTTP/1.1 and HTTP/2.

Bottom layer: knows nothing of sockets, h11, h2 or Trio. The wire modules make a
`Request` from bytes, `routes` turns it into what to do, handlers read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, overload
from urllib.parse import parse_qsl, unquote

__all__ = ["Headers", "Peer", "Protocol", "Request", "Response", "check_headers"]

# RFC 9110, 5.6.2 and 5.5.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(r"[\0-\x08\n-\x1f\x7f\ud800-\udfff]|\A[ \t]|[ \t]\Z")

Protocol = Literal["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"]


class Headers:
    """Header fields in the order received; names are lower case, look-up ignores case.

    Values are text: UTF-8 where the bytes are UTF-8 (browsers send Last-Event-ID so), else
    ISO-8859-1, which never fails (RFC 9110, 5.5).
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple((name.lower(), value) for name, value in pairs)

    @classmethod
    def from_wire(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Make headers of the raw pairs that h11 and h2 hand out."""
        return cls((name.decode("latin-1"), _text(value)) for name, value in pairs)

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of the field called `name`, or `default`."""
        name = name.lower()
        return next((value for key, value in self._pairs if key == name), default)

    def get_all(self, name: str) -> list[str]:
        """Return every value of the field called `name`, in order."""
        name = name.lower()
        return [value for key, value in self._pairs if key == name]

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: an address and port, or `host` = "unix" for a Unix socket."""

    host: str
    port: int = 0

    @property
    def is_loopback(self) -> bool:
        """True for 127.0.0.0/8, ::1 and IPv4 loopback mapped into IPv6; not for Unix sockets."""
        host = self.host.removeprefix("::ffff:")
        return host == "::1" or host.startswith("127.")

    def __str__(self) -> str:
        if self.host == "unix":
            return "unix"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete with its body. Every field is what the client sent, unverified."""

    method: str
    target: str
    """Path and query as sent, for example `/events?topic=a`."""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    protocol: Protocol = "HTTP/1.1"
    scheme: Literal["http", "https"] = "http"
    authority: str = ""
    """The Host field or HTTP/2's :authority."""
    peer: Peer = Peer("unknown")

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names and values of the query, in order, decoded (WHATWG URL, 5.1)."""
        return list(_parse_query(self.target.partition("?")[2]))

    def query_all(self, name: str) -> list[str]:
        """Return every value of the query parameter called `name`, in order."""
        return [value for key, value in self.query if key == name]

    @property
    def last_event_id(self) -> str | None:
        """Where the client left off, or None.

        The header a reconnecting EventSource sends wins over the query parameter
        `lastEventID`, which a page sets once and which is stale on every reconnect
        (WHATWG HTML, 9.2.4; Mercure, "Reconciliation").
        """
        header = self.headers.get("last-event-id")
        if header:
            return header
        return next((value for value in self.query_all("lastEventID") if value), None)

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name; where a name is repeated the first counts (RFC 6265, 5.4)."""
        found: dict[str, str] = {}
        for line in self.headers.get_all("cookie"):
            for pair in line.split(";"):
                name, equals, value = pair.strip().partition("=")
                if equals:
                    found.setdefault(name, value.strip('"'))
        return found


@dataclass(frozen=True, slots=True)
class Response:
    """A finite answer: a status, a body, and headers beside those the server adds itself.

    Checked here, where the mistake is made: on the wire it would cost other streams of the same
    connection. Raises ValueError for a header that would be malformed or break out of its line
    and for a status that is not final, TypeError for a body that is not bytes.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"the status of a response is 200 to 599, not {self.status}")
        if not isinstance(self.body, bytes):
            raise TypeError(f"the body of a response is bytes, not {type(self.body).__name__}")
        check_headers(self.headers)

    @classmethod
    def text(cls, status: int, message: str, *headers: tuple[str, str]) -> Response:
        """Make a short plain-text answer; a line end is added."""
        content_type = ("content-type", "text/plain; charset=utf-8")
        return cls(status, message.encode() + b"\n", (content_type, *headers))


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError for a header that must not be sent (RFC 9110, 5.1 and 5.5)."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if _NOT_IN_A_VALUE.search(value):
            wrong = "a control character, half of a surrogate pair, or space around it"
            raise ValueError(f"{name}: the value {value!r} has {wrong}")


# One request is asked for several parameters in a row, each by its name.
@lru_cache(maxsize=1)
def _parse_query(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
