"""Which hosts the settings name. Secrets are sent to no other host, wherever a redirect leads."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from scraper.client.tls import trust
from scraper.client.transport import CONNECT_SECONDS
from scraper.login.settings import LoginSettings


def trusted_hosts(settings: LoginSettings) -> set[str]:
    """The hosts of phpMyAdmin and of the control panel."""
    return {urlsplit(url).hostname or "" for url in (settings.start_url, settings.phpmyadmin_url)}


def is_trusted(settings: LoginSettings, address: str) -> bool:
    """Whether secrets may be sent to a URL.

    Its host is one that the settings name, at any port, as with cookies. It is encrypted if the URL in the settings is.
    """
    parts = urlsplit(address)
    return parts.hostname in trusted_hosts(settings) and (
        parts.scheme == "https" or settings.start_url.startswith("http:")
    )


def trusting_client(settings: LoginSettings, extra_headers: Mapping[str, str] | None = None) -> httpx.Client:
    """An HTTP client that follows redirects and sends PHPMYADMIN_HEADERS to trusted hosts only.

    Args:
        settings: They name the hosts, the headers and the CA file.
        extra_headers: Sent to the same hosts; may be changed while the client is in use.

    Raises:
        SettingsInvalid: PHPMYADMIN_CA_FILE cannot be read.
    """

    def choose_headers(request: httpx.Request) -> None:
        for name, value in {**settings.headers, **(extra_headers or {})}.items():
            if is_trusted(settings, str(request.url)):
                request.headers[name] = value
            else:
                request.headers.pop(name, None)  # a redirect copies the headers of the first request

    return httpx.Client(
        verify=trust(settings.phpmyadmin_ca_file),
        timeout=CONNECT_SECONDS,
        follow_redirects=True,
        event_hooks={"request": [choose_headers]},
    )
