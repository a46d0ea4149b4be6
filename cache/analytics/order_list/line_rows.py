"""Line items as rows, as the table has them: one for each line of some orders, with what tells the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from cache.interpretation.list_sql import ListSql
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.text_values import AMOUNT
from cache.schema import Column, Kind
from cache.storage.row_encoding import arrow_schema

_DIGITS, _DECIMALS = 18, 4  # of an amount
_OF_ORDERS: Mapping[str, str] = {  # column -> the role that it is read from
    "currency": "currency",
    "payment_status": "financial_status",
    "fulfilment_status": "fulfillment_status",
    "channel": "channel",
    "discount_code": "discount_code",
}
_OF_LINES: Mapping[str, tuple[Kind, str]] = {
    "sku": ("text", "nullif(l.sku, '')"),
    "title": ("text", "nullif(l.title, '')"),
    "variant": ("text", "nullif(l.variant, '')"),
    "vendor": ("text", "nullif(l.vendor, '')"),
    "quantity": ("integer", "l.quantity"),
    "price": ("decimal", "l.price"),
    "discount": ("decimal", "l.discount"),
    "amount": ("decimal", f"(l.quantity * l.price - coalesce(l.discount, 0))::{AMOUNT}"),
    "gift_card": ("boolean", "l.gift::BIGINT"),
}


class LineRows:
    """The line items of a table with one row for each order.

    Attributes:
        columns: The columns of a line: what tells its order, then its own.
        source: The columns of the table that they are read from.
    """

    def __init__(self, roles: RoleSql, key: Sequence[str]) -> None:
        """Compiles the SQL.

        Args:
            roles: SQL of what the columns of the table mean.
            key: The key of the table.
        """
        self._items = ListSql(roles).lines()
        values: dict[str, tuple[Kind, str]] = {}
        used = ["line_items", "line_quantity", "line_price", "line_sku", "line_title", "line_vendor"]
        if "name" in roles.roles:
            values["order"] = ("text", f"{roles.column('name')}::VARCHAR")
            used.append("name")
        if len(key) == 1:
            values["order_key"] = ("text", f"{roles.source.sql(key[0])}::VARCHAR")
        if "created_at" in roles.roles:
            values["placed_at"] = ("timestamp", roles.instant("created_at"))
            used.append("created_at")
        for name, role in _OF_ORDERS.items():
            if role in roles.roles:
                values[name] = ("text", f"{roles.column(role)}::VARCHAR")
                used.append(role)
        named = {roles.roles[role].name for role in used if role in roles.roles}
        named |= {*(key if len(key) == 1 else ()), *roles.reading.fallbacks.values()}
        self.source = [column for column in roles.source.columns if column.name in named]
        self._names = [roles.source.sql(column.name) for column in self.source]
        self.columns = [_column(name, kind) for name, (kind, _) in {**values, **_OF_LINES}.items()]
        of_order = ", ".join(f"{sql} AS v{i}" for i, (_, sql) in enumerate(values.values()))
        of_line = ", ".join(sql for _, sql in _OF_LINES.values())
        carried = ", ".join(f"v{i}" for i in range(len(values)))
        self._sql = f"SELECT {carried}, {of_line} FROM (SELECT {of_order}, unnest({self._items}) AS l FROM batch)"

    def of(self, database: duckdb.DuckDBPyConnection, batch: Sequence[pa.Array]) -> list[pa.Array]:
        """The lines of some orders, in their order: an array for each of `columns`.

        Args:
            database: A database.
            batch: Values of rows of the table, an array for each of `source`.
        """
        cursor = database.cursor()
        cursor.register("batch", pa.table(list(batch), names=self._names))
        lines = cursor.sql(self._sql).to_arrow_table()
        types = arrow_schema(self.columns)
        return [
            pa.concat_arrays(column.chunks).cast(field.type) if column.num_chunks else pa.array([], field.type)
            for column, field in zip(lines.columns, types, strict=True)
        ]

    def count(self, database: duckdb.DuckDBPyConnection, batch: Sequence[pa.Array]) -> int:
        """How many lines some orders have. For the arguments see `of`."""
        cursor = database.cursor()
        cursor.register("batch", pa.table(list(batch), names=self._names))
        counted = cursor.execute(f"SELECT coalesce(sum(len({self._items})), 0)::BIGINT FROM batch").fetchall()
        return int(counted[0][0])


def has_line_rows(roles: Mapping[str, Column], grain: str) -> bool:
    """Whether a table has line items inside the row of an order. A table of lines has a row for each anyway."""
    return grain != "line" and bool(roles.keys() & {"line_items", "line_quantity"})


def _column(name: str, kind: Kind) -> Column:
    digits, decimals = (_DIGITS, _DECIMALS) if kind == "decimal" else (0, 0)
    return Column(name=name, type=kind, kind=kind, nullable=True, digits=digits, decimals=decimals)
