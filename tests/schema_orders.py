"""Orders of a schema of the corpus, read by the product."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

from cache_factory import cache_in, publish
from schema_corpus import Schema

from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.schema import Column
from cache.settings import CancelledOrders
from cache.table_setup import Setup
from scraper.table.describe import make_column, type_parts

Row = dict[str, str | None]


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """The columns with the kinds that a first load finds."""
    places = {column.name: column.key for column in schema.columns if column.key}
    return tuple(
        _inferred(
            make_column([name, type, *type_parts(type, "YES" if nullable else "NO")], places),
            [row[name] for row in schema.rows],
        )
        for name, type, nullable, _ in schema.columns
    )


def _inferred(column: Column, values: Sequence[str | None]) -> Column:
    present = [value for value in values if value is not None]
    if column.kind == "boolean" and not set(present) <= {"0", "1"}:
        return column.model_copy(update={"kind": "integer"})
    if column.kind == "text" and any(map(_nested, present)) and all(_nested(v) or v in ("", "null") for v in present):
        return column.model_copy(update={"kind": "json"})
    return column


def _nested(value: str) -> bool:
    try:
        return isinstance(json.loads(value), list | dict)
    except ValueError:
        return False


@contextmanager
def schema_orders(
    schema: Schema,
    rows: Sequence[Row] | None = None,
    setup: Setup | None = None,
    segments: int = 1,
    cancelled_orders: CancelledOrders = "reversed",
) -> Iterator[Orders]:
    """The orders of a schema, by default in the order of its key, as the scraper copies them."""
    truth = schema.truth
    setup = setup or Setup(timezone=truth.timezone, source_timezone=truth.source_timezone)
    with table_orders(columns_of(schema), rows or in_key_order(schema), setup, segments, cancelled_orders) as orders:
        yield orders


@contextmanager
def table_orders(
    columns: Sequence[Column],
    rows: Sequence[Row],
    setup: Setup,
    segments: int = 1,
    cancelled_orders: CancelledOrders = "reversed",
) -> Iterator[Orders]:
    """The orders of a table, given its rows in the order in which they are copied."""
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, as_copied(rows, columns), columns=columns, segments=segments)
        opened = Orders(cache.snapshots.open(), "UTC", setup, cancelled_orders=cancelled_orders)
        yield opened
        opened.close()
        cache.close()


def months_of(orders: Orders) -> list[Span]:
    """The calendar months from the first to the last order."""
    extent = orders.extent()
    months: list[Span] = []
    start = extent.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0) if extent else None
    while extent and start and start <= extent.end:
        after = (start + timedelta(days=32)).replace(day=1)
        months.append(Span(start, after))
        start = after
    return months


def as_copied(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Rows as the scraper reads them."""
    return [_as_read(row, columns) for row in rows]


def _as_read(row: Row, columns: Sequence[Column]) -> Row:
    """A row as the scraper reads it: the server writes a TIMESTAMP as the seconds since 1970."""
    times = [column.name for column in columns if column.kind == "timestamp"]
    instants = {name: datetime.fromisoformat(text).replace(tzinfo=UTC) for name in times if (text := row[name])}
    return {**row, **{name: f"{at.timestamp():.6f}" for name, at in instants.items()}}


def in_key_order(schema: Schema) -> list[Row]:
    """The rows as the scraper copies them: by the key; as they are where the table has none."""
    key = [c.name for c in sorted(schema.columns, key=lambda c: c.key) if c.key]
    whole = {c.name for c in schema.columns if "int" in c.type}

    def place(row: Row) -> list[tuple[int, str]]:
        return [(int(row[name] or 0), "") if name in whole else (0, (row[name] or "").casefold()) for name in key]

    return sorted(schema.rows, key=place) if key else list(schema.rows)
