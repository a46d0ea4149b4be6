"""How to log in: the settings of all login steps, and who does them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from scraper.client.settings import ClientSettings
from scraper.login.steps import StepSettings


class LoginSettings(ClientSettings, StepSettings):
    """Everything that a login needs."""

    phpmyadmin_login: Literal["auto", "browser", "http", "browser-only"] = Field(
        "auto",
        description="How to log in. `browser`: Chrome logs in, and the exports run over HTTP without Chrome. "
        "`http`: Chrome is not used. `browser-only`: the exports also run in Chrome. `auto`: `browser` if Chrome is "
        "installed and has enough memory, else `http`.",
    )

    @property
    def start_url(self) -> str:
        """The URL at which the login begins."""
        return self.phpmyadmin_portal_url or self.phpmyadmin_url

    def secrets(self) -> list[str]:
        """All values that no log and no saved page may show."""
        values = [getattr(self, name) for name in type(self).model_fields]
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)] + [*self.headers.values()]
