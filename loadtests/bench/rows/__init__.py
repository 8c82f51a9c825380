"""The rows of the benchmark, in the order in which they are measured and shown.

A row is a function that is given a `Stage` and returns a `Row`. It raises CannotMeasure,
with a sentence for people, where this machine does not allow it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..figures import Row
from ..stage import Stage
from .compression import compression
from .encrypted import tls_http1, tls_http2
from .growth import growth
from .http1 import burst, http1, latency
from .http2 import default_windows, http2, http2_large
from .memory import memory
from .setup import setup
from .stalled import stalled
from .topics import topics

__all__ = ["ROWS"]

ROWS: dict[str, Callable[[Stage], Row]] = {
    "http1": http1,
    "burst": burst,
    "http2": http2,
    "http2-large": http2_large,
    "windows": default_windows,
    "tls-http1": tls_http1,
    "tls-http2": tls_http2,
    "compression": compression,
    "topics": topics,
    "memory": memory,
    "setup": setup,
    "stalled": stalled,
    "latency": latency,
    "growth": growth,
}
