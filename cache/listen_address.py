"""Addresses that a server of ours listens on: its socket, who can reach it, and its URL on this machine."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys

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


def listen(host: str, port: int, host_setting: str, port_setting: str) -> socket.socket:
    """Opens the socket to serve on.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        host_setting: The name of the setting that holds the address, for messages.
        port_setting: The name of the setting that holds the port.

    Raises:
        SettingsInvalid: The address cannot be used, or the port is taken.
    """
    elsewhere = f"Set {host_setting} to an address of this machine, such as 127.0.0.1."
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise SettingsInvalid(f"{host_setting} is a name that no host can have.", elsewhere) from error
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        address = f"{host_setting}={host} {port_setting}={port}"
        if error.errno == errno.EADDRINUSE:
            airplay = " (macOS uses 5000 for AirPlay)" if sys.platform == "darwin" else ""
            advice = f"Stop that program{airplay}, or set {port_setting} to another port."
            raise SettingsInvalid(f"{address} is used by another program.", advice) from error
        if error.errno == errno.EACCES:
            advice = f"Set {port_setting} to a port from 1024 on."
            raise SettingsInvalid(f"This user may not listen on {address}.", advice) from error
        raise SettingsInvalid(f"{address} is no address that this machine can listen on.", elsewhere) from error
