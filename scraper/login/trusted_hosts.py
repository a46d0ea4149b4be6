"""Which addresses are the user's own: secrets that go with requests go nowhere else, wherever a redirect leads."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from scraper.client.tls import trust
from scraper.client.transport import CONNECT_SECONDS
from scraper.settings import ScraperSettings


def hosts(settings: ScraperSettings) -> set[str]:
    """The hosts that the settings name: phpMyAdmin's and the control panel's."""
    return {urlsplit(own).hostname or "" for own in (settings.start, settings.phpmyadmin_url)}


def at_home(settings: ScraperSettings, address: str) -> bool:
    """Whether an address is on such a host, at any port, as with cookies; and encrypted, where the settings' is."""
    here = urlsplit(address)
    return here.hostname in hosts(settings) and (here.scheme == "https" or settings.start.startswith("http:"))


def visitor(settings: ScraperSettings, more: Mapping[str, str] | None = None) -> httpx.Client:
    """A client that follows redirects, and sends PHPMYADMIN_HEADERS at home alone.

    Parameters: `more` headers go the same way; those that are added to it later, too. Raises SettingsInvalid.
    """

    def choose(request: httpx.Request) -> None:
        for name, value in {**settings.headers, **(more or {})}.items():
            if at_home(settings, str(request.url)):
                request.headers[name] = value
            else:
                request.headers.pop(name, None)  # a redirect has those of the request before

    return httpx.Client(
        verify=trust(settings.phpmyadmin_ca_file), timeout=CONNECT_SECONDS, follow_redirects=True,
        event_hooks={"request": [choose]},
    )  # fmt: skip
