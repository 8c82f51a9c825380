"""A page that watches the machine it comes from: `python examples/demo`.

This is a program that embeds trio-sse, whole: it opens a hub, mounts the hub's HTTP face beside
the page's own files, starts one server on two addresses (TLS for HTTP/2, clear text for
HTTP/1.1) and publishes the machine's figures. What they are is in figures.py; how they are
drawn is in page/.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from pathlib import Path

import trio
from figures import Figures
from files import mount_files

from trio_sse import Bind, BindError, Request, Response, Routes, Server, open_hub, serve
from trio_sse.mercure import mount
from trio_sse.tls import TlsError, self_signed

PAGE = Path(__file__).parent / "page"


async def demo(host: str, port: int, tls_port: int) -> str | None:
    """Serve the page until a signal drains the server; a second signal stops it at once.

    Returns what was wrong, if it could not start.
    """
    # Where it listens everywhere, people still need a name to type.
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    ports: dict[str, int] = {}
    async with open_hub() as hub, trio.open_nursery() as nursery:
        figures = Figures(hub)
        routes = Routes()
        mount(routes, hub)
        mount_files(routes, PAGE)

        @routes.get("/start")
        def start(request: Request) -> Response:
            """What the page cannot know: where else it is served, since when, and the time."""
            body = {"ports": ports, "since": figures.since, "now": time.time() * 1000}
            headers = (("content-type", "application/json"), ("cache-control", "no-store"))
            return Response(200, json.dumps(body).encode(), headers)

        async def serve_until_drained(
            task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
        ) -> None:
            certificate = self_signed([name, "localhost", "127.0.0.1", "::1"])
            binds = [
                Bind(host=host, port=tls_port, tls=certificate),
                Bind(host=host, port=port),
            ]
            await serve(routes, binds, task_status=task_status)
            nursery.cancel_scope.cancel()

        try:
            server = await nursery.start(serve_until_drained)
        except BindError as error:
            return f"{error}. Choose others with --port and --tls-port; 0 takes a free one."
        except TlsError as error:
            return str(error)
        ports.update({address.scheme: address.port for address in server.addresses})
        nursery.start_soon(figures.publish, server)
        _announce(ports, name)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(signals)
            server.drain()
            await anext(signals)
            nursery.cancel_scope.cancel()
    return None


def _announce(ports: dict[str, int], name: str) -> None:
    shown = f"[{name}]" if ":" in name else name
    print(
        f"HTTP/2    https://{shown}:{ports['https']}/\n"
        f"HTTP/1.1  http://{shown}:{ports['http']}/\n\n"
        "The browser will warn about the first: its certificate was made a moment ago and\n"
        "nobody vouches for it. Continue past the warning. Ctrl-C stops the server.",
        flush=True,
    )


def main() -> None:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(prog="python examples/demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to look at it from a phone")
    parser.add_argument("--port", type=int, default=8080, help="clear text; 0 takes a free one")
    parser.add_argument("--tls-port", type=int, default=8443, help="TLS; 0 takes a free one")
    options = parser.parse_args()
    sys.exit(trio.run(demo, options.host, options.port, options.tls_port))


if __name__ == "__main__":
    main()
