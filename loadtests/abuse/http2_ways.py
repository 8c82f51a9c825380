"""How an attacker says it over HTTP/2: all at once, on many connections, or without reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

from .attack import Attack
from .case import Case
from .connection import Connection
from .handshakes import SOURCE
from .http2_frames import (
    FOLLOW,
    HELLO,
    LARGEST_WINDOW,
    PAGE,
    Pieces,
    opened,
    request,
    requests,
    window,
)

CROWD = 100
SMALL_CROWD = 2
PIECES_AT_ONCE = 100
HOLD_SECONDS, SHORT_HOLD_SECONDS = 6.0, 2.0
"""How long who reads nothing stays: longer than the server's patience with it."""


def flood(pieces: Pieces, *, reads: bool = True) -> Callable[[Attack], None]:
    """Say it until the server ends the connection; then come back."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            connection = attack.connect(reads=reads, http2=True)
            connection.send(HELLO)
            connection.flood(pieces(), attack.until)
            if attack.time_is_over and connection.end == "open":
                attack.cut_short(connection)
            else:
                connection.finish()
                attack.over(connection)

    return attack


def crowd(pieces: Pieces) -> Callable[[Attack], None]:
    """Say it on many connections at a time, as fast as each is heard."""

    def attack(attack: Attack) -> None:
        number = CROWD if attack.is_at_full_strength else SMALL_CROWD
        said: dict[Connection, Iterator[bytes]] = {}
        rest: dict[Connection, bytes] = {}
        while attack.goes_on:
            for _ in range(number):
                connection = attack.connect(http2=True, source=SOURCE)
                said[connection], rest[connection] = pieces(), HELLO
            while said and time.monotonic() < attack.until:
                for connection, saying in list(said.items()):
                    if not rest[connection]:
                        rest[connection] = b"".join(islice(saying, PIECES_AT_ONCE))
                    taken = connection.offer(rest[connection])
                    rest[connection] = rest[connection][taken:]
                    if connection.end != "open":
                        del said[connection]
                        attack.over(connection)
            for connection in said:
                attack.cut_short(connection)
            said.clear()

    return attack


def waiting(
    name: str,
    reference: str,
    said: bytes,
    counted: str = "idle",
    # Who does not answer a PING gets no last words.
    ends: tuple[str, ...] = ("GOAWAY NO_ERROR", "closed"),
) -> Case:
    """Say it, and wait for the server to lose patience."""

    def attack(attack: Attack) -> None:
        while attack.goes_on:
            connection = attack.connect(http2=True)
            connection.send(said)
            connection.wait(attack.patience)
            attack.over(connection)

    return Case(name, reference, attack, ends, counted, waits=True)


def stopped_reader(attack: Attack) -> None:
    """Follow a hundred times and read nothing, while events are published in passing."""
    while attack.goes_on:
        connection = attack.connect(reads=False, http2=True)
        connection.send(HELLO + opened(0, LARGEST_WINDOW - 65_535) + window(LARGEST_WINDOW))
        connection.send(b"".join(request(stream_id, FOLLOW) for stream_id in range(1, 201, 2)))
        connection.hold(HOLD_SECONDS if attack.is_at_full_strength else SHORT_HOLD_SECONDS)
        attack.over(connection)


def not_reading(*cases: Case) -> Iterator[Case]:
    """The same from a peer that does not read the answers."""
    for case in cases:
        assert case.pieces is not None
        yield Case(
            f"{case.name}, reading no answer",
            case.reference,
            flood(case.pieces, reads=False),
            case.ends,
            case.offence,
        )


def unread_pages(attack: Attack) -> None:
    """Ask for a page again and again, with all windows open, and read none of it."""
    while attack.goes_on:
        connection = attack.connect(reads=False, http2=True)
        connection.send(HELLO + opened(0, LARGEST_WINDOW - 65_535) + window(LARGEST_WINDOW))
        connection.keep_little()
        connection.flood(requests(PAGE)(), attack.until)
        connection.hold(HOLD_SECONDS if attack.is_at_full_strength else SHORT_HOLD_SECONDS)
        attack.over(connection)


def flooding(
    name: str, reference: str, offence: str, pieces: Pieces, *, is_ours: bool = False
) -> Case:
    """A flood that must end in ENHANCE_YOUR_CALM and be counted as this offence."""
    return Case(
        name,
        reference,
        flood(pieces),
        ("GOAWAY ENHANCE_YOUR_CALM",),
        offence,
        is_ours=is_ours,
        pieces=pieces,
    )
