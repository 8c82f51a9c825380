"""TLS for clients to whom it does not matter whose certificate the server has."""

from __future__ import annotations

import ssl

__all__ = ["unverifying"]


def unverifying(*protocols: str) -> ssl.SSLContext:
    """Make a context that offers these protocols by ALPN and believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context
