"""Dashboard and API in one process, on the port of the dashboard: `python serve.py --one-port` keeps it running.

The API has all its paths under /v1, and at the root those that no page of the dashboard has. Everything else is the
dashboard's. So the sign-in guards no path of the API, and a key opens none of the dashboard.
"""

from __future__ import annotations

from cache.version import versioned  # first: it says which Python is needed

# isort: split

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import streamlit as st
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access_log import log_to_stderr
from api.app import Api
from api.app import create_app as create_api
from api.auth.default_key import load_key
from api.contract.operations import is_operation
from api.contract.paths import own_path
from api.http.fast_path import FastPathProtocol
from api.routes.cache_watcher import CacheWatcher
from api.server import Server
from cache.access.bounded_protocol import BoundedProtocol
from cache.access.client_limits import Refusal
from cache.errors import OrdersError
from cache.listen_address import listen, local_url
from cache.private_files import keep_files_private
from cache.settings import Settings
from dashboard.auth.signin_settings import check_signin
from dashboard.backend import shared_backend
from dashboard.web.server import load_config, server_options
from streamlit_app import create_app as create_dashboard
from streamlit_app import dashboard_options, page_paths


def is_of_api(path: str) -> bool:
    """Whether the API answers requests for a path."""
    return own_path(path) != path or (path not in page_paths() and is_operation(path))


class OnePort:
    """Both applications as one.

    Args:
        api: The API. Its fast path is tried for every request.
        dashboard: The dashboard.
    """

    def __init__(self, api: Api, dashboard: st.App) -> None:
        self._api = api
        self._dashboard = dashboard
        self._lifespan = Router(lifespan=self._run_both)
        self.try_prepared, self.headers_for, self.record = api.try_prepared, api.headers_for, api.record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        app: ASGIApp = self._dashboard
        if scope["type"] == "lifespan":
            app = self._lifespan
        elif scope["type"] == "http" and is_of_api(scope["path"]):
            app = self._api
        await app(scope, receive, send)

    @asynccontextmanager
    async def _run_both(self, _: Any) -> AsyncIterator[None]:
        async with self._api.lifespan(self), self._dashboard.lifespan()(self):
            yield


class OnePortProtocol(FastPathProtocol):
    """The protocol of the API. For paths of the dashboard it takes websockets, and refuses in plain text."""

    def _should_upgrade(self) -> bool:
        return not self._is_of_api() and super()._should_upgrade()

    def write_refusal(self, refusal: Refusal) -> None:
        """Writes the response to a request that is refused."""
        if self._is_of_api():
            super().write_refusal(refusal)
        else:
            BoundedProtocol.write_refusal(self, refusal)

    def _is_of_api(self) -> bool:
        """Whether the API answers the request that is being received; also one whose path is not known."""
        path = unquote(getattr(self, "url", b"").partition(b"?")[0].decode("latin-1"))
        return not path or is_of_api(path)


def main() -> None:
    """Serves both until the process is stopped.

    Raises:
        OrdersError: A setting is not valid, or the cache cannot be opened.
    """
    keep_files_private()
    address = Settings.load()
    address.set_up_process("one port")
    log_to_stderr()
    address.warn_of_misspelt()
    check_signin(address.dashboard_host, address)
    port_setting = address.port_setting("dashboard_port")
    with listen(address.dashboard_host, address.dashboard_port, "DASHBOARD_HOST", port_setting) as listener:
        host, port = listener.getsockname()[:2]
        # The API listens there too. What a key must be, and the address that pages show, depend on these settings.
        os.environ.update(API_HOST=address.dashboard_host, API_PORT=str(port), DASHBOARD_PORT=str(port))
        backend = shared_backend()
        watcher = CacheWatcher(backend.cache)
        api = create_api(backend.cache, backend.settings, load_key(backend.settings), watcher)
        load_config(Path(__file__), dashboard_options(backend.settings, host, port))
        app = OnePort(api, create_dashboard(backend))
        print(f"Dashboard and API on {local_url(host, port)}", flush=True)
        server = Server(app, watcher, OnePortProtocol, **server_options())
        server.run(sockets=[listener])
        if not server.started:
            sys.exit(1)


if __name__ == "__main__":
    versioned(argparse.ArgumentParser(prog="python one_port.py", description=__doc__)).parse_args()
    try:
        with suppress(KeyboardInterrupt):
            main()
    except OrdersError as error:
        sys.exit(str(error))
