"""phpMyAdmin's login form."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from cache.settings import MAY_BE_EMPTY
from scraper.errors import LoginRefused, NotPhpMyAdmin, SessionLost, Unreachable
from scraper.login.masking import public_url
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep, refused
from scraper.login.steps.server_choice import SERVER_FIELD, ServerChoiceSettings, listed, servers, typed_server

# Error numbers of MySQL: its client's own errors and too many connections; a password that has expired. 1045, a wrong
# password, is in neither.
_DATABASE_DOWN = re.compile(r"(?:HY000/|#)(?:2\d{3}|1040|1203)\b")
_EXPIRED = re.compile(r"(?:HY000/|#)(?:1820|1862)\b")
_STATEMENT = re.compile(r".*(?=#\d{4} - )")  # phpMyAdmin shows the statement that failed before the server's own words
_USERNAME, _PASSWORD = "#input_username", "#input_password"
_ERRORS = ".alert-danger, div.error"
# Where phpMyAdmin failed to log in, it says so before the form. Where it found another session than that of the form,
# it looks at no password, and the only error is one of its own, in the language of the visitor, after the form.
_OWN_ERROR = "#pma_errors .alert-danger, #pma_errors div.error"
_LOGIN_ERROR = ".alert-danger ~ #login_form, div.error ~ #login_form"
_COOKIE_FAILED = "Failed to set session cookie"  # the whole page of phpMyAdmin 6
_COOKIES = (
    "Set PHPMYADMIN_URL to https, or correct the path and the host of cookies in the proxy in front of phpMyAdmin. "
    "The password was not refused."
)
_LOST = (
    "The form or its cookie was lost on the way: set PHPMYADMIN_URL to the address that a browser shows after a login, "
    "or correct redirects and cookies in the proxy in front of phpMyAdmin. The password was not refused."
)
_SUB_PATH = (
    "Correct PmaAbsoluteUri in phpMyAdmin's configuration, or the path of the proxy in front of it. The password was "
    "not refused."
)
_CAPTCHA = ".g-recaptcha, .h-captcha, [data-sitekey]"


class CaptchaShown(LoginRefused):
    """The login form has a captcha. No login was tried."""

    code = "captcha_shown"
    advice = "Have the captcha disabled for this user or IP address, or reach phpMyAdmin by another address."


class PasswordExpired(LoginRefused):
    """The password of the database user has expired."""

    code = "password_expired"
    advice = "Set a new password (`ALTER USER`, or phpMyAdmin's own page) and correct PHPMYADMIN_PASSWORD."


class LoginFormSettings(ServerChoiceSettings):
    """Login of the database. It may be missing where phpMyAdmin or a control panel knows it."""

    phpmyadmin_username: str | None = Field(
        None, description="User name for phpMyAdmin. Leave it empty if phpMyAdmin asks for no login."
    )
    phpmyadmin_password: SecretStr | None = Field(
        None,
        description="Password for phpMyAdmin. Set and empty: the account has no password.",
        json_schema_extra=MAY_BE_EMPTY,
    )

    @model_validator(mode="before")
    @classmethod
    def _both_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Where user name and password are empty, there is no login."""
        if values.get("phpmyadmin_username") or values.get("phpmyadmin_password") != "":
            return values
        return {name: value for name, value in values.items() if name != "phpmyadmin_password"}

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.phpmyadmin_username is None) != (self.phpmyadmin_password is None):
            missing = "PHPMYADMIN_USERNAME" if self.phpmyadmin_username is None else "PHPMYADMIN_PASSWORD"
            raise ValueError(f"{missing} is missing")
        return self


class LoginForm(LoginStep[LoginFormSettings]):
    """Fills in phpMyAdmin's login form, once."""

    def applies(self, page: PageDriver) -> bool:
        """Whether the page shows the login form."""
        return page.shows(_USERNAME)

    def run(self, page: PageDriver) -> None:
        """Sends user name and password.

        Raises:
            CaptchaShown: The form has a captcha.
            LoginRefused: The login is missing or wrong.
            NotPhpMyAdmin: The login leads to a page that is not phpMyAdmin's.
            PasswordExpired: The password has expired.
            SessionLost: The session's cookie does not come back.
            Unreachable: phpMyAdmin cannot connect to its database.
        """
        username, password = self.settings.phpmyadmin_username, self.settings.phpmyadmin_password
        if page.shows(_CAPTCHA):
            raise CaptchaShown("The login form has a captcha. No login was tried.")
        if not username or password is None:
            raise missing_login()
        server, choices = page.common_param("server"), servers(page)
        fields = {_USERNAME: username, _PASSWORD: password.get_secret_value()}
        typed = page.shows(SERVER_FIELD)
        if typed and self.settings.phpmyadmin_server:
            fields[SERVER_FIELD] = typed_server(self.settings.phpmyadmin_server)
        address = page.address
        page.submit(fields)
        if _lost_cookie(page):  # phpMyAdmin began another session meanwhile
            page.open(address)
            if page.shows(_USERNAME):
                page.submit(fields)
        if not (page.common_param("server") or page.shows(f"{_USERNAME}, {_ERRORS}")):
            # The login may have succeeded, and led to an address that is not there.
            elsewhere, failure = public_url(page.address), None if page.status == 404 else refused(page)
            page.open(address)
            if page.common_param("logged_in") != "true":
                if failure:
                    raise failure
                raise NotPhpMyAdmin(
                    f"After the login, phpMyAdmin leads to {elsewhere}, which is none of its pages.", _SUB_PATH
                )
        if page.common_param("logged_in") == "true":
            return
        if _lost_cookie(page):
            raise SessionLost("phpMyAdmin failed to set its session cookie.", _COOKIES)
        error_text = page.error_text()
        if page.shows(_USERNAME) and not error_text:  # whoever looks at a password says what is wrong with it
            raise SessionLost("phpMyAdmin shows its login form again, and gives no reason.", _LOST)
        if _DATABASE_DOWN.search(error_text):
            raise Unreachable(
                f"phpMyAdmin cannot connect to its database: {error_text}",
                "Start the database, or wait until it is up again.",
            )
        check_password_expired(page)
        choice = f" The server was {server}, of {listed(choices)}; PHPMYADMIN_SERVER chooses." if choices else ""
        if typed:
            named = self.settings.phpmyadmin_server or "that of phpMyAdmin's configuration"
            choice = f" The server was {named}; PHPMYADMIN_SERVER=host:port fills the field `Server`."
        raise LoginRefused(f"phpMyAdmin refused the login: {error_text or 'it gives no reason'}.{choice}")


def _lost_cookie(page: PageDriver) -> bool:
    """Whether the form came back because the cookie of its session did not."""
    return _COOKIE_FAILED in page.html or (page.shows(_OWN_ERROR) and not page.shows(_LOGIN_ERROR))


def check_password_expired(page: PageDriver) -> None:
    """Looks for the error of an expired password, which MariaDB shows only after the login.

    Raises:
        PasswordExpired: The page shows that error.
    """
    error_text = page.error_text()
    if _EXPIRED.search(error_text):
        raise PasswordExpired(f"The password has expired: {_STATEMENT.sub('', error_text)}")


def missing_login() -> LoginRefused:
    """The error for a phpMyAdmin that asks for a login which the settings do not have."""
    return LoginRefused("phpMyAdmin asks for a login.", "Set PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD.")
