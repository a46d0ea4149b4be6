"""Values of figures, and the reasons why a figure has none."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum


class Absent(Enum):
    """Why a figure has no value."""

    NO_COLUMN = "the table has no column for it"
    NOT_REQUESTED = "the query did not ask for it"
    UNDEFINED = "there is nothing to compute it from"


Amount = Decimal | Absent
Count = int | Absent
Value = Decimal | int | Absent


def or_zero(value: Value) -> Decimal | int:
    """The number, or 0 where there is none."""
    return 0 if isinstance(value, Absent) else value


def ratio(part: Value, whole: Value) -> Amount:
    """`part` / `whole`.

    Returns:
        The reason of the first of them that is absent; `Absent.UNDEFINED` where `whole` is 0.
    """
    if isinstance(part, Absent):
        return part
    if isinstance(whole, Absent):
        return whole
    return Decimal(part) / whole if whole else Absent.UNDEFINED
