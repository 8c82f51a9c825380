"""TLS on the server's side, over a socket: a `Transport`, and the handshake before it.

OpenSSL is given what has arrived piece by piece (memory BIOs), and never the socket. On a socket
it reads until there is something for the application, and answers what TLS says to itself on the
way: with key updates (RFC 8446, 4.6.3), or requests to renegotiate, a client that sends fast enough
keeps it busy for as long as it likes, in one call. So it costs a copy more in each direction.

Owns the bytes between TLS and the socket; waits only where a `Transport` waits.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable

import trio

from .transport import RECEIVE_BYTES, Broken, Flooded, SocketTransport, Unsecured

__all__ = ["TlsTransport"]

MOST_EMPTY = 20 * 1024
"""How many bytes may arrive that bring the application nothing: the longest record (RFC 8446, 5.2)
and some more. As key updates they are 700, and cost 20 ms; an honest client sends few ever."""

WORTH = 32
"""So many of them each byte makes good that is for the application. The shortest useful record,
with a frame of HTTP/2 that is 9 bytes long, has 22 bytes beside it."""

RECORD_BYTES = 16 * 1024
"""What is encrypted at a time, a record's worth (RFC 8446, 5.1). A client that does not read has
that to itself, and shares the rest with others; and what a memory BIO has held it keeps."""

MOST_UNSAID = 4 * 1024
"""What TLS may have to answer to a client that does not read; 150 key updates."""


class TlsTransport:
    """TLS over a transport that it owns from now on."""

    __slots__ = (
        "_arrived",
        "_empty",
        "_encrypted",
        "_plain",
        "_shaken",
        "_taken",
        "_tls",
        "_unsent",
        "file",
        "peer",
    )

    def __init__(
        self, plain: SocketTransport, context: ssl.SSLContext, arrived: bytes = b""
    ) -> None:
        """`arrived` is what has been read of `plain` already."""
        self.peer = plain.peer
        self.file = plain.file
        self._plain = plain
        self._arrived, self._encrypted = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._encrypted, server_side=True)
        self._arrived.write(arrived)
        self._shaken = False
        self._unsent = b""
        """What is encrypted and not with the kernel yet,"""
        self._taken = 0
        """and how many bytes of the application's end with it."""
        self._empty = 0

    def handshake(self) -> bool:
        """Go on with the handshake as far as it goes; False if `wait_readable` must be next.

        Never waits, but takes up to half a millisecond. Raises Broken.
        """
        self._feed()
        try:
            self._tls.do_handshake()
            self._shaken = True
            self._empty = 0  # a client's certificates may be as long as half of what is allowed
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            # Whose fault it is, is said to the client too (RFC 8446, 6.2).
            with contextlib.suppress(Broken):
                self._flush()
            left = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
            kind = Broken if left or not isinstance(error, ssl.SSLError) else Unsecured
            raise kind(f"TLS handshake failed: {_why(error)}") from None
        self._flush()
        return self._shaken

    @property
    def is_secure(self) -> bool:
        """Whether the handshake is done."""
        return self._shaken

    @property
    def protocol(self) -> str | None:
        """The one that was agreed on by ALPN, if any."""
        return self._tls.selected_alpn_protocol()

    def send(self, data: bytes | memoryview) -> int:
        if self._unsent and not self._flush():
            return 0
        # What was encrypted before is offered again.
        taken, self._taken = self._taken, 0
        while taken < len(data):
            piece = memoryview(data)[taken : taken + RECORD_BYTES]
            try:
                encrypted = self._tls.write(piece)
            except OSError as error:
                raise Broken(f"sending failed: {_why(error)}") from None
            if not self._flush():
                self._taken = encrypted
                break
            taken += encrypted
        return taken

    def seal(self, data: bytes) -> bytes:
        if self._unsent or len(data) > RECORD_BYTES:
            return b""
        try:
            self._tls.write(data)
        except OSError:
            return b""
        return self._encrypted.read()

    def wrote(self, data: bytes, sealed: bytes, taken: int) -> memoryview:
        self._unsent, self._taken = sealed[taken:], len(data)
        return memoryview(data)

    def receive(self) -> bytes | None:
        if self._has_more or self._feed():
            data = self._decrypt()
            # What TLS itself has to say (a key update, RFC 8446, 4.6.3).
            if self._encrypted.pending:
                with contextlib.suppress(Broken):  # who sends will hear of it
                    self._flush()
                if self._encrypted.pending > MOST_UNSAID:
                    raise Flooded("asks TLS for answers and does not read them")
            return data
        return None

    def wait_writable(self) -> Awaitable[None]:
        return self._plain.wait_writable()

    def wait_readable(self) -> Awaitable[None]:
        if self._has_more:
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105
        if self._unsent and not self._shaken:
            return self._plain.wait_writable()
        return self._plain.wait_readable()

    def send_eof(self, *, in_order: bool = False) -> bool:
        # close_notify, so that the client can tell an end from a cut (RFC 8446, 6.1). unwrap()
        # also asks for the peer's answer, which nobody waits for: hence what is suppressed. Said
        # again, it says nothing more.
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()
        with contextlib.suppress(Broken):
            if not self._flush() and in_order:
                return False
        return self._plain.send_eof()

    def close(self) -> None:
        self.file = -1
        self._plain.close()

    @property
    def _has_more(self) -> bool:
        """Whether there is something to read, whatever the socket says."""
        return bool(self._arrived.pending or self._tls.pending())

    def _feed(self) -> bool:
        """Give TLS a piece of what has arrived; False if nothing has. Raises Broken."""
        data = self._plain.receive()
        if data is None:
            return False
        if data:
            self._arrived.write(data)
            self._empty += len(data)
        else:
            self._arrived.write_eof()
        return True

    def _decrypt(self) -> bytes | None:
        try:
            data = self._tls.read(RECEIVE_BYTES)
        except ssl.SSLWantReadError:
            if self._empty > MOST_EMPTY:
                raise Flooded("sends records that bring nothing") from None
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
        except OSError as error:
            raise Broken(f"receiving failed: {_why(error)}") from None
        self._empty = max(0, self._empty - WORTH * len(data))
        return data

    def _flush(self) -> bool:
        """Send what is encrypted; False if some is left. Raises Broken."""
        while True:
            if self._unsent:
                self._unsent = self._unsent[self._plain.send(self._unsent) :]
                if self._unsent:
                    return False
            if not self._encrypted.pending:
                return True
            self._unsent = self._encrypted.read()


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
