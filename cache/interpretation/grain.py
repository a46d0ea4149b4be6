"""Tests on the data what one row of a table is: an order, a line item of an order, or a version of an order."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import duckdb

from cache.interpretation.role_sql import RoleSql
from cache.reading import Grain

MIN_REPEATED = 0.05  # share of rows that repeat an order before a row is taken for less than an order
MIN_SHARED = 0.2  # share of rows that have the number of another one before several shops are taken for the reason
AGREEING = 0.95  # share of orders whose rows have to agree

_LINE_ROLES = ("line_title", "line_sku", "line_quantity", "line_price")


class GrainTest:
    """What one row is. Deleted rows say nothing about it.

    Attributes:
        grain: What one row is.
        identity: Names of the columns that tell orders apart, where several rows belong to one order.
        numbers_repeat: Whether so many order numbers repeat that people or ids tell orders apart.
        is_open: Whether order numbers repeat, and nothing shows why; or rows look like line items without an order.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, rows: str, sql: RoleSql, chosen: Grain | None) -> None:
        """Tests the rows.

        Args:
            database: A database with the rows.
            rows: SQL name of a view of all rows.
            sql: SQL of the roles.
            chosen: What people decided.
        """
        self._database = database
        self._rows = f"(SELECT * FROM {rows} WHERE NOT {sql.deleted()})"
        self._sql = sql
        self.grain: Grain = "order"
        self.identity: tuple[str, ...] = ()
        self.numbers_repeat = False
        self.is_open = False
        if "name" in sql.roles:
            self._test(chosen)
        else:
            self.is_open = len(self._line_roles()) >= 2

    def _test(self, chosen: Grain | None) -> None:
        roles = self._sql.reading.roles
        number = (roles["name"],)
        identity: tuple[str, ...] = number
        rows, orders = self._rows_and_orders(number)
        if "shop" in roles:
            with_shop = (roles["shop"], roles["name"])
            apart = self._orders(with_shop)
            identity, orders = (with_shop, apart) if apart > orders else (number, orders)
        repeated = 1 - orders / rows if rows else 0.0
        self.grain = chosen or (self._decided(identity, rows) if repeated >= MIN_REPEATED else "order")
        if self.grain != "order":
            self.identity = identity
        elif repeated >= MIN_SHARED:
            self.numbers_repeat = chosen == "order" or self._unique_ids()

    def _decided(self, identity: Sequence[str], rows: int) -> Grain:
        """What rows are that repeat the numbers of orders."""
        roles = self._sql.reading.roles
        lines = self._line_roles()
        if len(lines) >= 2 and self._agree(identity) >= AGREEING:
            return "line"
        if "updated_at" in roles and self._orders((*identity, roles["updated_at"])) >= rows * AGREEING:
            return "version"
        self.is_open = len(lines) < 2 or not self._unique_ids()
        return "order"

    def _line_roles(self) -> list[str]:
        return [role for role in _LINE_ROLES if role in self._sql.roles]

    def _orders(self, identity: Sequence[str]) -> int:
        return self._rows_and_orders(identity)[1]

    def _rows_and_orders(self, identity: Sequence[str]) -> tuple[int, int]:
        """How many rows have a value in the last of some columns, and how many combinations of these columns."""
        columns = ", ".join(self._sql.source.sql(name) for name in identity)
        groups = f"SELECT count(*) AS n FROM {self._rows} WHERE {self._present(identity[-1:])} GROUP BY {columns}"
        rows, orders = self._row(f"SELECT coalesce(sum(n), 0), count(*) FROM ({groups})")
        return int(rows), int(orders)

    def _present(self, identity: Sequence[str]) -> str:
        return " AND ".join(f"coalesce({self._sql.source.sql(name)}::VARCHAR, '') <> ''" for name in identity)

    def _agree(self, identity: Sequence[str]) -> float:
        """The share of orders whose rows do not contradict each other, in most of the columns that say it."""
        sql = self._sql
        amounts = [f"nullif({sql.amount(role)}, 0)" for role in ("total", "subtotal") if role in sql.roles]
        texts = [
            f"nullif({sql.text(role)}, '')" for role in ("currency", "email", "financial_status") if role in sql.roles
        ]
        dates = [sql.instant("created_at")] if "created_at" in sql.roles else []
        values = [*amounts, *texts, *dates]
        if not amounts:
            return 1.0
        same = ", ".join(f"count(DISTINCT {value}) <= 1 AS same{place}" for place, value in enumerate(values))
        columns = ", ".join(self._sql.source.sql(name) for name in identity)
        groups = f"SELECT {same} FROM {self._rows} WHERE {self._present(identity)} GROUP BY {columns}"
        shares = ", ".join(f"coalesce(avg(same{place}::INT), 1)" for place in range(len(values)))
        return float(median(self._row(f"SELECT {shares} FROM ({groups})")))

    def _unique_ids(self) -> bool:
        ids = [c.name for c in self._sql.source.columns if c.name.casefold() == "id"]
        rows = self._row(f"SELECT count(*) FROM {self._rows}")[0]
        return bool(ids) and self._rows_and_orders(ids[:1]) == (rows, rows)

    def _row(self, sql: str) -> tuple[Any, ...]:
        row = self._database.execute(sql).fetchone()
        assert row is not None
        return row
