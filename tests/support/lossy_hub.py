"""A hub that loses an event: its first subscriber is never sent number `lost`."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LossyHub:
    """GET /events listens and POST /publish publishes the bare body, whatever the topic."""

    def __init__(self, lost: int) -> None:
        self._lost = lost
        self._subscribers: list[queue.Queue[bytes | None]] = []
        self._published = 0
        self._lock = threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                events = hub._subscribe()
                while (event := events.get()) is not None:
                    self.wfile.write(event)

            def do_POST(self) -> None:
                hub._publish(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # A client that leaves.

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def _subscribe(self) -> queue.Queue[bytes | None]:
        with self._lock:
            self._subscribers.append(queue.Queue())
            return self._subscribers[-1]

    def _publish(self, data: bytes) -> None:
        with self._lock:
            self._published += 1
            event = b"id: %d\ndata: %b\n\n" % (self._published, data)
            for number, subscriber in enumerate(self._subscribers):
                if number or self._published != self._lost:
                    subscriber.put(event)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for subscriber in self._subscribers:
            subscriber.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
