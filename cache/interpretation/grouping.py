"""Turns rows of the source into one row an order, where a row is a line item or a version of an order."""

from __future__ import annotations

from collections.abc import Mapping

from cache.interpretation.list_sql import NO_LINES, ListSql
from cache.interpretation.role_sql import RoleSql
from cache.schema import Column

ORDER_AMOUNTS = ("total", "subtotal", "discounts", "shipping", "tax", "refunded")


def order_key(sql: RoleSql) -> str:
    """SQL of what identifies the order of a row, where several rows belong to one order.

    It is the order's number, with the shop before it where numbers repeat between shops. Line rows that are deleted are
    no lines of it: they are another order, which does not count.
    """
    parts = [f"{sql.source.sql(name)}::VARCHAR" for name in sql.reading.identity]
    key = parts[0] if len(parts) == 1 else f"concat_ws('/', {', '.join(parts)})"
    deleted = sql.deleted() if sql.reading.grain == "line" else "false"
    return key if deleted == "false" else f"CASE WHEN {deleted} THEN {key} || ' (deleted)' ELSE {key} END"


def grouped(rows: str, sql: RoleSql, key: str = "order_key", amounts: Mapping[str, str] = {}) -> str:
    """SQL of one row an order, with the columns of the source and, where the grain is not `order`, its `key`.

    Of line rows, an order has its own value where one of its rows has one: a blank, and an amount of 0, in a
    follow-up row never replaces it, in whatever order the rows are. `lines` is the list of its line items.

    Args:
        rows: SQL of rows with the names of `sql.source`.
        sql: SQL of the roles.
        key: The name of the column with the key of the order.
        amounts: Name of a column -> its SQL as an amount, for further columns of amounts.
    """
    source = sql.source
    if sql.reading.grain == "order":
        return rows
    identity = [source.sql(name) for name in sql.reading.identity]
    present = f"coalesce({identity[-1]}::VARCHAR, '') <> ''"
    by = ", ".join(identity)
    if sql.reading.grain == "version":
        newest = f"{sql.instant('updated_at')} DESC NULLS LAST"
        return (
            f"SELECT *, {order_key(sql)} AS {key} FROM ({rows}) WHERE {present} "
            f"QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {newest}) = 1"
        )
    amounts = {**amounts, **{sql.roles[role].name: sql.amount(role) for role in ORDER_AMOUNTS if role in sql.roles}}
    columns = (
        f"{name} AS {name}" if name in identity else f"{_own_value(column, name, amounts.get(column.name))} AS {name}"
        for column, name in zip(source.columns, source.names, strict=True)
    )
    listed = ListSql(sql).lines()
    lines = f"flatten(list({listed})) AS lines" if listed else f"{NO_LINES} AS lines"
    own = order_key(sql)
    return f"SELECT {', '.join(columns)}, {own} AS {key}, {lines} FROM ({rows}) WHERE {present} GROUP BY {by}, {own}"


def _own_value(column: Column, name: str, amount: str | None) -> str:
    """SQL of the value of an order out of those in its rows. The same rows give the same value in any order."""
    value = f"nullif({name}, '')" if column.kind == "text" else name
    least = f"min({value})" if column.kind != "json" else f"min({name}::VARCHAR)"
    return least if amount is None else f"coalesce(arg_max({name}, abs({amount})), {least})"
