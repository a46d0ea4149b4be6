"""`GET /metrics` on a port of its own (METRICS_PORT), for a process that serves nothing else: the worker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cache.access.bounded_protocol import BoundedProtocol, BoundedServer
from cache.listen_address import listen
from cache.monitoring.cache_metrics import CONTENT_TYPE, Exposition
from cache.storage.store import Cache

PATH = "/metrics"


@contextmanager
def serve_metrics(cache: Cache, host: str, port: int) -> Iterator[socket.socket]:
    """Serves the metrics in a thread, until the end of the block. They need no key.

    Args:
        cache: The cache.
        host: METRICS_HOST.
        port: METRICS_PORT.

    Yields:
        The socket that it listens on.

    Raises:
        SettingsInvalid: The address cannot be used.
    """
    exposition = Exposition(cache)

    async def get(_: Request) -> Response:
        return Response(await run_in_threadpool(exposition.text), media_type=CONTENT_TYPE)

    app = Starlette(routes=[Route(PATH, get)])
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = BoundedServer(config)
    with listen(host, port, "METRICS_HOST", "METRICS_PORT") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="metrics server", daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            server.should_exit = True
            thread.join()
