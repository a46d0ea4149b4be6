"""The source of a snapshot's rows, and the SQL constructs with which they were read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class StatementDialect(BaseModel, frozen=True):
    """The SQL constructs that a sync uses. A firewall in front of phpMyAdmin may refuse the default ones.

    Attributes:
        shape: The source of the columns and the key.
        grouped: Whether one statement computes the checksums of many ranges (GROUP BY … WITH ROLLUP).
        joiner: The function that joins the values of a row before they are hashed.
        digest: The hash function of a row's checksum.
        rows: `proven` by checksums, or only counted: read page by page (`paged`), or from phpMyAdmin's own export of
            the whole table (`exported`).
        refused: The constructs that a firewall refused.
        since: When the firewall refused them (UTC); None if nothing was refused.
    """

    shape: Literal["information_schema", "SHOW", "export"] = "information_schema"
    grouped: bool = True
    joiner: Literal["CONCAT_WS", "CONCAT"] = "CONCAT_WS"
    digest: Literal["MD5", "SHA1"] = "MD5"
    rows: Literal["proven", "paged", "exported"] = "proven"
    refused: tuple[str, ...] = ()
    since: datetime | None = None


class Source(BaseModel, frozen=True):
    """The table that the rows come from, and how they were read.

    Attributes:
        timezone: The time zone of DATETIME values, an IANA name.
        server: Version of MySQL or MariaDB.
        phpmyadmin: Version of phpMyAdmin.
        dialect: The SQL constructs that the sync used; stored as `forms`.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    database: str
    table: str
    timezone: str = "UTC"
    server: str = ""
    phpmyadmin: str = ""
    dialect: StatementDialect = Field(default=StatementDialect(), validation_alias="forms", serialization_alias="forms")
