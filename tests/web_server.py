"""A small web server for tests, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers requests without printing them."""

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(handler: type[Handler], host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server with this handler, without a slash at its end."""
    with ThreadingHTTPServer((host, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
