"""The body of an answer as its Content-Encoding says: decoded while it comes, and checked."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

__all__ = ["Inflater"]


class Inflater:
    """Decodes one body; zlib checks the checksum at its end."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        coding = headers.get("content-encoding")
        assert coding in (None, "deflate"), coding
        self._zlib = None if coding is None else zlib.decompressobj()

    def feed(self, data: bytes) -> bytes:
        """Return all that can be known of the body by now. Raises zlib.error if it is damaged."""
        if self._zlib is None:
            return data
        inflated = self._zlib.decompress(data)
        assert not self._zlib.unused_data, "there is more than the body"
        return inflated

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here."""
        return self._zlib is None or self._zlib.eof
