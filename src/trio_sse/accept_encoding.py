"""Which coding of a stream a client accepts (RFC 9110, 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["accepts_deflate"]

# RFC 9110, 12.5.3 and 12.4.2, without the space around it.
_MEMBER = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


def accepts_deflate(fields: Iterable[str]) -> bool:
    """Tell whether the Accept-Encoding fields of a request prefer deflate to nothing at all.

    Without a field anything is acceptable, but who does not speak of codings is not given one.
    What cannot be read does not count.
    """
    weights: dict[str, float] = {}
    for member in ",".join(fields).split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is not None:
            weights[match[1].lower()] = float(match[2] or 1)
    weight = weights.get("deflate", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)
