"""The rows of a generation as SQL: one row an order, with what identifies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cache.interpretation.grouping import grouped
from cache.interpretation.list_sql import ListSql
from cache.interpretation.money_sql import MoneySql
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.source_rows import union

KEY = "order_key"
"""The name, beside the columns of the source (`c0`, `c1`, …), of what identifies an order."""
Relations = Mapping[int, str] | Mapping[str, str]
"""The number of a segment, or SQL of it in a row -> SQL of what holds the rows."""


def segment_of_file(numbers: Sequence[int]) -> str:
    """SQL of the number of a segment, where files of several are read as one relation: `numbers` in their order."""
    return f"({list(numbers)})[file_index::BIGINT + 1]"


class OrderRows:
    """SQL of the orders of a table.

    Attributes:
        key_columns: Names of the columns that the key of an order comes from; none: it is its place in the files.
    """

    def __init__(self, key: tuple[str, ...], roles: RoleSql) -> None:
        """Compiles nothing yet.

        Args:
            key: Names of the key columns of the table.
            roles: SQL of the roles.
        """
        self._roles = roles
        self.grouped = roles.reading.grain != "order"
        self.key_columns = tuple(roles.reading.identity) if self.grouped else key if len(key) == 1 else ()

    @property
    def movable(self) -> bool:
        """Whether the key of an order is a value of its row, which stays the same wherever the row is."""
        return bool(self.key_columns) and not self.grouped

    def source(self, relations: Relations) -> str:
        """SQL of the source, one row an order, with its key and the number of its segment.

        Args:
            relations: What holds its rows; none for the columns without rows.
        """
        source = self._roles.source
        if self.grouped:
            rows = union(source.rows(relation) for relation in relations.values()) or source.none()
            return f"SELECT *, 0 AS segment FROM ({grouped(rows, self._roles, KEY)})"
        key = source.sql(self.key_columns[0]) if self.key_columns else None
        selects = [
            source.rows(relation, f"{key or _place(number)} AS {KEY}", f"{number} AS segment")
            for number, relation in relations.items()
        ]
        return union(selects) or source.none(f"{key or '0::BIGINT'} AS {KEY}", "0 AS segment")

    def parts(self, relations: Relations, texts: bool = True) -> str:
        """SQL of the parts of the orders in some segments, as of `MoneySql.parts`."""
        source, money = self.source(relations), MoneySql(self._roles)
        if not self.movable or "refunds" not in self._roles.roles:
            return money.parts(source, KEY, texts=texts)
        return money.parts(self._with_refunds(source, texts), KEY, texts=texts, refunds="refs")

    def _with_refunds(self, source: str, texts: bool) -> str:
        """SQL of the source with the column `refs`, as of `ListSql.refunds`.

        Few orders have refunds, and DuckDB prepares hundreds of vectors for each chunk of rows that may have some. So
        these orders are read apart, in full chunks, which are what a sort gives.
        """
        roles = self._roles
        read = {roles.column(role) for role in ("refunds", "currency") if role in roles.roles}
        some = (
            f"SELECT {', '.join((KEY, 'segment', *sorted(read)))} FROM every "
            f"WHERE {roles.may_be_list('refunds')} ORDER BY {KEY}"
        )
        refunds = ListSql(roles).refunds(texts)
        return (
            f"WITH every AS NOT MATERIALIZED ({source}), refunded AS MATERIALIZED ({some}) "
            "SELECT every.*, listed.refs FROM every LEFT JOIN ("
            f"SELECT {KEY}, segment, {refunds} AS refs FROM refunded) AS listed USING ({KEY}, segment)"
        )


def _place(segment: int | str) -> str:
    """SQL of the place of a row in its segment: what identifies a row of a table without a key."""
    return f"({segment}::BIGINT << 32) + row_number() OVER ()"
