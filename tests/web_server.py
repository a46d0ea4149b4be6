"""A small web server for tests, in a thread of its own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers requests without printing them."""

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(handler: type[Handler], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server with this handler, without a slash at its end; by https with a context for it."""
    with ThreadingHTTPServer((host, 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
