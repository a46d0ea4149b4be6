"""Addresses that a server of ours listens on: who can reach one, and its URL on this machine."""

from __future__ import annotations

import ipaddress

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
