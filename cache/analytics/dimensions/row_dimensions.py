"""Finds the columns of a table, and the values inside its JSON, that have few values: further dimensions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cache.analytics.dimensions.catalogue import COLUMN_PREFIX, DIMENSIONS, JSON_PREFIX, Dimension, row_dimension
from cache.analytics.dimensions.order_filter import GROUPED_KINDS
from cache.interpretation.source_rows import SourceColumns
from cache.schema import Column

Sample = Callable[[str, int], list[tuple[Any, ...]]]

SAMPLED_ROWS = 4_000  # of the first segment, and of the last one
PARSED_ROWS = 400  # of them, whose JSON is read
MAX_VALUES = 100
MAX_SHARE = 0.3  # of the rows: what has more values is a name or a number
MAX_TEXT = 60  # characters
MAX_DEPTH = 2

_LISTS = ("line_items", "refunds", "shipping_lines", "tax_lines")
_DIMENSION_ROLES = frozenset(each.role for each in DIMENSIONS.values()) | {"country", "region", "city", "tags"}
_IN_ADDRESS = ("country", "country_code", "city", "province", "province_code")  # dimensions of their own
_SINGLE = frozenset(("name", "email", "customer_name", "customer_id", *_LISTS))  # nothing to group by


def row_dimensions(source: SourceColumns, sample: Sample, roles: Mapping[str, Column]) -> list[Dimension]:
    """The dimensions out of columns and JSON of a table, in the order of the table.

    They are found in a sample. Whoever groups by one of them may find more values.

    Args:
        source: The columns.
        sample: Reads values of so many rows.
        roles: Role -> the column that plays it.
    """
    played = {column.name: role for role, column in roles.items()}
    taken = {roles[role].name for role in (*_DIMENSION_ROLES, *_SINGLE) if role in roles}
    columns = [column for column in source.columns if column.name not in taken and not column.key]
    plain = [column for column in columns if column.kind in GROUPED_KINDS]
    nested = [column for column in columns if column.kind == "json"]
    read = [*plain, *nested]
    rows = sample(", ".join(f"{source.sql(column.name)}::VARCHAR" for column in read), SAMPLED_ROWS) if read else []
    if not rows:
        return []
    by_column = dict(zip((column.name for column in read), zip(*rows, strict=True), strict=True))
    found: list[Dimension] = []
    for column in columns:
        values = by_column.get(column.name, ())
        if column in plain and _has_few(values):
            found.append(row_dimension(f"{COLUMN_PREFIX}{column.name}"))
        elif column in nested:
            skipped = _IN_ADDRESS if played.get(column.name) == "address" else ()
            found += [
                row_dimension(f"{JSON_PREFIX}{column.name}.{'.'.join(path)}")
                for path, inner in _paths(values).items()
                if path[-1] not in skipped and _has_few(inner)
            ]
    return found


def _has_few(values: Sequence[str | None]) -> bool:
    """Whether orders can be grouped by such values: there are several, and far fewer than orders."""
    filled = [value for value in values if value]
    different = set(filled)
    return 1 < len(different) <= min(MAX_VALUES, max(2, MAX_SHARE * len(filled))) and all(
        len(value) <= MAX_TEXT for value in different
    )


def _paths(texts: Sequence[str | None]) -> dict[tuple[str, ...], list[str]]:
    """The values inside JSON objects, by their paths."""
    found: dict[tuple[str, ...], list[str]] = {}
    for text in [text for text in texts if text][:PARSED_ROWS]:
        with suppress(ValueError):
            value = json.loads(text)
            for path, inner in _scalars(json.loads(value) if isinstance(value, str) else value, ()):
                found.setdefault(path, []).append(inner)
    return found


def _scalars(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and len(path) < MAX_DEPTH:
        for key, inner in value.items():
            if key and not {".", '"'} & set(key):
                yield from _scalars(inner, (*path, key))
    elif path and isinstance(value, str | int | float) and not isinstance(value, dict | list):
        yield path, str(value)
