"""The application under uvicorn."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from api.http.fast_path import Application, FastPathProtocol
from api.routes.cache_watcher import CacheWatcher
from cache.access.bounded_protocol import BoundedServer

ACCEPTS_PER_TURN = 16  # new connections in one turn of the event loop
GRACE_SECONDS = 1  # for downloads at shutdown; streams are ended at once


class Server(BoundedServer):
    """The server. At shutdown it ends the streams first, so that it waits for none of them.

    uvicorn's own access log is off, since it would show queries.

    Args:
        app: The application.
        watcher: Ends the streams.
        protocol: The protocol of a connection.
        **options: Options of uvicorn, in place of `ws="none"`.
    """

    def __init__(
        self,
        app: Application,
        watcher: CacheWatcher,
        protocol: type[FastPathProtocol] = FastPathProtocol,
        **options: Any,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=protocol,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            **{"ws": "none", "access_log": False, "log_config": None, **options},
        )
        super().__init__(config)
        self._watcher = watcher

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts serving.

        In each turn, uvloop accepts one connection of each socket, then serves all that are connected. Of many clients
        that connect at once, the last would wait long. So uvloop gets the socket several times.
        """
        copies = ACCEPTS_PER_TURN if type(asyncio.get_running_loop()).__module__ == "uvloop" else 1
        await super().startup([socket.dup() for socket in sockets for _ in range(copies)] if sockets else None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then shuts down."""
        self._watcher.close_streams()
        await super().shutdown(sockets)
