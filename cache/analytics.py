"""Figures over one generation's orders: DuckDB, Shopify's definitions, exact decimals, the shop's days.

A narrow table of what figures need is made once a generation, in compressed memory; everything else stays in Parquet
and is looked up by key. Test orders never count. Amounts in different currencies are never added: callers filter by
one. Refunds are counted on the date of their order; Shopify's own reports count them on the date of the refund.
Definitions: https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import duckdb

from cache.filters import Condition, quoted, where
from cache.mapping import Mapped
from cache.snapshot import PARQUET, Column, Snapshot
from cache.values import arrow_schema

Dimension = Literal["status", "fulfilment", "channel", "country", "currency"]
Bucket = Literal["1 hour", "1 day", "7 days", "1 month"]
Row = Mapping[str, Any]

ROW_KEY = "row key"  # beside the columns of the source
MEMORY_LIMIT = "192MB"
SEGMENTS_AT_ONCE = 8  # that many are read into the table before it is compressed

# What conditions can be about, beside the period.
FACTS = tuple(
    Column(name=name, type="varchar", kind="text", nullable=False)
    for name in ("status", "fulfilment", "channel", "country", "currency")
)
_SEARCHED = ("name", "email", "customer_name", "id")
_AMOUNTS = ("gross", "discounts", "shipping", "tax", "total", "refunded")


class Span(NamedTuple):
    """From `start` up to, not including, `end`: naive instants on the shop's clock."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Figures:
    """Orders and sums of one currency. None: the table lacks a column that the figure needs (see `Orders.missing`).

    orders            orders placed; cancelled, pending and unpaid ones count, test orders do not
    gross_sales       price x quantity of all line items. Taken as subtotal_price + total_discounts, which is the same
                      by Shopify's definition of the subtotal and spares reading every line item. Tax that prices
                      include stays in it (Shopify takes it out; the table does not tell tax by line)
    discounts         total_discounts
    refunds           total_refunded, on the date of the order. It may hold refunded shipping and tax, which Shopify's
                      "returns" do not
    shipping          total_shipping
    taxes             total_tax of orders whose prices do not include it
    charged           total_price
    refunded_orders   orders with a refund of more than nothing
    """

    orders: int
    gross_sales: Decimal | None
    discounts: Decimal | None
    shipping: Decimal | None
    taxes: Decimal | None
    charged: Decimal | None
    refunds: Decimal | None
    refunded_orders: int | None

    @property
    def net_sales(self) -> Decimal | None:
        """Gross sales - discounts - refunds."""
        if self.gross_sales is None or self.discounts is None or self.refunds is None:
            return None
        return self.gross_sales - self.discounts - self.refunds

    @property
    def total_sales(self) -> Decimal | None:
        """What was charged - refunds; equal to net sales + shipping + taxes + `other`."""
        return None if self.charged is None else self.charged - (self.refunds or 0)

    @property
    def other(self) -> Decimal | None:
        """What was charged beside goods, shipping and taxes: duties, tips, rounding."""
        if self.net_sales is None or self.total_sales is None or self.shipping is None or self.taxes is None:
            return None
        return self.total_sales - self.net_sales - self.shipping - self.taxes

    @property
    def average_order_value(self) -> Decimal | None:
        """(Gross sales - discounts) / orders; None also without orders."""
        if self.gross_sales is None or self.discounts is None or not self.orders:
            return None
        return (self.gross_sales - self.discounts) / self.orders

    @property
    def refund_rate(self) -> Decimal | None:
        """Orders with a refund / orders; None also without orders."""
        return None if self.refunded_orders is None or not self.orders else Decimal(self.refunded_orders) / self.orders


@dataclass(frozen=True)
class Slice:
    """Orders that share a value ("": none), and their total sales (None where the table cannot tell)."""

    value: str
    orders: int
    sales: Decimal | None


@dataclass(frozen=True)
class Point:
    """Orders and total sales from `at` to the next point."""

    at: datetime
    orders: int
    sales: Decimal | None


@dataclass(frozen=True)
class Page:
    """Rows of the source, newest order first, out of `count` that match; naive instants, on the shop's clock."""

    rows: list[Row]
    count: int


