"""What an attacker does to a port that speaks TLS: one case a line of the table."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial

from .attack import Attack
from .case import Case
from .handshakes import SOURCE, offer
from .http2_frames import PREFACE
from .records import key_updates, renegotiations

__all__ = ["CASES"]

# RFC 8446, 4.1.2: the record's header, and a ClientHello that says to be 512 bytes long.
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(506)

HTTP1 = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def says(attack: Attack, said: bytes) -> None:
    while attack.goes_on:
        connection = attack.connect_plain()
        connection.send(said)
        connection.wait(attack.patience)
        attack.over(connection)


def silent(attack: Attack) -> None:
    """Connect and say nothing."""
    says(attack, b"")


def unfinished(attack: Attack) -> None:
    """Begin the handshake, and do not go on."""
    says(attack, CLIENT_HELLO[:100])


def broken(attack: Attack) -> None:
    """Say what looks like a handshake and is none."""
    says(attack, CLIENT_HELLO)


def clear_text(attack: Attack) -> None:
    """Speak HTTP, not TLS."""
    says(attack, HTTP1)


def cut(attack: Attack) -> None:
    """Be gone in the middle of the handshake, again and again."""
    while attack.goes_on:
        connection = attack.connect_plain(SOURCE)
        connection.send(CLIENT_HELLO[:200])
        attack.over(connection)


def begun(attack: Attack) -> None:
    """Say hello a thousand times a second, and do not go on: the server has had its work."""
    offer(attack, finishes=False)


def finished(attack: Attack) -> None:
    """Shake hands a thousand times a second, and be gone."""
    offer(attack, finishes=True)


def floods(records: Callable[[socket.socket], Iterator[bytes]]) -> Callable[[Attack], None]:
    """Shake hands, and send records that bring nothing for as long as the server takes them."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            sock = attack.dial_tls()
            try:
                pieces = records(sock)
            except OSError:
                sock.close()
                raise
            connection = attack.connected(sock)
            connection.flood(pieces, attack.until)
            connection.wait(attack.patience)
            if attack.time_is_over and connection.end == "open":
                attack.cut_short(connection)
            else:
                attack.over(connection)

    return attack


def speaking(alpn: str, said: bytes) -> Callable[[Attack], None]:
    """Agree on one protocol and speak the other."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            connection = attack.connect_tls(alpn=alpn, http2=alpn == "h2")
            connection.send(said)
            connection.wait(attack.patience)
            attack.over(connection)

    return attack


def case(
    name: str,
    reference: str,
    attack: Callable[[Attack], None],
    *ends: str,
    offence: str | None = None,
    waits: bool = False,
) -> Case:
    return Case(name, reference, attack, ends, offence, protocol="TLS", waits=waits)


def flooding(
    name: str, reference: str, records: Callable[[socket.socket], Iterator[bytes]]
) -> Case:
    return case(name, reference, floods(records), "closed", "reset", offence="tls_records")


OVERLOADED = ("closed", "reset", "unanswered")
"""What a server may do with those who are too many."""

CASES = (
    case(
        "a connection without a word", "RFC 8446, 4", silent, "closed", offence="idle", waits=True
    ),
    case("half a ClientHello", "RFC 8446, 4.1.2", unfinished, "closed", offence="idle", waits=True),
    case(
        "a handshake that is none",
        "RFC 8446, 6.2",
        broken,
        "closed",
        "reset",
        offence="handshake",
    ),
    case("a handshake that is cut", "RFC 8446, 6.1", cut, "open", "closed", "reset"),
    case("clear text", "RFC 9110, 4.2.2", clear_text, "400", offence="clear_text"),
    case(
        "a thousand handshakes a second, begun",
        "RFC 8446, 4.1.3",
        begun,
        "answered",
        *OVERLOADED,
    ),
    case(
        "a thousand handshakes a second, finished",
        "RFC 8446, 4",
        finished,
        "finished",
        *OVERLOADED,
    ),
    flooding("renegotiation without end", "CVE-2011-1473", renegotiations),
    flooding("key updates without end", "RFC 8446, 4.6.3", partial(key_updates, asks=False)),
    flooding(
        "key updates that are to be answered", "RFC 8446, 4.6.3", partial(key_updates, asks=True)
    ),
    case(
        "HTTP/1.1 where h2 was agreed on",
        "RFC 7301, 3.2",
        speaking("h2", HTTP1),
        "GOAWAY PROTOCOL_ERROR",
        offence="protocol_error",
    ),
    case(
        "HTTP/2 where HTTP/1.1 was agreed on",
        "RFC 7301, 3.2",
        speaking("http/1.1", PREFACE + bytes(9)),
        "505",
        offence="unsupported",
    ),
)
