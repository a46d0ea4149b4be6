"""Pages that ask for HTTP Basic credentials: status 401 with a `WWW-Authenticate` header (RFC 7617)."""

from __future__ import annotations

import re

import httpx2

from scraper.login.settings import LoginSettings
from scraper.login.trusted_hosts import is_trusted, other_host


def realm(response: httpx2.Response) -> str | None:
    """The realm that a response asks credentials for; None where it asks for none."""
    header = response.headers.get("WWW-Authenticate", "")
    if response.status_code != httpx2.codes.UNAUTHORIZED or "basic" not in header.lower():
        return None
    match = re.search(r'realm="([^"]*)"', header, re.I)
    return match[1] if match else ""


def trusted_realm(response: httpx2.Response, settings: LoginSettings) -> str | None:
    """The realm that a response asks credentials for, if they may be sent to its host.

    Raises:
        LoginRefused: A redirect led to a host that the settings do not name, which asks for them.
    """
    name = realm(response)
    if name is not None and not is_trusted(settings, str(response.url)):
        raise other_host(settings, str(response.url))
    return name