class Orders:
    """The orders of one generation. Every method may be called from any thread.

    Parameters: `timezone` is the IANA zone of the shop's clock. `missing` says in a sentence, for each figure that
    this table cannot tell, which column it lacks; `tests` counts the test orders that were left out.
    """

    def __init__(self, snapshot: Snapshot, timezone: str) -> None:
        mapped = Mapped(snapshot.columns, timezone)
        self.generation = snapshot.generation
        self.missing = mapped.missing()
        self.columns = snapshot.columns
        self._timezone = timezone
        self._database = duckdb.connect(config={"threads": 2, "memory_limit": MEMORY_LIMIT})
        self._load(snapshot, mapped)
        self.tests = snapshot.rows - self._value("SELECT count(*) FROM facts.orders")
        self.countries = self._countries(mapped)

    def close(self) -> None:
        """Frees the memory at once; without it, that happens when nobody holds the orders any more."""
        self._database.close()

    # -- what is there

    def currencies(self) -> list[Slice]:
        """Every currency, the one with the most orders first; sales are not told here."""
        found = self._rows("SELECT currency, count(*) FROM facts.orders GROUP BY 1 ORDER BY 2 DESC, 1")
        return [Slice(value, count, None) for value, count in found]

    def values(self, dimension: Dimension) -> list[str]:
        """The values of a dimension, the most frequent first, "" for none."""
        name = quoted(dimension)
        return [v for (v,) in self._rows(f"SELECT {name} FROM facts.orders GROUP BY 1 ORDER BY count(*) DESC, 1")]

    def extent(self) -> Span | None:
        """From the first order to the last; None without any that has a date."""
        first, last = self._rows("SELECT min(local), max(local) FROM facts.orders")[0]
        return Span(first, last) if first else None

    # -- figures

    def figures(self, span: Span | None, conditions: Sequence[Condition] = ()) -> Figures:
        """Figures of a period, or of all time."""
        sums = ", ".join(f"sum({name})" for name in _AMOUNTS)
        rows = self._facts(f"count(*), count(*) FILTER (refunded > 0), {sums}", span, conditions)
        orders, refunded, gross, discounts, shipping, tax, total, refunds = rows[0]

        def told(figure: str, value: Decimal | None) -> Decimal | None:
            return None if figure in self.missing else value or Decimal(0)

        return Figures(
            orders=orders,
            gross_sales=told("gross sales", gross),
            discounts=told("discounts", discounts),
            shipping=told("shipping", shipping),
            taxes=told("taxes", tax),
            charged=told("total sales", total),
            refunds=told("refunds", refunds),
            refunded_orders=None if "refunds" in self.missing else refunded,
        )

    def series(self, bucket: Bucket, span: Span, conditions: Sequence[Condition] = ()) -> list[Point]:
        """Orders and total sales by time, oldest first, without empty buckets; they count from the span's start."""
        origin = span.start.replace(day=1) if bucket == "1 month" else span.start
        start = f"time_bucket(INTERVAL '{bucket}', local, TIMESTAMP '{origin}')"
        rows = self._facts(f"{start}, count(*), {_SALES}", span, conditions, "GROUP BY 1 ORDER BY 1")
        return [Point(at, orders, self._sales(sales)) for at, orders, sales in rows]

    def breakdown(self, by: Dimension, span: Span | None, conditions: Sequence[Condition] = ()) -> list[Slice]:
        """Orders and total sales by a dimension, the largest first; conditions on that dimension do not count."""
        others = [condition for condition in conditions if condition.column != by]
        rows = self._facts(
            f"{by}, count(*), {_SALES}", span, others, "GROUP BY 1 ORDER BY 3 DESC NULLS LAST, 2 DESC, 1"
        )
        return [Slice(value, orders, self._sales(sales)) for value, orders, sales in rows]

    def _sales(self, value: Decimal | None) -> Decimal | None:
        return None if "total sales" in self.missing else value or Decimal(0)

    # -- orders

    def page(
        self,
        span: Span | None,
        conditions: Sequence[Condition] = (),
        search: str = "",
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Orders, newest first. `search` is looked for in the order's number, e-mail, customer and id, in any case."""
        clause, values = _matching(span, conditions)
        searched = [c.name for c in self.columns if c.name in _SEARCHED] if search.strip() else []
        if searched:
            found = " OR ".join(f"contains(lower({quoted(name)}::VARCHAR), lower(?))" for name in searched)
            clause += f" AND key IN (SELECT {_KEY} FROM rows WHERE {found})"
            values += [search.strip()] * len(searched)
        count = self._value(f"SELECT count(*) FROM facts.orders WHERE {clause}", values)
        keys = self._rows(
            f"SELECT key FROM facts.orders WHERE {clause} "
            "ORDER BY created_at DESC NULLS LAST, key DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return Page(self._look_up([key for (key,) in keys]), count)

    def order(self, key: str) -> Row | None:
        """One row of the source by its key's text; None where there is no such order."""
        found = self._rows("SELECT key FROM facts.orders WHERE key::VARCHAR = ?", [key])
        return self._look_up([found[0][0]])[0] if found else None

    def _look_up(self, keys: Sequence[object]) -> list[Row]:
        """Whole rows in the order of `keys`; each has its key, as text, under ROW_KEY."""
        if not keys:
            return []
        select = ", ".join(self._shown(column) for column in self.columns)
        cursor = self._database.cursor()
        cursor.execute(f"SELECT {_KEY}, {select} FROM rows WHERE {_KEY} IN ({_marks(keys)})", list(keys))
        names = [ROW_KEY, *(column.name for column in self.columns)]
        rows = {row[0]: dict(zip(names, (str(row[0]), *row[1:]), strict=True)) for row in cursor.fetchall()}
        return [rows[key] for key in keys]

    def _shown(self, column: Column) -> str:
        name = quoted(column.name)
        return f"timezone('{self._timezone}', {name})" if column.kind in ("datetime", "timestamp") else name

    # -- making the table

    def _load(self, snapshot: Snapshot, mapped: Mapped) -> None:
        paths = [_literal(str(path)) for path in snapshot.paths(PARQUET)]
        database = self._database
        database.execute("SET GLOBAL TimeZone = 'UTC'")
        database.execute("ATTACH ':memory:' AS facts (COMPRESS)")
        if paths:
            select = f"SELECT {_key(snapshot)} AS {_KEY}, * FROM read_parquet([{', '.join(paths)}])"
            database.execute(f"CREATE VIEW rows AS {select}")
        else:
            database.register("empty", arrow_schema(snapshot.columns).empty_table())
            database.execute(f"CREATE TABLE rows AS SELECT 0 AS {_KEY}, * FROM empty")
        columns = ", ".join(f"{sql} AS {name}" for name, sql in mapped.facts.items())
        database.execute(f"CREATE TABLE facts.orders AS SELECT {_KEY} AS key, {columns} FROM rows WHERE false")
        for first in range(0, len(paths), SEGMENTS_AT_ONCE):
            some = f"read_parquet([{', '.join(paths[first : first + SEGMENTS_AT_ONCE])}])"
            select = f"SELECT {_key(snapshot, first)}, {columns} FROM {some} WHERE NOT {mapped.test}"
            database.execute(f"INSERT INTO facts.orders {select}")
            database.execute("CHECKPOINT facts")

    def _countries(self, mapped: Mapped) -> dict[str, str]:
        """The names of countries by code, as one order of each tells it."""
        samples = self._rows("SELECT country, min(key) FROM facts.orders WHERE country <> '' GROUP BY 1")
        keys = [key for _, key in samples]
        if not keys:
            return {}
        names = dict(
            self._rows(f"SELECT {_KEY}, {mapped.country_name} FROM rows WHERE {_KEY} IN ({_marks(keys)})", keys)
        )
        return {code: names[key] or code for code, key in samples}

    # -- asking

    def _facts(
        self, select: str, span: Span | None, conditions: Sequence[Condition], rest: str = ""
    ) -> list[tuple[Any, ...]]:
        clause, values = _matching(span, conditions)
        return self._rows(f"SELECT {select} FROM facts.orders WHERE {clause} {rest}", values)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._database.cursor().execute(sql, list(values)).fetchall()

    def _value(self, sql: str, values: Sequence[object] = ()) -> int:
        return int(self._rows(sql, values)[0][0])


_KEY = quoted(ROW_KEY)
_SALES = "sum(total) - coalesce(sum(refunded), 0)"


def _matching(span: Span | None, conditions: Sequence[Condition]) -> tuple[str, list[object]]:
    clause, values = where(conditions, FACTS)
    return (f"({clause}) AND local >= ? AND local < ?", [*values, *span]) if span else (f"({clause})", [*values])


def _key(snapshot: Snapshot, first: int = 0) -> str:
    """What names a row: the key's column where it is one, else its place, where the first file read is `first`."""
    key = snapshot.manifest.key
    return quoted(key[0]) if len(key) == 1 else f"((file_index::BIGINT + {first}) << 32) + file_row_number"


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
