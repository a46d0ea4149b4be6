"""HTTP Basic authentication (RFC 7617): by the web server, or phpMyAdmin's own `auth_type=http`."""

from __future__ import annotations

import base64

from pydantic import Field, SecretStr

from scraper.errors import LoginRefused
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep
from scraper.login.steps.form import LoginFormSettings, missing_login


class HttpBasicSettings(LoginFormSettings):
    """Credentials for the web server. phpMyAdmin's own realm takes those of the login form."""

    phpmyadmin_http_username: str | None = Field(
        None, description="User name for HTTP Basic authentication by the web server in front of phpMyAdmin."
    )
    phpmyadmin_http_password: SecretStr | None = Field(
        None, description="Password for HTTP Basic authentication by the web server."
    )


class HttpBasic(LoginStep[HttpBasicSettings]):
    """Answers a page with status 401 that asks for HTTP Basic credentials."""

    repeats = True

    def applies(self, page: PageDriver) -> bool:
        """Whether the page asks for HTTP Basic credentials."""
        return page.challenge() is not None

    def run(self, page: PageDriver) -> None:
        """Loads the page again with the credentials of its realm.

        Raises:
            LoginRefused: The credentials are missing or wrong.
        """
        page.authorize(self._authorization(page.challenge() or ""))
        page.open(page.address)
        realm = page.challenge()
        if realm is not None:
            raise _refusal(realm)

    def _authorization(self, realm: str) -> str:
        settings = self.settings
        username, password = settings.phpmyadmin_username, settings.phpmyadmin_password
        if not _is_phpmyadmin(realm):
            username, password = settings.phpmyadmin_http_username, settings.phpmyadmin_http_password
            if not username or not password:
                raise LoginRefused(
                    f"The web server asks for a password of its own ({realm!r}).",
                    "Set PHPMYADMIN_HTTP_USERNAME and PHPMYADMIN_HTTP_PASSWORD.",
                )
        if not username or password is None:
            raise missing_login()
        credentials = f"{username}:{password.get_secret_value()}".encode()
        return f"Basic {base64.b64encode(credentials).decode()}"


def _refusal(realm: str) -> LoginRefused:
    if _is_phpmyadmin(realm):
        return LoginRefused("phpMyAdmin refused the login: Access denied.")
    return LoginRefused(
        f"The web server refused its own login ({realm!r}).",
        "Correct PHPMYADMIN_HTTP_USERNAME and PHPMYADMIN_HTTP_PASSWORD and restart, or press refresh.",
    )


def _is_phpmyadmin(realm: str) -> bool:
    return realm.startswith("phpMyAdmin ")
