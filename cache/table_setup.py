"""What people have said of the table: what its columns mean, the shop's clock, its currency, how prices hold tax.

It is kept in the cache for every reader. What is left open here comes from the settings, or is recognised by name.
"""

from __future__ import annotations

from pydantic import BaseModel, field_validator

from cache.settings import time_zone


class Setup(BaseModel, frozen=True):
    """`columns`: role (see cache/roles.py) -> the column that plays it, or "" for none. `timezone` is the shop's,
    `source_timezone` that of the stored times, both IANA names. `taxes_included` tells how prices hold tax where the
    table does not. None: not decided here."""

    columns: dict[str, str] = {}
    timezone: str | None = None
    source_timezone: str | None = None
    currency: str | None = None
    taxes_included: bool | None = None

    @field_validator("timezone", "source_timezone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return None if value is None else time_zone(value)


OPEN = Setup()
"""Nothing was decided."""
