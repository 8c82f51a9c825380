"""The hub over HTTP, with the URL and the parameters of the Mercure protocol.

    GET  /.well-known/mercure?topic=T&topic=U     follow topics; `*` is all of them
    POST /.well-known/mercure                     publish a form: topic (repeated), data, id,
                                                  type, retry; answered with the event's id

Only decides; the connection streams, the hub publishes. Topics are exact: the protocol's URI
templates and its authorisation are not spoken. Refused therefore: private updates, which
would go to everyone, and publishing by those whom `publish_from` does not cover. Without
authorisation where a request comes from is all there is to go by, so anything that hints at
somebody else behind it (a proxy, a page in a browser) counts against it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import parse_qsl

from .cors import Cors
from .event import Event, EventTooLarge
from .limits import Limits
from .log import DuplicateId
from .message import Request, Response
from .routes import Follow, Routes

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["PATH", "PublishFrom", "mount"]

PATH = "/.well-known/mercure"

PublishFrom = Literal["loopback", "anyone", "nobody"]

_FORM = "application/x-www-form-urlencoded"

_SINGLE_FIELDS = ("data", "id", "type", "retry", "private")
_OTHER_FIELDS = 32
"""Fields of a form beside its topics; the protocol knows five, and more are ignored."""

# What proxies add; nginx, HAProxy, Caddy, Apache and Envoy each add at least one of these,
# some of them only when told to.
_FORWARDED = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)

# An id with one of these is not something a client got from here (see `_event`).
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RETRY = re.compile(r"[0-9]{1,18}", re.ASCII)


class _Refusal(Exception):
    """A request that is answered with this status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def mount(
    routes: Routes,
    hub: Hub,
    *,
    publish_from: PublishFrom = "loopback",
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> None:
    """Add the hub's path to `routes`.

    `publish_from` says who may publish: "loopback", programs on this machine that connect
    directly; "anyone" that reaches the server; "nobody" over HTTP. A page in a browser must,
    with each of them, come from an origin that `routes.cors` names.
    """
    if publish_from not in get_args(PublishFrom):
        raise ValueError(f"publish_from must be one of {get_args(PublishFrom)}: {publish_from!r}")

    def subscribe(request: Request) -> Response | Follow:
        try:
            return _follow(request, hub, limits)
        except _Refusal as refusal:
            return Response.text(refusal.status, str(refusal))

    def publish(request: Request) -> Response:
        try:
            event_id = _publish(request, hub, limits, publish_from, routes.cors)
        except _Refusal as refusal:
            return Response.text(refusal.status, str(refusal))
        # Exactly the id, without a line end: clients take the whole body for it.
        headers = (("content-type", "text/plain; charset=utf-8"),)
        return Response(200, event_id.encode(), headers)

    routes.get(PATH, subscribe)
    if publish_from != "nobody":
        routes.post(PATH, publish)


def _follow(request: Request, hub: Hub, limits: Limits) -> Follow:
    query = _parse(request.target.partition("?")[2], limits)
    topics = _topics(query, limits)
    last_event_id = request.last_event_id
    if last_event_id is not None and _CONTROL.search(last_event_id):
        raise _Refusal(400, "Last-Event-ID has control characters in it.")
    try:
        return Follow(hub, topics, last_event_id)
    except ValueError as error:  # InvalidTopic
        raise _Refusal(400, str(error)) from None


def _publish(
    request: Request, hub: Hub, limits: Limits, publish_from: PublishFrom, cors: Cors | None
) -> str:
    _check_page(request, cors)
    if publish_from == "loopback":
        _check_loopback(request)
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise _Refusal(415, f"Publish with a form: content-type {_FORM}.")
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        raise _Refusal(400, "The form is not UTF-8.") from None
    form = _parse(body, limits)
    topics = _topics(form, limits)
    try:
        return hub.publish(topics, _event(form))
    except DuplicateId as error:
        raise _Refusal(409, str(error)) from None
    except EventTooLarge as error:
        raise _Refusal(413, str(error)) from None
    except ValueError as error:  # InvalidEvent, InvalidTopic
        raise _Refusal(400, str(error)) from None


# -- what the form says ---------------------------------------------------------------


def _parse(encoded: str, limits: Limits) -> list[tuple[str, str]]:
    """Decode a form or a query; text that is not UTF-8 is refused, never repaired."""
    most = limits.max_topics_per_stream + _OTHER_FIELDS
    try:
        return parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise _Refusal(400, "A field's percent-escapes are not UTF-8.") from None
    except ValueError:
        raise _Refusal(400, f"There are more than {most} fields.") from None


def _topics(fields: list[tuple[str, str]], limits: Limits) -> tuple[str, ...]:
    topics = tuple(dict.fromkeys(value for name, value in fields if name == "topic"))
    if not topics:
        raise _Refusal(400, "Name at least one topic: topic=...")
    if len(topics) > limits.max_topics_per_stream:
        raise _Refusal(400, f"There are more than {limits.max_topics_per_stream} topics.")
    return topics


def _event(form: list[tuple[str, str]]) -> Event:
    """Make an event of a form; raises InvalidEvent too."""
    fields: dict[str, str] = {}
    for name, value in form:
        if name in fields:
            raise _Refusal(400, f"The field {name} is there more than once.")
        if name in _SINGLE_FIELDS:
            fields[name] = value
    if "private" in fields:
        raise _Refusal(501, "Private updates need authorisation, which this hub does not have.")
    event_id = fields.get("id") or None
    if event_id is not None and _CONTROL.search(event_id):
        # A subscriber could not resume after it: Last-Event-ID with one is refused above.
        raise _Refusal(400, "The field id has control characters in it.")
    if event_id == "earliest" or (event_id or "").startswith("#"):
        raise _Refusal(400, "The protocol reserves ids that begin with # and the id earliest.")
    retry = fields.get("retry") or None
    if retry is not None and not _RETRY.fullmatch(retry):
        raise _Refusal(400, "The field retry must be a whole number of milliseconds.")
    return Event(
        # Without data an update still says that the topic has changed: a browser dispatches it.
        fields.get("data", ""),
        type=fields.get("type") or "message",
        id=event_id,
        retry=None if retry is None else int(retry),
    )


# -- who may publish ------------------------------------------------------------------


def _check_page(request: Request, cors: Cors | None) -> None:
    """Refuse a page in a browser, unless its origin is allowed by name.

    A form needs no preflight, so a browser sends it for any page (Fetch, "CORS-safelisted"):
    CORS would keep the answer from the page, but not the event from the hub.
    """
    origins = request.headers.get_all("origin")
    if not all(cors is not None and cors.names(origin) for origin in origins):
        raise _Refusal(
            403, "Pages of this origin may not publish: the CORS origins do not name it."
        )
    site = request.headers.get("sec-fetch-site")
    if not origins and site in ("cross-site", "same-site"):
        raise _Refusal(403, "Pages of other sites may not publish.")


def _check_loopback(request: Request) -> None:
    rule = 'publish_from is "loopback"'
    if not request.peer.is_loopback:
        raise _Refusal(403, f"Only programs on the server's own machine may publish: {rule}.")
    if any(name in request.headers for name in _FORWARDED):
        raise _Refusal(403, f"Requests that a proxy forwarded may not publish: {rule}.")
    if "origin" in request.headers and not _is_loopback_name(request.authority):
        # A name of somebody else's that resolves to 127.0.0.1 (DNS rebinding).
        raise _Refusal(403, f"Pages may publish by this machine's own names only: {rule}.")


def _is_loopback_name(authority: str) -> bool:
    """Whether a host, perhaps with a port, is localhost (RFC 6761, 6.3) or a loopback address."""
    if authority.startswith("["):
        host = authority[1:].partition("]")[0]
    else:
        host = authority.partition(":")[0].lower().removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback
