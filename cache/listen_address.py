"""Addresses that a server of ours listens on: its socket, who can reach it, and its URL on this machine."""

from __future__ import annotations

import ipaddress
import socket

from cache.errors import SettingsInvalid

_ON_THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  to call it, not to listen


def is_loopback(host: str | None) -> bool:
    """Whether only this machine can reach a host that a server listens on. None and "" are all addresses."""
    try:
        return ipaddress.ip_address((host or "").strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def local_url(host: str, port: int) -> str:
    """The URL by which this machine reaches a server that listens on `host`."""
    host = _ON_THIS_MACHINE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int, settings: str) -> socket.socket:
    """Opens the socket to serve on.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        settings: What the names of its settings begin with: `API` or `DASHBOARD`.

    Raises:
        SettingsInvalid: The address cannot be used, or the port is taken.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        advice = f"Stop the program that uses it, or set {settings}_PORT to another port (macOS uses 5000 for AirPlay)."
        raise SettingsInvalid(
            f"{settings}_HOST={host} {settings}_PORT={port} cannot be used: {error.strerror}.", advice
        ) from error
