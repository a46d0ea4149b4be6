"""The login and the table: what only the scraper knows. See cache/settings.py for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cache.settings import Settings
from scraper.totp import totp


class ScraperSettings(Settings):
    """Everything a sync needs. A pasted address is cleaned; its `db=` stands in for a missing PHPMYADMIN_DATABASE.

    PHPMYADMIN_USERNAME and PHPMYADMIN_PASSWORD may be missing where phpMyAdmin asks for none: it knows its login
    (`auth_type=config`), or a control panel in front does, which knows the address too.
    """

    phpmyadmin_url: str = Field(description="Address of phpMyAdmin, as the browser shows it after the login or before.")
    phpmyadmin_username: str | None = Field(
        None, description="User name for phpMyAdmin's login form; none where phpMyAdmin asks for none."
    )
    phpmyadmin_password: SecretStr | None = Field(None, description="Its password.")
    phpmyadmin_database: str = Field(min_length=1, description="Database that holds the table.")
    phpmyadmin_table: str = Field("orders", min_length=1, description="Table or view to copy.")
    statement_seconds: float = Field(
        5, gt=0, description="Seconds that a statement on the server aims at; weak hosts cut long ones."
    )
    sync_connections: int = Field(
        1, ge=1, le=8, description="Requests that a sync sends at once, each with a login of its own."
    )
    sync_pause_seconds: float = Field(
        0, ge=0, le=60, description="Seconds of rest after each request of a sync, for weak hosts."
    )
    phpmyadmin_login: Literal["auto", "browser", "http", "browser-only"] = Field(
        "auto",
        description="Who logs in: `browser` (Chrome; exports go by plain HTTP), `http` (no Chrome), `browser-only` "
        "(exports too), or what this machine can.",
    )
    phpmyadmin_server: str | None = Field(
        None, description="Number or name of the server, where phpMyAdmin offers several."
    )
    phpmyadmin_totp_secret: SecretStr | None = Field(
        None, description="Secret of phpMyAdmin's second factor, in base 32, as an authenticator app takes it."
    )
    phpmyadmin_http_username: str | None = Field(
        None, description="User name for a password that the web server itself asks for (HTTP Basic)."
    )
    phpmyadmin_http_password: SecretStr | None = Field(None, description="Its password.")
    phpmyadmin_headers: SecretStr | None = Field(
        None, description='Headers to send with each request, as JSON: `{"X-Access-Token": "…"}`.'
    )
    phpmyadmin_ca_file: Path | None = Field(
        None, description="File (PEM) with the certificate of a private CA to trust besides the public ones."
    )
    phpmyadmin_portal_url: str | None = Field(
        None, description="Address of the login form of a control panel that leads to phpMyAdmin."
    )
    phpmyadmin_portal_username: str | None = Field(None, description="User name for the control panel.")
    phpmyadmin_portal_password: SecretStr | None = Field(None, description="Its password.")
    phpmyadmin_portal_totp_secret: SecretStr | None = Field(
        None, description="Secret of the control panel's second factor, in base 32."
    )
    phpmyadmin_portal_username_field: str = Field("user", description="Name of the field for it in the panel's form.")
    phpmyadmin_portal_password_field: str = Field("pass", description="Name of the field for the password.")
    phpmyadmin_portal_code_field: str = Field("tfa_token", description="Name of the field for the second factor.")
    phpmyadmin_portal_link: str = Field(
        "a#item_php_my_admin", description="CSS selector of the panel's link to phpMyAdmin."
    )
    source_timezone: str = Field("UTC", description="IANA time zone in which the table's DATETIME columns are written.")
    full_check_hours: float = Field(
        0,
        ge=0,
        description="Hours in which scheduled syncs compare the newest and lately changed rows alone; 0: none.",
    )
    hold_back_below: float = Field(
        0.5, ge=0, le=1, description="A table with less than this share of its former rows is held back until accepted."
    )
    changes_days: float = Field(
        30, ge=0, le=3650, description="Days for which the changes of each sync are kept, for `GET /changes`."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_to_the_portal(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("phpmyadmin_portal_url"):
            return {"phpmyadmin_url": values["phpmyadmin_portal_url"], **values}
        return values

    @model_validator(mode="before")
    @classmethod
    def _database_from_address(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("phpmyadmin_url") and not values.get("phpmyadmin_database"):
            pasted = parse_qs(urlsplit(str(values["phpmyadmin_url"])).query).get("db")
            if pasted:
                values["phpmyadmin_database"] = pasted[0]
        return values

    @field_validator("phpmyadmin_url", "phpmyadmin_portal_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https://")
        if parts.username or parts.password:
            raise ValueError("must hold no user name or password; they have settings of their own")
        return value.strip()

    @field_validator("phpmyadmin_url")
    @classmethod
    def _cleaned(cls, value: str) -> str:
        parts = urlsplit(value)
        folder = parts.path if parts.path.endswith("/") else parts.path + "/"
        if parts.path.endswith(".php"):
            folder = parts.path.rpartition("/")[0] + "/"
        return urlunsplit((parts.scheme, parts.netloc, folder, "", ""))

    @field_validator("phpmyadmin_totp_secret", "phpmyadmin_portal_totp_secret")
    @classmethod
    def _base_32(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                totp(value.get_secret_value())
            except ValueError as error:
                raise ValueError("is no secret in base 32, such as an authenticator app takes") from error
        return value

    @field_validator("phpmyadmin_headers")
    @classmethod
    def _an_object(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                given = json.loads(value.get_secret_value())
            except ValueError:
                given = None
            if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
                raise ValueError("must be a JSON object of names and texts")
        return value

    @property
    def headers(self) -> dict[str, str]:
        """PHPMYADMIN_HEADERS by name."""
        given: dict[str, str] = (
            json.loads(self.phpmyadmin_headers.get_secret_value()) if self.phpmyadmin_headers else {}
        )
        return given

    @property
    def start(self) -> str:
        """The address at which the way in begins."""
        return self.phpmyadmin_portal_url or self.phpmyadmin_url

    def secrets(self) -> list[str]:
        """All that must not be shown."""
        values = [getattr(self, name) for name in type(self).model_fields]
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)] + [*self.headers.values()]

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.phpmyadmin_username is None) != (self.phpmyadmin_password is None):
            missing = "PHPMYADMIN_USERNAME" if self.phpmyadmin_username is None else "PHPMYADMIN_PASSWORD"
            raise ValueError(f"{missing} is missing")
        if self.phpmyadmin_portal_url and not (self.phpmyadmin_portal_username and self.phpmyadmin_portal_password):
            raise ValueError("PHPMYADMIN_PORTAL_USERNAME or PHPMYADMIN_PORTAL_PASSWORD is missing")
        return self
