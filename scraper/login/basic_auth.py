"""A web server that asks for a password by itself: HTTP Basic (RFC 7617), also phpMyAdmin's `auth_type=http`."""

from __future__ import annotations

import base64
import re

import httpx

from scraper.errors import LoginRefused
from scraper.login.trusted_hosts import at_home
from scraper.settings import ScraperSettings


def realm(response: httpx.Response) -> str | None:
    """What a refused request names as the place to log in to; None where it asks for no Basic login."""
    asked = response.headers.get("WWW-Authenticate", "")
    if response.status_code != httpx.codes.UNAUTHORIZED or "basic" not in asked.lower():
        return None
    found = re.search(r'realm="([^"]*)"', asked, re.I)
    return found[1] if found else ""


def asked_for(response: httpx.Response, settings: ScraperSettings) -> str | None:
    """The realm that an answer asks to log in to. Raises LoginRefused where a redirect led to another host for it."""
    asked = realm(response)
    if asked is not None and not at_home(settings, str(response.url)):
        place = f"{response.url.scheme}://{response.url.netloc.decode()}"
        raise LoginRefused(
            f"{settings.start} leads to {place}, which asks for a password. None is sent to another host.",
            "Set PHPMYADMIN_URL to the address on that host, if it is yours.",
        )
    return asked


def authorization(settings: ScraperSettings, realm: str) -> str:
    """The header's value for a realm: phpMyAdmin's own takes the login of the database. Raises LoginRefused."""
    user, password = settings.phpmyadmin_username, settings.phpmyadmin_password
    if not _is_phpmyadmin(realm):
        if not settings.phpmyadmin_http_username or not settings.phpmyadmin_http_password:
            raise LoginRefused(
                f"The web server asks for a password of its own ({realm!r}).",
                "Set PHPMYADMIN_HTTP_USERNAME and PHPMYADMIN_HTTP_PASSWORD.",
            )
        user, password = settings.phpmyadmin_http_username, settings.phpmyadmin_http_password
    if not user or not password:
        raise missing_login()
    pair = f"{user}:{password.get_secret_value()}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def missing_login() -> LoginRefused:
    """The error where phpMyAdmin asks for a login, and the settings have none."""
    return LoginRefused("phpMyAdmin asks for a login.", "Set PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD.")


def refusal(realm: str) -> LoginRefused:
    """The error for a login that this realm did not take."""
    if _is_phpmyadmin(realm):
        return LoginRefused("phpMyAdmin refused the login: Access denied.")
    return LoginRefused(
        f"The web server refused its own login ({realm!r}).",
        "Correct PHPMYADMIN_HTTP_USERNAME and PHPMYADMIN_HTTP_PASSWORD and restart, or press refresh.",
    )


def _is_phpmyadmin(realm: str) -> bool:
    return realm.startswith("phpMyAdmin ")
