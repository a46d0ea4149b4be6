"""The set-up of the table, as the Settings page saves it: roles of columns, time zones, currency, tax.

The cache keeps it for every reader. What is not set here comes from the settings, or is recognised by column names.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, field_validator

from cache.settings import time_zone

NoOrder = Literal["test", "deleted", "draft"]
"""Why a row is no order: it is a test order, a deleted row or an open draft."""


class Setup(BaseModel, frozen=True):
    """What a person has set for the table; None: not set.

    Attributes:
        columns: Role (see cache/roles.py) -> name of the column that plays it, or "" for none.
        timezone: IANA name of the shop's time zone.
        source_timezone: IANA name of the time zone in which the table's DATETIME columns are written.
        currency: Currency that the dashboard opens with.
        taxes_included: Whether prices include tax, where no column tells.
        grain: What one row is: `order`, `line` (an item of an order) or `version` (of an order).
        amounts: Column of amounts in text -> its decimal mark, `point` or `comma`.
        instants: Column of dates in text -> `day_first` or `month_first`.
        counted: Rows that count as orders although they are none, in the order of NoOrder.
    """

    columns: dict[str, str] = {}
    timezone: str | None = None
    source_timezone: str | None = None
    currency: str | None = None
    taxes_included: bool | None = None
    grain: Literal["order", "line", "version"] | None = None
    amounts: dict[str, Literal["point", "comma"]] = {}
    instants: dict[str, Literal["day_first", "month_first"]] = {}
    counted: tuple[NoOrder, ...] = ()

    @field_validator("timezone", "source_timezone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return None if value is None else time_zone(value)


NO_SETUP = Setup()
"""The set-up before anything was set."""
