"""phpMyAdmin's two-factor authentication: a code of an authenticator app, after the password."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from scraper.errors import LoginRefused
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep
from scraper.totp import totp

_CODE = "input[name='2fa_code']"


class SecondFactorRefused(LoginRefused):
    """The code of an authenticator app is missing or wrong."""

    code = "second_factor_refused"


def _base_32(value: SecretStr) -> SecretStr:
    try:
        totp(value.get_secret_value())
    except ValueError as error:
        raise ValueError("is not a base32 secret in the form that you enter in an authenticator app") from error
    return value


TotpSecret = Annotated[SecretStr, AfterValidator(_base_32)]
"""A secret from which codes can be computed."""


class SecondFactorSettings(BaseModel):
    """The secret behind the codes."""

    phpmyadmin_totp_secret: TotpSecret | None = Field(
        None,
        description="Base32 secret of phpMyAdmin's two-factor authentication, in the form that you enter in an "
        "authenticator app.",
    )


class SecondFactor(LoginStep[SecondFactorSettings]):
    """Fills in the code."""

    def applies(self, page: PageDriver) -> bool:
        """Whether the page asks for a code."""
        return page.shows(_CODE)

    def run(self, page: PageDriver) -> None:
        """Sends the code.

        Raises:
            SecondFactorRefused: The secret is missing or wrong.
        """
        enter_code(page, _CODE, self.settings.phpmyadmin_totp_secret, "PHPMYADMIN_TOTP_SECRET")


def enter_code(page: PageDriver, field: str, secret: SecretStr | None, setting: str) -> None:
    """Fills in the code of an authenticator app.

    Args:
        page: Shows the form that asks for the code.
        field: Selector of its field.
        secret: The base32 secret, if it is set.
        setting: Name of the setting for it, for messages.

    Raises:
        SecondFactorRefused: The secret is missing or wrong.
    """
    advice = f"Set {setting} to the secret behind the QR code of the authenticator app, and correct the system clock."
    if secret is None:
        raise SecondFactorRefused("The login asks for a code of an authenticator app.", advice)
    page.submit({field: totp(secret.get_secret_value())})
    if page.shows(field):
        raise SecondFactorRefused(f"The code was refused: {page.error_text()}", advice)
