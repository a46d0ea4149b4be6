"""Where phpMyAdmin is, which table to copy, and what each request carries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cache.machine.web_address import web_address
from cache.settings import Settings, from_checkout

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~]*")  # RFC 9110, 5.1 and 5.5, in ASCII


class ClientSettings(Settings):
    """Settings of the phpMyAdmin client.

    The URL may be copied from any page of phpMyAdmin: what follows its folder is cut off, and a `db=` parameter is the
    default of PHPMYADMIN_DATABASE.
    """

    phpmyadmin_url: str = Field(description="URL of phpMyAdmin, as copied from the browser's address bar.")
    phpmyadmin_database: str = Field(min_length=1, description="Database that contains the table.")
    phpmyadmin_table: str = Field("orders", min_length=1, description="Table or view to copy.")
    phpmyadmin_headers: SecretStr | None = Field(
        None, description='HTTP headers to send with each request, as JSON: `{"X-Access-Token": "…"}`.'
    )
    phpmyadmin_ca_file: Path | None = Field(
        None,
        description="PEM file with the certificate of a private CA, which is trusted in addition to the public CAs.",
    )
    sync_connections: int = Field(
        1,
        ge=1,
        le=8,
        description="Number of phpMyAdmin sessions that a sync uses in parallel. Each session logs in.",
    )
    sync_memory_mb: int = Field(
        2048,
        ge=1024,
        le=1 << 24,
        description="Memory that a sync may take, in MB, without Chrome. A row of the table may have a 64th of it.",
    )
    sync_pause_seconds: float = Field(
        0, ge=0, le=60, description="Pause after each request of a sync, in seconds. Raise it for slow hosts."
    )

    @model_validator(mode="before")
    @classmethod
    def _database_from_url(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("phpmyadmin_url") and not values.get("phpmyadmin_database"):
            databases = parse_qs(str(values["phpmyadmin_url"]).partition("?")[2].partition("#")[0]).get("db")
            if databases:
                values["phpmyadmin_database"] = databases[0]
        return values

    @field_validator("phpmyadmin_url")
    @classmethod
    def _folder_of_url(cls, value: str) -> str:
        parts = urlsplit(web_address(value))
        folder = parts.path if parts.path.endswith("/") else parts.path + "/"
        if parts.path.endswith(".php"):
            folder = parts.path.rpartition("/")[0] + "/"
        return urlunsplit((parts.scheme, parts.netloc, folder, "", ""))

    @field_validator("phpmyadmin_headers")
    @classmethod
    def _json_object(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                headers = json.loads(value.get_secret_value())
            except ValueError:
                headers = None
            if not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
                raise ValueError("must be a JSON object whose values are strings")
            if not all(_HEADER.fullmatch(f"{name}: {text}") for name, text in headers.items()):
                raise ValueError("has a name or a value with a character that HTTP headers cannot have")
        return value

    @field_validator("phpmyadmin_ca_file")
    @classmethod
    def _absolute_ca_file(cls, value: Path | None) -> Path | None:
        return value and from_checkout(value)

    @property
    def headers(self) -> dict[str, str]:
        """PHPMYADMIN_HEADERS by name."""
        if self.phpmyadmin_headers is None:
            return {}
        headers: dict[str, str] = json.loads(self.phpmyadmin_headers.get_secret_value())
        return headers
