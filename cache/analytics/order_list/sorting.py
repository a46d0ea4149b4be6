"""What a list of orders can be sorted by, as SQL over the facts `o`. Orders without a value are last, either way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cache.access.masking import Mask
from cache.analytics.dimensions.catalogue import COLUMN_PREFIX
from cache.interpretation.order_rows import KEY
from cache.interpretation.role_sql import RoleSql
from cache.query.filters import UNSORTED, Sort
from cache.schema import Column

NEWEST = Sort("date", descending=True)
_TIES = "o.created_at DESC NULLS LAST, o.key DESC"
_OF_FACTS: Mapping[str, str] = {
    "date": "o.created_at",
    "payment": "lower(o.status)",
    "fulfilment": "lower(o.fulfilment)",
    "channel": "nullif(lower(o.channel), '')",
    "items": "o.pieces",
    "total": "o.total",
}
ROLES: Mapping[str, tuple[str, ...]] = {
    "order": ("name",),
    "customer": ("customer_name", "email"),
    "country": ("address", "country"),
    "date": ("created_at",),
    "payment": ("financial_status",),
    "fulfilment": ("fulfillment_status",),
    "channel": ("channel",),
    "items": ("line_items", "line_quantity"),
    "total": ("total",),
}
"""What a list shows of an order -> the roles that it comes from."""
SORTS = ("order", "customer", "country", *_OF_FACTS)
"""What orders are sorted by, beside the columns of the table (`column:NAME`)."""


class SortSql(NamedTuple):
    """An order as SQL.

    Attributes:
        terms: The terms of an ORDER BY clause.
        join: What has to be joined to the facts `o`; "" for nothing.
        parameters: The parameters of the join.
    """

    terms: str
    join: str = ""
    parameters: Sequence[object] = ()


class OrderSorts:
    """What the orders of one table can be sorted by."""

    def __init__(self, sql: RoleSql, rows: str, countries: Mapping[str, str], key_columns: Sequence[str]) -> None:
        """Compiles nothing yet.

        Args:
            sql: SQL of what the columns mean.
            rows: SQL name of the source, one row an order, with its key as `KEY`.
            countries: Names of countries by code.
            key_columns: The columns that the key of an order comes from.
        """
        self._sql = sql
        self._rows = rows
        self._countries = countries
        self._key_columns = key_columns

    def offers(self, name: str, mask: Mask) -> bool:
        """Whether orders can be sorted by `name`: nothing of it is hidden, and its values have an order."""
        columns = self._columns(name)
        if name not in SORTS and not columns:
            return False
        if name == "order" and not columns:
            return not mask.hides_one_of(self._key_columns)
        if mask.hides_one_of(column.name for column in self._columns_of(name)):
            return False
        return all(column.name not in mask.columns and column.kind not in UNSORTED for column in columns)

    def compile(self, sort: Sort) -> SortSql:
        """The SQL of an order that is offered."""
        name, direction = sort.column, "DESC" if sort.descending else "ASC"
        if name == "country":
            codes = sorted(self._countries, key=lambda code: self._countries[code].casefold())
            places = "SELECT unnest(?::VARCHAR[]) AS code, unnest(?::INT[]) AS value"
            join = f"LEFT JOIN ({places}) AS s ON s.code = o.country"
            return SortSql(f"s.value {direction} NULLS LAST, {_TIES}", join, (codes, list(range(len(codes)))))
        if (value := self._of_facts(name)) is not None:
            return SortSql(f"{value} {direction} NULLS LAST, {_TIES}")
        values = f"SELECT {KEY} AS row_key, {self._of_row(name)} AS value FROM {self._rows}"
        return SortSql(f"s.value {direction} NULLS LAST, {_TIES}", f"LEFT JOIN ({values}) AS s ON s.row_key = o.key")

    def _columns(self, name: str) -> list[Column]:
        """The columns of the source whose texts orders are sorted by under `name`; none where the facts have values."""
        if name.startswith(COLUMN_PREFIX):
            return [column for column in self._sql.source.columns if column.name == name.removeprefix(COLUMN_PREFIX)]
        return self._columns_of(name) if name in ("order", "customer") else []

    def _columns_of(self, name: str) -> list[Column]:
        """The columns of the source that a usual column of a list comes from."""
        return [self._sql.roles[role] for role in ROLES.get(name, ()) if role in self._sql.roles]

    def _of_facts(self, name: str) -> str | None:
        """SQL of a value that the facts have; None where it has to be read out of the rows."""
        if name == "order":
            if "name" not in self._sql.roles:
                return "o.key"
            return "o.sequence" if self._sql.numbered else None
        return _OF_FACTS.get(name)

    def _of_row(self, name: str) -> str:
        """SQL of a value in a row of the source."""
        texts = [
            f"nullif(lower({self._sql.source.sql(column.name)}::VARCHAR), '')"
            if column.kind == "text"
            else self._sql.source.sql(column.name)
            for column in self._columns(name)
        ]
        return f"coalesce({', '.join(texts)})" if len(texts) > 1 else (texts or ["NULL"])[0]
