"""The application under uvicorn."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import uvicorn

from api.app import Api
from api.http.bounded_protocol import BoundedProtocol
from api.routes.refresh_stream import Events
from cache.errors import SettingsInvalid

ACCEPTED = 16  # new connections in one turn of the loop
GRACE_SECONDS = 1  # what a download in the middle gets at shutdown; streams are ended at once


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on; port 0 takes a free one. Raises SettingsInvalid where it is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        advice = "Stop what listens there, or set API_PORT to another port (macOS itself uses 5000 for AirPlay)."
        raise SettingsInvalid(f"API_HOST={host} API_PORT={port} cannot be used: {error.strerror}.", advice) from error


class Server(uvicorn.Server):
    """Ends the streams first, so that a shutdown waits for none of them. uvicorn's own access log is off: it would
    show queries."""

    def __init__(self, app: Api, events: Events) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            ws="none",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._events = events

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvloop accepts one connection of each socket between the answers to all who are connected, so that of many
        who come at once the last would wait long. It gets the socket several times."""
        several = ACCEPTED if type(asyncio.get_running_loop()).__module__ == "uvloop" else 1
        await super().startup([each.dup() for each in sockets for _ in range(several)] if sockets else None)

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls it ten times a second."""
        if counter % 10 == 0:
            for connection in list(self.server_state.connections):
                cast(BoundedProtocol, connection).look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._events.close_streams()
        await super().shutdown(sockets)
