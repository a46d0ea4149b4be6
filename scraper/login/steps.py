"""The way from an address to phpMyAdmin's pages, step by step: the same in a browser and over plain HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urljoin

from pydantic import SecretStr

from scraper.errors import (
    BrowserNeeded,
    CaptchaShown,
    LoginRefused,
    NotPhpMyAdmin,
    PasswordExpired,
    SecondFactorRefused,
    ServerChoiceNeeded,
    Unreachable,
)
from scraper.login.basic_auth import missing_login
from scraper.settings import ScraperSettings
from scraper.totp import totp

# MySQL's numbers of the client's own errors, and of too many connections; a refused password is 1045.
_NO_DATABASE = re.compile(r"(?:HY000/|#)(?:2\d{3}|1040|1203)\b")
EXPIRED = re.compile(r"(?:HY000/|#)(?:1820|1862)\b")
_USERNAME, _PASSWORD = "#input_username", "#input_password"
_CODE = "input[name='2fa_code']"
_CAPTCHA = ".g-recaptcha, .h-captcha, [data-sitekey]"
_SERVERS = "select#select_server"


class Window(Protocol):
    """Shows one page at a time. Selectors are CSS."""

    @property
    def address(self) -> str:
        """Of the page that is shown."""

    def open(self, address: str) -> None:
        """Raises Unreachable, CertificateRefused, LoginRefused (by the web server), BrowserFailed."""

    def submit(self, fields: Mapping[str, str]) -> None:
        """Fills in fields, by their selectors, sends the form of the first, and shows what comes."""

    def shows(self, selector: str) -> bool: ...

    def needs_scripts(self) -> bool:
        """Whether the page seems to go on by a script, and this window runs none."""

    def attribute(self, selector: str, name: str) -> str:
        """Of the first such element; empty where there is none."""

    def options(self, selector: str) -> dict[str, str]:
        """Values and labels of a choice."""

    def complaint(self) -> str:
        """What the page complains about; phpMyAdmin's also hold complaints that they do not show."""

    def known(self, name: str) -> str:
        """A value that phpMyAdmin's pages tell their scripts: `logged_in`, `token`, `server`, `version`."""


def enter(window: Window, settings: ScraperSettings) -> None:
    """Leads to a page of phpMyAdmin that is logged in.

    Raises NotPhpMyAdmin, LoginRefused and what is below them, ServerChoiceNeeded, and what `Window.open` raises.
    """
    window.open(settings.start)
    if settings.phpmyadmin_portal_url:
        _through_portal(window, settings)
    _choose_server(window, settings)
    _give_password(window, settings)
    _give_code(window, settings)
    said = window.complaint()
    if EXPIRED.search(said):
        raise PasswordExpired(f"The password has expired: {said}")


def _through_portal(window: Window, settings: ScraperSettings) -> None:
    user, password, code = (
        f"input[name='{name}']" for name in (
            settings.phpmyadmin_portal_username_field, settings.phpmyadmin_portal_password_field,
            settings.phpmyadmin_portal_code_field,
        )
    )  # fmt: skip
    if not window.shows(password):
        raise _no_way(
            window,
            f"The page at {_place(window)} shows no login form with the field {password}.",
            "Correct PHPMYADMIN_PORTAL_URL and PHPMYADMIN_PORTAL_PASSWORD_FIELD.",
        )
    window.submit(
        {user: settings.phpmyadmin_portal_username or "", password: _text(settings.phpmyadmin_portal_password)}
    )
    if window.shows(password):
        raise LoginRefused(
            f"The control panel refused the login: {window.complaint()}",
            "Correct PHPMYADMIN_PORTAL_USERNAME and PHPMYADMIN_PORTAL_PASSWORD and restart, or press refresh.",
        )
    _second_factor(window, code, settings.phpmyadmin_portal_totp_secret, "PHPMYADMIN_PORTAL_TOTP_SECRET")
    link = window.attribute(settings.phpmyadmin_portal_link, "href")
    if not link:
        raise _no_way(
            window,
            f"The control panel's page shows no link {settings.phpmyadmin_portal_link}.",
            "Correct PHPMYADMIN_PORTAL_LINK, and PHPMYADMIN_PORTAL_CODE_FIELD where the panel asks for a code.",
        )
    window.open(urljoin(window.address, link))


def _choose_server(window: Window, settings: ScraperSettings) -> None:
    choices = _servers(window)
    listed = _listed(choices)
    wanted, present = settings.phpmyadmin_server, window.known("server")
    if wanted:
        found = {wanted} & {*choices, present} or {number for number, label in choices.items() if label == wanted}
        if not found:
            raise ServerChoiceNeeded(f"There is no server {wanted!r}; there are: {listed or present}.")
        number = found.pop()
        if number != present:
            window.open(urljoin(window.address, f"index.php?server={number}"))
    elif choices and present == "0":
        raise ServerChoiceNeeded(f"phpMyAdmin offers a choice of servers: {listed}.")


def _servers(window: Window) -> dict[str, str]:
    """The names by number, where there is a choice."""
    return {number: label for number, label in window.options(_SERVERS).items() if number}


def _listed(servers: Mapping[str, str]) -> str:
    return ", ".join(f"{number} ({label})" for number, label in servers.items())


def _give_password(window: Window, settings: ScraperSettings) -> None:
    if not window.shows(_USERNAME):
        if window.known("logged_in") != "true":
            raise _no_way(window, f"The page at {_place(window)} shows no phpMyAdmin login form.")
        return
    if window.shows(_CAPTCHA):
        raise CaptchaShown("The login form wants a captcha solved. No login was tried.")
    if not settings.phpmyadmin_username:
        raise missing_login()
    server, choices = window.known("server"), _servers(window)
    window.submit({_USERNAME: settings.phpmyadmin_username, _PASSWORD: _text(settings.phpmyadmin_password)})
    if window.known("logged_in") == "true":
        return
    said = window.complaint()
    if _NO_DATABASE.search(said):
        raise Unreachable(f"phpMyAdmin does not reach its database: {said}", "Start the database, or wait for it.")
    if EXPIRED.search(said):
        raise PasswordExpired(f"The password has expired: {said}")
    choice = f" Server {server} was asked, of {_listed(choices)}; PHPMYADMIN_SERVER chooses." if choices else ""
    raise LoginRefused(f"phpMyAdmin refused the login: {said or 'it does not say why'}.{choice}")


def _give_code(window: Window, settings: ScraperSettings) -> None:
    _second_factor(window, _CODE, settings.phpmyadmin_totp_secret, "PHPMYADMIN_TOTP_SECRET")


def _second_factor(window: Window, field: str, secret: SecretStr | None, setting: str) -> None:
    if not window.shows(field):
        return
    advice = f"Set {setting} to the secret behind the QR code of the authenticator app, and set this machine's clock."
    if secret is None:
        raise SecondFactorRefused("The login wants a code of an authenticator app.", advice)
    window.submit({field: totp(secret.get_secret_value())})
    if window.shows(field):
        raise SecondFactorRefused(f"The code was refused: {window.complaint()}", advice)


def _no_way(window: Window, message: str, advice: str | None = None) -> NotPhpMyAdmin:
    """The error for a page on which the way in does not go on."""
    if window.needs_scripts():
        return BrowserNeeded(f"The page at {_place(window)} goes on by JavaScript, which needs Chrome.")
    return NotPhpMyAdmin(message, advice)


def _place(window: Window) -> str:
    """The address without what may be secret in it."""
    return window.address.partition("?")[0]


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
