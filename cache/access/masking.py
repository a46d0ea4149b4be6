"""Which columns hold personal data, by their names, and what masked keys get instead of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from cache.errors import ColumnMasked
from cache.schema import Column

MASK = "***"  # in text columns; NULL stands in columns of any other kind, so that types stay what they are


def personal_columns(patterns: str, columns: Iterable[Column]) -> frozenset[str]:
    """Names of the columns with personal data.

    Args:
        patterns: PERSONAL_COLUMNS: names with commas between them; `*` matches any letters, and case does not matter.
        columns: The columns of the table.
    """
    wanted = [pattern.strip().lower() for pattern in patterns.split(",") if pattern.strip()]
    return frozenset(
        column.name for column in columns if any(fnmatchcase(column.name.lower(), pattern) for pattern in wanted)
    )


def mask_of(column: Column) -> str | None:
    """What replaces every value of a masked column, NULL included; None is NULL."""
    return MASK if column.kind == "text" else None


def refuse_masked(asked: Iterable[str], masked: Collection[str]) -> None:
    """Refuses filters, sorts and facets on masked columns: their answers would let a client guess the values.

    Args:
        asked: Names of the columns that a request filters, sorts or counts by.
        masked: Names of the columns that are hidden from its key.

    Raises:
        ColumnMasked: A column is hidden.
    """
    for name in asked:
        if name in masked:
            raise ColumnMasked.of(name)
