"""Answer for the page's own files: markup, style and scripts, from memory.

Rules: what is served is decided when the demo starts, by listing the folder, so no path that a
client sends ever reaches the file system. Nothing but the page's own origin may run or load
(Content-Security-Policy), and a browser keeps the files but asks each time whether they are
still the same (`no-cache` with an ETag; RFC 9111, 5.2.2.4).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from trio_sse import Request, Response, Routes

POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def mount_files(routes: Routes, folder: Path) -> None:
    """Serve every file of `folder` by its name, and `index.html` at `/` too."""
    for file in sorted(folder.iterdir()):
        endpoint = _endpoint(file.read_bytes(), TYPES[file.suffix])
        routes.get(f"/{file.name}", endpoint)
        if file.name == "index.html":
            routes.get("/", endpoint)


def _endpoint(body: bytes, content_type: str) -> Callable[[Request], Response]:
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    headers = (
        ("content-type", content_type),
        ("cache-control", "no-cache"),
        ("etag", etag),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    )

    def answer(request: Request) -> Response:
        known = (request.headers.get("if-none-match") or "").split(",")
        if etag in (tag.strip().removeprefix("W/") for tag in known):
            return Response(304, headers=headers)
        return Response(200, body, headers)

    return answer
