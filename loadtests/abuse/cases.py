"""All attacks, in the order of the table."""

from __future__ import annotations

from . import application, crowds, http1, http2, secured, tls

__all__ = ["CASES"]

CASES = (
    *http2.CASES,
    *http1.CASES,
    *crowds.CASES,
    *application.CASES,
    *tls.CASES,
    *secured.CASES,
)
