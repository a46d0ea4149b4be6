"""Which hosts the settings name. Secrets are sent to no other host, wherever a redirect or a form leads."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from scraper.client.tls import trust
from scraper.client.transport import CONNECT_SECONDS
from scraper.errors import LoginRefused
from scraper.login.bounded_pages import bound_body
from scraper.login.masking import public_url
from scraper.login.settings import LoginSettings


def trusted_origins(settings: LoginSettings) -> set[tuple[str, str]]:
    """Schemes and hosts that secrets may be sent to: those of phpMyAdmin and of the control panel.

    `https` is always allowed for them, `http` only for a host that the settings name with `http`.
    """
    named = [urlsplit(url) for url in (settings.start_url, settings.phpmyadmin_url)]
    return {(scheme, url.hostname or "") for url in named for scheme in (url.scheme, "https")}


def is_trusted(settings: LoginSettings, address: str) -> bool:
    """Whether secrets may be sent to a URL: to one of `trusted_origins`, at any port, as with cookies."""
    url = urlsplit(address)
    return (url.scheme, url.hostname or "") in trusted_origins(settings)


def check_target(settings: LoginSettings, page: str, target: str) -> None:
    """Checks where a page would send a secret to.

    Args:
        settings: They name the hosts.
        page: The URL of the page.
        target: The URL that it would be sent to.

    Raises:
        LoginRefused: The settings do not name the host of the page or of the target, or the way leads from https to
            http.
    """
    for address in (page, target):
        if not is_trusted(settings, address):
            raise other_host(settings, address)
    if page.startswith("https:") and not target.startswith("https:"):
        raise other_host(settings, target)


def other_host(settings: LoginSettings, address: str) -> LoginRefused:
    """The error for a URL to which no secret is sent."""
    url = urlsplit(address)
    return LoginRefused(
        f"{public_url(settings.start_url)} leads to {url.scheme}://{url.netloc.rpartition('@')[2]}. Passwords "
        "and headers are sent only to hosts that the settings name, and never from https to http.",
        "If that address is yours, set PHPMYADMIN_URL to it.",
    )


def trusting_client(settings: LoginSettings, extra_headers: Mapping[str, str] | None = None) -> httpx2.Client:
    """An HTTP client that follows redirects and sends secrets to trusted hosts only.

    Its secrets are PHPMYADMIN_HEADERS and the forms that it posts. A form is posted by the page that was requested
    before. If the next host or scheme is not trusted, the request fails with LoginRefused.

    The size of its responses is bounded.

    Args:
        settings: They name the hosts, the headers and the CA file.
        extra_headers: Sent to the same hosts; may be changed while the client is in use.

    Raises:
        SettingsInvalid: PHPMYADMIN_CA_FILE cannot be read.
    """
    page = settings.start_url

    def keep_secrets(request: httpx2.Request) -> None:
        nonlocal page
        address = str(request.url)
        if request.method == "POST":  # also one that a redirect repeats (307, 308)
            check_target(settings, page, address)
        page = address
        for name, value in {**settings.headers, **(extra_headers or {})}.items():
            if is_trusted(settings, address):
                request.headers[name] = value
            else:
                request.headers.pop(name, None)  # a redirect copies the headers of the first request

    return httpx2.Client(
        verify=trust(settings.phpmyadmin_ca_file),
        timeout=CONNECT_SECONDS,
        follow_redirects=True,
        headers={"Accept-Encoding": "gzip"},
        event_hooks={"request": [keep_secrets], "response": [bound_body]},
    )
