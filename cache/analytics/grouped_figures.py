"""Figures by groups: the SQL of a SELECT that adds up orders, reversals and line items by dimensions and time.

Where a dimension is one of line items, an order counts in each group of which it has a line, with the money of these
lines. What belongs to no line, such as shipping, is in none of these groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from cache.analytics.dimensions.catalogue import Dimension
from cache.analytics.dimensions.order_filter import FilteredTables, among, list_sql
from cache.analytics.fact_tables import AMOUNTS, FactTables
from cache.analytics.figures import Returns, Source, add_sums, select_sums
from cache.interpretation.money_sql import REVERSED_AMOUNTS

_ORDER_LEVEL: tuple[Source, ...] = ("orders", "customers", "units")
_LINE_AMOUNTS = ("gross", "discounts", "charged")  # of an order, which its lines have too


class Part(Enum):
    """A part of a key that is no value of a dimension."""

    OTHERS = "the values that are not told apart"
    TOTAL = "all values together"


KeyPart = Any  # a text, an instant, None for no instant, or a Part
Key = tuple[KeyPart, ...]


@dataclass(frozen=True)
class Grouping:
    """What figures are grouped by.

    Attributes:
        dimensions: The dimensions.
        bucket: SQL over an order `o` of the start of its bucket of time; "" for no buckets.
        kept: Place of a dimension -> its values that are told apart; the others are one group, `Part.OTHERS`.
        only: Place of a dimension -> the values that count.
        sets: The places of the parts that figures are grouped by, several times; the last place is that of the bucket.
            The other parts of a key are `Part.TOTAL`. Empty for all parts at once.
    """

    dimensions: tuple[Dimension, ...] = ()
    bucket: str = ""
    kept: Mapping[int, Sequence[str]] = field(default_factory=dict)
    only: Mapping[int, Sequence[str]] = field(default_factory=dict)
    sets: tuple[tuple[int, ...], ...] = ()

    @property
    def by_line(self) -> bool:
        """Whether line items are grouped."""
        return any(dimension.level == "line" for dimension in self.dimensions)

    @property
    def parts(self) -> list[str]:
        """SQL of the parts of a key, over the rows of `_rows`."""
        kept = self.kept
        found = (
            f"CASE WHEN {among(_text(i), kept[i])} THEN {_text(i)} END" if i in kept else f"d{i}"
            for i in range(len(self.dimensions))
        )
        return [*found, self.bucket or "NULL"]

    @property
    def condition(self) -> str:
        """SQL of which rows count."""
        return " AND ".join(among(_text(i), values) for i, values in self.only.items()) or "true"


def grouped_sums(
    facts: FactTables,
    grouping: Grouping,
    sources: Sequence[Source],
    returns: Returns,
    selected: tuple[str, list[object]],
) -> dict[Key, dict[str, Any]]:
    """Adds up orders by groups.

    Args:
        facts: The tables.
        grouping: What they are grouped by.
        sources: What the sums are read from.
        returns: The date that refunds count on.
        selected: The orders, as of `order_filter`.

    Returns:
        Key of a group -> its sums by name. A key has a part for each dimension, and one for the bucket.
    """
    clause, parameters = selected
    parts = grouping.parts
    keys = ", ".join(f"{sql} AS key{i}" for i, sql in enumerate(parts))
    sets = grouping.sets or (tuple(range(len(parts))),)
    group_by = ", ".join(f"({', '.join(f'key{i}' for i in each)})" for each in sets)
    names = ", ".join(f"key{i}, grouping(key{i}) AS all{i}" for i in range(len(parts)))
    sums: dict[Key, dict[str, Any]] = {}
    for together, rows in _rows(facts, grouping, sources, returns, clause):
        inner = f"SELECT *, {keys} FROM ({rows}) AS o WHERE {grouping.condition}"
        sql = f"SELECT {names}, {select_sums(*together)} FROM ({inner}) AS o GROUP BY GROUPING SETS ({group_by})"
        for row in facts.dictionaries(sql, parameters):
            key = tuple(
                _part(row.pop(f"key{i}"), row.pop(f"all{i}"), i in grouping.kept, i == len(parts) - 1)
                for i in range(len(parts))
            )
            add_sums(sums.setdefault(key, {}), row)
    return sums


def count_groups(facts: FactTables, grouping: Grouping, selected: tuple[str, list[object]], limit: int) -> int:
    """How many groups have orders; `limit` where there are more."""
    clause, parameters = selected
    ((_, rows),) = _rows(facts, grouping, ["orders"], "returned", clause)
    groups = f"SELECT 1 FROM ({rows}) AS o GROUP BY {', '.join(grouping.parts)} LIMIT {limit}"
    return int(facts.query(f"SELECT count(*) FROM ({groups})", parameters)[0][0])


def _part(value: Any, is_total: int, is_kept: bool, is_bucket: bool) -> KeyPart:
    if is_total:
        return Part.TOTAL
    if is_bucket:
        return value
    return Part.OTHERS if value is None and is_kept else "" if value is None else str(value)


def _text(place: int) -> str:
    return f"coalesce(d{place}::VARCHAR, '')"


def _rows(
    facts: FactTables, grouping: Grouping, sources: Sequence[Source], returns: Returns, clause: str
) -> Iterator[tuple[list[Source], str]]:
    """The sources that are read together, and SQL of their rows, in which dimensions are `d0`, `d1` and so on."""
    if grouping.by_line:
        of_orders = [source for source in sources if source in _ORDER_LEVEL]
        if of_orders:
            yield of_orders, _with_dimensions(facts, grouping, _sold(facts, grouping, clause), "true")
        if "reversals" in sources:
            yield ["reversals"], _with_dimensions(facts, grouping, _reversed_lines(facts, grouping, returns), clause)
        return
    by_tables: dict[str, list[Source]] = {}
    for source in sources:
        by_tables.setdefault(source_tables(facts, source, returns), []).append(source)
    for tables, together in by_tables.items():
        yield together, _with_dimensions(facts, grouping, tables, clause)


def source_tables(facts: FactTables, source: Source, returns: Returns) -> str:
    """SQL of the tables of a source, with its rows as `o`.

    Each has the columns of its order. `created_at` and `local` say when it counts.

    Args:
        facts: The tables.
        source: The source.
        returns: The date that refunds count on.
    """
    match source:
        case "orders" | "customers":
            return f"{facts.orders} AS o"
        case "reversals":
            return _reversed(facts.reversals, facts.orders, returns, "l.* EXCLUDE (key, segment, moment, local)")
        case "units":
            return f"{facts.lines} AS l JOIN {facts.orders} AS o USING (key)"


def _reversed(reversals: str, orders: str, returns: Returns, columns: str) -> str:
    own = "true" if returns == "returned" else "l.kind <> 'return'"  # a cancellation always counts on its own day
    return (
        f"(SELECT o.* EXCLUDE (created_at, local, {', '.join(AMOUNTS)}), "
        f"CASE WHEN {own} THEN l.moment ELSE o.created_at END AS created_at, "
        f"CASE WHEN {own} THEN l.local ELSE o.local END AS local, {columns} FROM {reversals} AS l "
        f"JOIN {orders} AS o USING (key)) AS o"
    )


def _reversed_lines(facts: FactTables, grouping: Grouping, returns: Returns) -> str:
    nothing = (name for name in REVERSED_AMOUNTS if name not in ("returns", "cancellations", "given_back"))
    columns = ["l.kind", "l.returns", "l.cancellations", "l.returns + l.cancellations AS given_back"]
    columns += [f"NULL AS {name}" for name in nothing]
    return _reversed(facts.line_reversals, facts.orders, returns, ", ".join([*columns, *_of_lines(grouping)]))


def _sold(facts: FactTables, grouping: Grouping, clause: str) -> str:
    """SQL of a row for each order and group of its line items, with the money of these lines."""
    orders = f"SELECT key FROM {facts.orders} AS o WHERE {clause}"
    sold = (
        f"SELECT l.key AS key, {', '.join(_of_lines(grouping))}, sum(l.amount) AS gross, sum(l.discount) AS discounts, "
        f"sum(l.quantity) AS quantity, bool_or(l.returned) AS came_back FROM {facts.lines} AS l "
        f"WHERE l.key IN ({orders}) GROUP BY ALL"
    )
    nothing = (f"NULL AS {name}" for name in AMOUNTS if name not in _LINE_AMOUNTS)
    own = ("g.gross AS gross", "g.discounts AS discounts", "g.gross - g.discounts AS charged")
    refunded = "CASE WHEN o.refunded = 'yes' AND g.came_back THEN 'yes' ELSE 'no' END AS refunded"
    return (
        f"(SELECT o.* REPLACE ({', '.join([*own, *nothing, refunded])}), "
        f"g.* EXCLUDE (key, gross, discounts) FROM ({sold}) AS g JOIN {facts.orders} AS o USING (key)) AS o"
    )


def _of_lines(grouping: Grouping) -> list[str]:
    return [f"{each.sql} AS d{i}" for i, each in enumerate(grouping.dimensions) if each.level == "line"]


def _with_dimensions(facts: FactTables, grouping: Grouping, tables: str, clause: str) -> str:
    """SQL of the rows of some tables with the dimensions that are not those of line items."""
    columns, joins = ["*"], ""
    filtered: FilteredTables = facts.filtered
    for i, dimension in enumerate(grouping.dimensions):
        match dimension.level:
            case "order":
                columns.append(f"{dimension.sql} AS d{i}")
            case "list":
                columns.append(f"unnest({list_sql(dimension)}) AS d{i}")
            case "row":
                values = f"SELECT key AS of{i}, value AS d{i} FROM ({filtered.row_values(dimension)})"
                joins += f" LEFT JOIN ({values}) AS r{i} ON r{i}.of{i} = o.key"
    return f"SELECT {', '.join(columns)} FROM {tables}{joins} WHERE {clause}"
