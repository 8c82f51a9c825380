"""Attacks on HTTP made inside TLS: what is said is the same, but every byte is also decrypted.

A few of each kind (floods, bombs, drips, idlers, smuggling), as all of it goes through the same
code behind TLS. Beside them the canary opens streams over TLS.
"""

from __future__ import annotations

from dataclasses import replace

from . import http1, http2
from .attack import Attack
from .case import Case

__all__ = ["CASES", "over_tls"]


def over_tls(case: Case) -> Case:
    """Make the same attack over TLS, with the protocol of the case agreed on by ALPN."""

    def attack(attack: Attack) -> None:
        attack.is_over_tls = True
        case.attack(attack)

    name = f"{case.name}, over {case.protocol}"
    # Who meets a reset while it sends hears no last words any more: OpenSSL does not read on.
    ends = (*case.ends, "closed") if case.name in UNREAD else case.ends
    # What its pieces cost a byte is asked in clear text.
    return replace(case, name=name, attack=attack, protocol="TLS", ends=ends, pieces=None)


UNREAD = ("PING, reading no answer",)

FLOODS = (
    "requests taken back",
    *UNREAD,
    "WINDOW_UPDATE of a byte, for a stream",
    "CONTINUATION of 16 KiB without end",
    "a reader that stops with 100 streams",
)

SAID = ("a length and chunks", "half a head", "a head byte by byte")

CASES = (
    *(over_tls(case) for case in http2.CASES if case.name in FLOODS),
    *(over_tls(case) for case in http1.CASES if case.name in SAID),
)
