"""What `make` checks before it installs: the version of Python, and for the demo its ports.

It runs with any Python 3, without packages.
"""

from __future__ import annotations

import os
import socket
import sys

import cache  # noqa: F401  it ends here if this Python is too old

PORTS = {"API_PORT": "5000", "DASHBOARD_PORT": "8501"}


def taken() -> str:
    """A sentence about the first port of the demo that is in use; empty where none is."""
    for name, default in PORTS.items():
        named = "PORT" if os.environ.get("PORT") and not os.environ.get(name) else name
        port = os.environ.get(named) or default
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(port)))
            except ValueError:
                return f"{named} is not a number."
            except (OSError, OverflowError):
                return f"{named}={port} is used by another program. Stop it, or run: {name}=5080 make demo"
    return ""


if __name__ == "__main__":
    sys.exit((taken() or None) if "demo" in sys.argv[1:] else None)
