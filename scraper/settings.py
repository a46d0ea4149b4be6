"""The login and the table: what only the scraper knows. See cache/settings.py for the rest."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cache.settings import Settings


class ScraperSettings(Settings):
    """Everything a sync needs. A pasted address is cleaned; its `db=` stands in for a missing PHPMYADMIN_DATABASE."""

    phpmyadmin_url: str = Field(description="Address of phpMyAdmin, as the browser shows it after the login or before.")
    phpmyadmin_username: str = Field(description="User name for phpMyAdmin's login form.")
    phpmyadmin_password: SecretStr = Field(description="Its password.")
    phpmyadmin_database: str = Field(min_length=1, description="Database that holds the table.")
    phpmyadmin_table: str = Field("orders", min_length=1, description="Table or view to copy.")
    statement_seconds: float = Field(
        5, gt=0, description="Seconds that a statement on the server aims at; weak hosts cut long ones."
    )
    source_timezone: str = Field("UTC", description="IANA time zone in which the table's DATETIME columns are written.")
    hold_back_below: float = Field(
        0.5, ge=0, le=1, description="A table with less than this share of its former rows is held back until accepted."
    )

    @model_validator(mode="before")
    @classmethod
    def _database_from_address(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("phpmyadmin_url") and not values.get("phpmyadmin_database"):
            pasted = parse_qs(urlsplit(str(values["phpmyadmin_url"])).query).get("db")
            if pasted:
                values["phpmyadmin_database"] = pasted[0]
        return values

    @field_validator("phpmyadmin_url")
    @classmethod
    def _cleaned(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https://")
        if parts.username or parts.password:
            raise ValueError("must hold no user name or password; they have settings of their own")
        folder = parts.path if parts.path.endswith("/") else parts.path + "/"
        if parts.path.endswith(".php"):
            folder = parts.path.rpartition("/")[0] + "/"
        return urlunsplit((parts.scheme, parts.netloc, folder, "", ""))

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.phpmyadmin_username:
            raise ValueError("PHPMYADMIN_USERNAME is empty")
        return self
