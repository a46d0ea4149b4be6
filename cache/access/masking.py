"""Which columns hold personal data, told by their names, and what a key that may not see it gets in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from cache.errors import ColumnMasked
from cache.schema import Column

MASK = "***"  # in text columns; NULL stands in columns of any other kind, so that types stay what they are


def personal_columns(patterns: str, columns: Iterable[Column]) -> frozenset[str]:
    """Names of the columns that PERSONAL_COLUMNS means.

    Parameters: `patterns` are names with commas between them; `*` stands for any letters, and case does not matter.
    """
    wanted = [pattern.strip().lower() for pattern in patterns.split(",") if pattern.strip()]
    return frozenset(
        column.name for column in columns if any(fnmatchcase(column.name.lower(), pattern) for pattern in wanted)
    )


def mask_of(column: Column) -> str | None:
    """What stands for every value of a masked column, NULL included."""
    return MASK if column.kind == "text" else None


def refuse_masked(asked: Iterable[str], masked: Collection[str]) -> None:
    """Raises ColumnMasked where a filter, sort or facet is on a masked column: its values could be guessed by it."""
    for name in asked:
        if name in masked:
            raise ColumnMasked.of(name)
