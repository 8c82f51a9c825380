"""One request, and what can become of it. httpx on Trio.

Owns the line between two kinds of trouble. `Away`: the server is not there now, so trying
again makes sense. `Refused`: it said no, or cannot be there, and trying again will not help.
Both say so in a sentence for people, the server's own where it gave one.

Rules: nothing is printed or retried here. Every wait has a limit.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import h2.exceptions
import httpx
import trio

__all__ = [
    "BROKEN",
    "Away",
    "Refused",
    "abandon",
    "hub_url",
    "open_client",
    "post",
    "send",
    "shown",
    "stream_url",
    "trouble",
]

HUB_PATH = "/.well-known/mercure"

KEEPALIVE = 20.0
"""Seconds an idle connection is kept. httpx answers no PING between requests, and a server may
send one after 30 s."""

BRIEFLY_AWAY = frozenset({429, 502, 503, 504})
"""Too many requests, and what a proxy says while the server behind it restarts (RFC 9110, 15.6)."""

LONGEST_RETRY_AFTER = 600.0
"""Seconds. Who asks for more than ten minutes is asked again all the same."""

REASON_BYTES = 2000
"""What is read of an error's body, to be quoted."""


BROKEN = (httpx.TransportError, h2.exceptions.H2Error)
"""What httpx raises for trouble with the server. h2's errors slip through it, such as that for
what a server still sends on its streams after GOAWAY, which h2 does not accept."""


class Away(Exception):
    """The server cannot be reached or cannot answer now; its text is a sentence."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """Seconds the server asked to be left alone."""


class Refused(Exception):
    """The server said no, or there can be none at that URL; its text is a sentence."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        """The HTTP status, or None where there was no answer."""


def stream_url(text: str) -> httpx.URL:
    """Return `text` as a URL, http:// where there is no scheme. Raises Refused if it is none."""
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise Refused(f"{text} is not a URL: {error}.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused(f"{text} is not a URL that starts with http:// or https:// and a host.")
    return url


def hub_url(text: str) -> httpx.URL:
    """Return `text` as a URL, that of the hub where it has no path. Raises Refused."""
    url = stream_url(text)
    return url.copy_with(path=HUB_PATH) if url.path == "/" else url


def open_client(*, insecure: bool = False) -> httpx.AsyncClient:
    """Return a client with one connection, to be used in `async with`.

    `insecure` accepts any certificate, as development servers sign their own.
    """
    return httpx.AsyncClient(
        http2=True,
        verify=not insecure,
        timeout=httpx.Timeout(10.0, read=30.0, pool=None),
        limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEPALIVE),
        # A proxy from the environment cannot reach this machine's own loopback.
        mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
    )


async def send(
    client: httpx.AsyncClient, request: httpx.Request, *, follow_redirects: bool = False
) -> httpx.Response:
    """Send `request` and return the response if its status is 2xx, body unread.

    The caller closes it. Raises Away or Refused, quoting the server's own sentence.
    """
    try:
        response = await client.send(request, stream=True, follow_redirects=follow_redirects)
    except httpx.TooManyRedirects as error:
        raise Refused(f"{shown(request.url)} redirects in circles.") from error
    except BROKEN as error:
        raise trouble(error, request.url) from error
    if response.is_success:
        return response
    try:
        quoted = await _quote(response)
    finally:
        await response.aclose()
    if response.status_code in BRIEFLY_AWAY:
        raise Away(quoted, _retry_after(response))
    raise Refused(quoted, response.status_code)


async def post(client: httpx.AsyncClient, url: httpx.URL, form: dict[str, str]) -> str:
    """Post a form and return the text of the answer. Raises Away or Refused.

    After Away the server may or may not have taken the form.
    """
    response = await send(client, client.build_request("POST", url, data=form))
    try:
        body = await response.aread()
    except BROKEN as error:
        raise trouble(error, url) from error
    return body.decode(errors="replace").strip()


async def abandon(chunks: AsyncIterator[bytes]) -> None:
    """Stop reading a response somewhere in the middle.

    httpx reads through six async generators, and closing the outermost leaves the others to
    the garbage collector, about which Trio complains. A cancelled read ends them all.
    """
    with trio.CancelScope() as scope, suppress(*BROKEN):
        scope.cancel()
        async for _ in chunks:
            pass


async def _quote(response: httpx.Response) -> str:
    """Return the server's own sentence if it wrote one in plain text, else name the status."""
    body = b""
    chunks = response.aiter_bytes(REASON_BYTES)
    # Who breaks off in the middle of an explanation has given its status all the same.
    with suppress(*BROKEN):
        body = await anext(chunks, b"")
    await abandon(chunks)
    answer = f"{shown(response.request.url)} answered {response.status_code}"
    answer = f"{answer} {response.reason_phrase}".rstrip()
    if response.has_redirect_location:
        return f"{answer}: use {response.headers['location']} instead."
    text = body.decode(errors="replace").strip().partition("\n")[0]
    if text and response.headers.get("content-type", "").startswith("text/plain"):
        return f"{answer}: {text}"
    return f"{answer}."


def _retry_after(response: httpx.Response) -> float:
    # RFC 9110, 10.2.3: seconds, or a date, which needs two clocks that agree.
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0


def trouble(error: Exception, url: httpx.URL) -> Away | Refused:
    """Say what is behind httpx's exception, which often has no text of its own."""
    origin = f"{url.scheme}://{url.netloc.decode()}"
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                why = cause.verify_message or cause.reason
                return Refused(
                    f"{origin} shows a certificate that is not trusted: {why.rstrip('.')}. "
                    "In development, --insecure accepts it."
                )
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
                return Refused(f"{origin} does not speak TLS; is it http:// there?")
            case socket.gaierror():
                return Away(f"The host {url.host} is not known.")
            case ConnectionRefusedError():
                return Away(f"{origin} refuses connections: nothing listens there.")
            case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
                return Refused(f"The request cannot be sent: {cause}.")
            case httpx.ConnectTimeout():
                return Away(f"{origin} does not answer.")
            case httpx.TimeoutException():
                return Away(f"{origin} went silent.")
    return Away(f"The connection to {origin} broke.")


def shown(url: httpx.URL) -> str:
    """Return the URL without a user's name and password, for messages."""
    return str(url.copy_with(userinfo=b""))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what led to `error`, the first cause first."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    yield error
