"""The dashboard under uvicorn.

`st.App.run` cannot limit what clients send, nor say that uvicorn must not believe `X-Forwarded-For`, which it does from
loopback. So the server is started here, with the other options that Streamlit gives it.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from streamlit import config
from streamlit import logger as streamlit_logger
from streamlit.web import bootstrap
from streamlit.web.server.starlette.starlette_server import _get_uvicorn_config_kwargs

from cache.access.bounded_protocol import BoundedProtocol, BoundedServer


def load_config(launcher: Path, options: Mapping[str, Any]) -> None:
    """Loads the options of Streamlit, as `st.App.run` does.

    Args:
        launcher: The script that was started. `.streamlit/config.toml` lies beside it.
        options: Options that come before those of the file.
    """
    config._main_script_path = str(launcher)
    bootstrap.load_config_options(dict(options))
    streamlit_logger.setup_formatter = _use_our_log
    streamlit_logger.update_formatter()


def _use_our_log(logger: logging.Logger) -> None:
    """Lets a logger of Streamlit write to the log of this process, in place of a handler with another format."""
    console = getattr(logger, "streamlit_console_handler", None)
    if console:
        logger.removeHandler(console)
    logger.propagate = True


def bounded_server(app: ASGIApp) -> BoundedServer:
    """Returns a server that limits what clients send, and believes no header about their addresses."""
    options = server_options()
    return BoundedServer(uvicorn.Config(app, http=BoundedProtocol, proxy_headers=False, server_header=False, **options))


def server_options() -> dict[str, Any]:
    """Returns the options of uvicorn that Streamlit needs, such as those of websockets."""
    return {**_get_uvicorn_config_kwargs(), "log_config": None}


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        app: The dashboard.
        listener: The socket to serve on.

    Raises:
        SystemExit: The application did not start. The log has the cause.
    """
    server = bounded_server(app)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)
