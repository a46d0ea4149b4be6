"""Decides between columns that could be the same amount: those under which most orders add up are the ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import duckdb

from cache.interpretation.grouping import grouped
from cache.interpretation.money_sql import MoneySql
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.text_values import AMOUNT
from cache.schema import Column

MAX_CANDIDATES, MAX_COMBINATIONS = 4, 64  # of a role, of the table
MIN_GAIN = 0.01  # share of orders that has to add up more than with the columns that the names suggest

_PARTS = (
    "included",
    "priced",
    "gift_cards",
    "line_discounts",
    "line_tax",
    "freight_price",
    "freight_discount",
    "freight_tax",
    "extras",
)
DECIDED_ROLES = ("total", "subtotal", "discounts", "shipping", "tax")


def best_combination(
    database: duckdb.DuckDBPyConnection, rows: str, sql: RoleSql, listed: Mapping[str, Sequence[Column]]
) -> Mapping[str, str]:
    """Compares all combinations of columns that could be an amount.

    An order adds up if its total is its subtotal with shipping, duties, tips, fees and tax, or without the tax where
    prices include it; and if its line items, where it has some, sum to the subtotal.

    Args:
        database: A database with the rows.
        rows: SQL of some rows of the source.
        sql: SQL of the roles. Its reading has the styles of all columns that are listed.
        listed: Role -> the columns that could play it, the most telling name first.

    Returns:
        Role -> the name of its column: of the first columns, unless more orders add up with other ones, by at least
        `MIN_GAIN` of all orders. Of equally good combinations, it is the one with the most telling names.
    """
    choices = {role: columns[:MAX_CANDIDATES] for role, columns in listed.items() if columns}
    columns = {column.name: column for each in choices.values() for column in each}
    combinations = [
        dict(zip(choices, (choices[role][rank].name for role, rank in zip(choices, ranks, strict=True)), strict=True))
        for ranks in sorted(product(*(range(len(each)) for each in choices.values())), key=sum)
    ]
    distinct = [each for each in combinations if len(set(each.values())) == len(each)][:MAX_COMBINATIONS]
    if len(distinct) < 2:
        return distinct[0] if distinct else {}
    names = {name: f"amount{place}" for place, name in enumerate(columns)}
    amounts = {name: sql.amount_of(column) for name, column in columns.items()}
    orders = grouped(rows, sql, "number", amounts)
    parts = MoneySql(sql).parts(
        f"SELECT *, 0 AS segment, 0 AS order_key FROM ({orders})",
        "order_key",
        {names[name]: amount for name, amount in amounts.items()},
    )
    shares = ", ".join(_share({role: names[name] for role, name in each.items()}, sql) for each in distinct)
    used = ", ".join((*_PARTS, *names.values()))
    database.execute(f"CREATE TEMP TABLE candidates AS SELECT {used} FROM ({parts}) WHERE why IS NULL")
    found = database.execute(f"SELECT {shares} FROM candidates").fetchone()
    added_up = [share or 0.0 for share in found or ()]
    best = added_up.index(max(added_up))
    return distinct[best if added_up[best] >= added_up[0] + MIN_GAIN else 0]


def _share(amounts: Mapping[str, str], sql: RoleSql) -> str:
    """SQL of the share of orders that add up. `amounts` has the SQL of the amount of each role.

    Whether the subtotal holds the discounts, and whether prices include tax, is one answer for all orders.
    """

    def amount(role: str) -> str:
        return amounts.get(role, f"NULL::{AMOUNT}")

    off = f"coalesce(abs({amount('discounts')}), line_discounts, 0)"
    sent = f"coalesce(freight_price, {amount('shipping')}, 0) - freight_discount"
    taxed = f"coalesce({amount('tax')}, line_tax + coalesce(freight_tax, 0), 0)"
    taxes = [f"CASE WHEN included THEN 0 ELSE {taxed} END"] if "taxes_included" in sql.roles else ["0", taxed]
    shares = []
    for subtotal in (amount("subtotal"), f"{amount('subtotal')} - {off}"):
        goods = f"coalesce({subtotal}, priced + gift_cards - {off})"
        listed = f"coalesce(abs(priced + gift_cards - {off} - ({goods})) <= 0.02, true)"
        for tax in taxes:
            summed = f"abs({amount('total')} - ({goods}) - ({sent}) - extras - {tax}) <= 0.02"
            shares.append(f"avg(coalesce({summed} AND {listed}, false)::INT)")
    return f"greatest({', '.join(shares)})"
