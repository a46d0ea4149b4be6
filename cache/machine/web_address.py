"""The URL of a page, as a person copies it into a setting."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_NO_URL = re.compile(r"[\x00-\x20\x7f\\]")  # in a host; a path may have spaces, which are sent as %20
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_HOST = "has a host or a port that cannot exist; a URL is such as https://example.com/orders/"


def web_address(value: str) -> str:
    """Returns the URL of a page without the white space around it.

    Raises:
        ValueError: It is not an http or https URL, its host or port cannot exist, or it contains credentials.
    """
    value = value.strip()
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        _ = parts.port, host.encode("idna")  # ValueErrors both: as every client of HTTP would raise later
    except ValueError as error:
        raise ValueError(_HOST) from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must begin with http:// or https://")
    if _NO_URL.search(parts.netloc) or _CONTROLS.search(value):
        raise ValueError(_HOST if _NO_URL.search(parts.netloc) else "has a control character")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password; they have settings of their own")
    return value
