"""The control panel of a web host, which has a login of its own and links to phpMyAdmin."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from cache.machine.web_address import web_address
from scraper.errors import LoginRefused
from scraper.login.bounded_pages import join_url
from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep, dead_end, public_address
from scraper.login.steps.second_factor import TotpSecret, enter_code


class ControlPanelSettings(BaseModel):
    """Login of the control panel. The default names are those of cPanel."""

    phpmyadmin_portal_url: str | None = Field(
        None, description="URL of the login form of a control panel that links to phpMyAdmin."
    )
    phpmyadmin_portal_username: str | None = Field(None, description="User name for the control panel.")
    phpmyadmin_portal_password: SecretStr | None = Field(None, description="Password for the control panel.")
    phpmyadmin_portal_totp_secret: TotpSecret | None = Field(
        None, description="Base32 secret of the control panel's two-factor authentication."
    )
    phpmyadmin_portal_username_field: str = Field(
        "user", description="`name` attribute of the user name field in the panel's login form."
    )
    phpmyadmin_portal_password_field: str = Field("pass", description="`name` attribute of the password field.")
    phpmyadmin_portal_code_field: str = Field(
        "tfa_token", description="`name` attribute of the field for the two-factor code."
    )
    phpmyadmin_portal_link: str = Field(
        "a#item_php_my_admin", description="CSS selector of the panel's link to phpMyAdmin."
    )

    @model_validator(mode="before")
    @classmethod
    def _panel_knows_phpmyadmin(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("phpmyadmin_portal_url"):
            return {"phpmyadmin_url": values["phpmyadmin_portal_url"], **values}
        return values

    @field_validator("phpmyadmin_portal_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.phpmyadmin_portal_url and not (self.phpmyadmin_portal_username and self.phpmyadmin_portal_password):
            raise ValueError("PHPMYADMIN_PORTAL_USERNAME or PHPMYADMIN_PORTAL_PASSWORD is missing")
        return self


class ControlPanel(LoginStep[ControlPanelSettings]):
    """Logs in to the panel, and follows its link to phpMyAdmin."""

    def applies(self, page: PageDriver) -> bool:
        """Whether the settings name a control panel."""
        return self.settings.phpmyadmin_portal_url is not None

    def run(self, page: PageDriver) -> None:
        """Fills in the panel's login form, then the code if it asks for one, and opens the link.

        Raises:
            NotPhpMyAdmin: The page has no such form or link.
            LoginRefused: The panel refused the login.
            SecondFactorRefused: The panel's code is missing or wrong.
        """
        self._log_in(page)
        code = f"input[name='{self.settings.phpmyadmin_portal_code_field}']"
        if page.shows(code):
            enter_code(page, code, self.settings.phpmyadmin_portal_totp_secret, "PHPMYADMIN_PORTAL_TOTP_SECRET")
        link = page.attribute(self.settings.phpmyadmin_portal_link, "href")
        if not link:
            raise dead_end(
                page,
                f"The control panel's page has no link {self.settings.phpmyadmin_portal_link}.",
                "Correct PHPMYADMIN_PORTAL_LINK, and PHPMYADMIN_PORTAL_CODE_FIELD if the panel asks for a code.",
            )
        page.open(join_url(page.address, link))

    def _log_in(self, page: PageDriver) -> None:
        settings = self.settings
        username = f"input[name='{settings.phpmyadmin_portal_username_field}']"
        password = f"input[name='{settings.phpmyadmin_portal_password_field}']"
        if not page.shows(password):
            raise dead_end(
                page,
                f"The page at {public_address(page)} has no login form with the field {password}.",
                "Correct PHPMYADMIN_PORTAL_URL and PHPMYADMIN_PORTAL_PASSWORD_FIELD.",
            )
        secret = settings.phpmyadmin_portal_password
        page.submit(
            {
                username: settings.phpmyadmin_portal_username or "",
                password: secret.get_secret_value() if secret else "",
            }
        )
        if page.shows(password):
            raise LoginRefused(
                f"The control panel refused the login: {page.error_text()}",
                "Correct PHPMYADMIN_PORTAL_USERNAME and PHPMYADMIN_PORTAL_PASSWORD and restart, or press refresh.",
            )
