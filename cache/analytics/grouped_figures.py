"""Figures by groups: the SQL of a SELECT that adds up orders, reversals and line items by dimensions and time.

Where a dimension is one of line items, an order counts in each group of which it has a line, with the money of these
lines. What belongs to no line, such as shipping, is in none of these groups. By tax rate, an order counts in each of
its rates, with its taxes split between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from cache.analytics.dimensions.catalogue import Dimension
from cache.analytics.dimensions.order_filter import FilteredTables, among, among_numbers, list_sql
from cache.analytics.fact_tables import AMOUNTS, FactTables
from cache.analytics.figures import Composition, Returns, Source, Term, add_sums, terms_of
from cache.interpretation.money_sql import REVERSED_AMOUNTS, share

_PROBED = 2  # orders for each value that there may be
_ORDER_LEVEL: tuple[Source, ...] = ("orders", "customers", "units")
# Sums that are the same over line items as over orders: nothing in them counts orders. Lines have some of the amounts.
_SAME_BY_LINE = frozenset(terms_of(["customers", "units"])).union(
    name for name, term in terms_of(["orders"]).items() if term.amount in AMOUNTS
)
_LINE_AMOUNTS = ("gross", "discounts", "charged")  # of an order, which its lines have too
_NOT_OF_LINES = [f"NULL AS {name}" for name in AMOUNTS if name not in _LINE_AMOUNTS]
# What a rate has of an amount of tax (money_sql.taxes_by_rate). Only refunds of orders with several rates, and amounts
# that were converted, need a division.
_TAX_OF_RATE = (
    "CASE WHEN whole IS NULL OR (below = 0 AND until = whole) THEN o.tax WHEN o.tax = whole THEN until - below "
    f"WHEN until = whole THEN o.tax - {share('o.tax', 'below', 'whole')} "
    f"ELSE {share('o.tax', 'until', 'whole')} - {share('o.tax', 'below', 'whole')} END"
)


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
    """

    dimensions: tuple[Dimension, ...] = ()
    bucket: str = ""
    kept: Mapping[int, Sequence[str]] = field(default_factory=dict)
    only: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def by_line(self) -> bool:
        """Whether line items are grouped."""
        return any(dimension.level == "line" for dimension in self.dimensions)

    @property
    def parts(self) -> list[str]:
        """SQL of the parts of a key, over the rows of `_rows`."""
        found = (
            f"CASE WHEN {self._among(i, self.kept[i])} THEN {_text(i)} END" if i in self.kept else f"d{i}"
            for i in range(len(self.dimensions))
        )
        return [*found, self.bucket or "NULL"]

    @property
    def condition(self) -> str:
        """SQL of which rows count."""
        return " AND ".join(self._among(i, values) for i, values in self.only.items()) or "true"

    def _among(self, place: int, values: Sequence[str]) -> str:
        """SQL: a dimension has one of some values."""
        is_number = self.dimensions[place].is_number
        return among_numbers(f"d{place}", values) if is_number else among(_text(place), values)


@dataclass(frozen=True)
class Summed:
    """What is added up.

    Attributes:
        sources: What the sums are read from.
        returns: The date that refunds count on.
        selected: The orders, as of `order_filter`.
        names: The sums; None for all of these sources.
    """

    sources: Sequence[Source]
    returns: Returns
    selected: tuple[str, list[object]]
    names: frozenset[str] | None = None


def grouped_sums(
    facts: FactTables, grouping: Grouping, summed: Summed, most: int | None = None
) -> dict[Key, dict[str, Any]] | None:
    """Adds up orders by groups.

    Args:
        facts: The tables.
        grouping: What they are grouped by.
        summed: What is added up.
        most: How many groups one source may have at most; None for any number.

    Returns:
        Key of a group -> its sums by name. A key has a part for each dimension, and one for the bucket. None where
        there are more groups than `most`.
    """
    clause, parameters = summed.selected
    count = len(grouping.parts)
    keys = ", ".join(f"key{i}" for i in range(count))
    sums: dict[Key, dict[str, Any]] = {}
    for aggregated in _aggregated(facts, grouping, summed, clause):
        limit = f" LIMIT {most + 1}" if most else ""
        rows = facts.dictionaries(f"SELECT {keys}, * EXCLUDE ({keys}) FROM ({aggregated}){limit}", parameters)
        if most and len(rows) > most:
            return None
        for row in rows:
            key = tuple(_part(row.pop(f"key{i}"), i in grouping.kept, i == count - 1) for i in range(count))
            add_sums(sums.setdefault(key, {}), row)
    return sums


def ranked_values(
    facts: FactTables,
    grouping: Grouping,
    summed: Summed,
    composition: Composition,
    descending: bool,
    limit: int | None,
) -> tuple[list[str], int]:
    """The values of the first dimension with the largest figures, where there are too many for `grouped_sums`.

    Args:
        facts: The tables.
        grouping: What figures are grouped by.
        summed: What is added up.
        composition: How the figure follows from sums.
        descending: Whether the largest comes first.
        limit: How many values; None for all.

    Returns:
        The values in their order, and how many there are.
    """
    clause, parameters = summed.selected
    names = [*composition.parts, *([composition.divisor] if composition.divisor else [])]
    aggregated = list(_aggregated(facts, grouping, replace(summed, names=frozenset(names)), clause))
    columns = ", ".join(f"sum({name}) AS {name}" for name in names)
    added = " + ".join(f"{sign} * coalesce({name}, 0)" for name, sign in composition.parts.items())
    figure = f"({added}) / nullif({composition.divisor}, 0)" if composition.divisor else added
    union = " UNION ALL BY NAME ".join(f"SELECT * FROM ({sql})" for sql in aggregated)
    lacking = ", ".join(f"NULL::DECIMAL(38, 4) AS {name}" for name in names)
    union = f"SELECT {lacking} WHERE false UNION ALL BY NAME {union}"
    groups = f"SELECT coalesce(key0::VARCHAR, '') AS value, {columns} FROM ({union}) GROUP BY 1"
    order = f"{figure} {'DESC' if descending else 'ASC'} NULLS LAST, value"
    sql = f"SELECT value, count(*) OVER () FROM ({groups}) ORDER BY {order}"
    sql += "" if limit is None else f" LIMIT {limit}"
    rows = facts.query(sql, parameters * len(aggregated))
    return [value for value, _ in rows], rows[0][1] if rows else 0


def _aggregated(facts: FactTables, grouping: Grouping, summed: Summed, clause: str) -> Iterator[str]:
    """SQL of the sums by group, one SELECT for each set of tables. Its parameters are those of the clause."""
    keys = ", ".join(f"{sql} AS key{i}" for i, sql in enumerate(grouping.parts))
    names = ", ".join(f"key{i}" for i in range(len(grouping.parts)))
    for together, rows in _rows(facts, grouping, summed, clause):
        inner = f"SELECT *, {keys} FROM ({rows}) AS o WHERE {grouping.condition}"
        terms = terms_of(together, summed.names)
        plain = {name: term for name, term in terms.items() if not term.distinct}
        if plain or summed.names is None:
            columns = ", ".join(f"{term.aggregate} AS {name}" for name, term in plain.items())
            yield f"SELECT {', '.join(filter(None, (names, columns)))} FROM ({inner}) AS o GROUP BY {names}"
        if len(plain) < len(terms):
            yield _distinct(inner, names, {name: term for name, term in terms.items() if term.distinct})


def _distinct(rows: str, keys: str, terms: Mapping[str, Term]) -> str:
    """SQL of how many different values there are. In two steps, of which neither holds all values in memory."""
    (value,) = {term.distinct for term in terms.values()}
    flags = ", ".join(f"bool_or({term.condition or 'true'}) AS {name}" for name, term in terms.items())
    each = f"SELECT {keys}, {flags} FROM ({rows}) AS o WHERE {value} IS NOT NULL GROUP BY {keys}, {value}"
    counts = ", ".join(f"count(*) FILTER ({name}) AS {name}" for name in terms)
    return f"SELECT {keys}, {counts} FROM ({each}) GROUP BY {keys}"


def count_groups(facts: FactTables, grouping: Grouping, selected: tuple[str, list[object]], limit: int) -> int:
    """How many groups have orders; `limit` where there are more."""
    clause, parameters = selected
    ((_, rows),) = _rows(facts, grouping, Summed(["orders"], "returned", selected), clause)
    groups = f"SELECT 1 FROM ({rows}) AS o GROUP BY {', '.join(grouping.parts)} LIMIT {limit}"
    return int(facts.query(f"SELECT count(*) FROM ({groups})", parameters)[0][0])


def surely_exceeds(facts: FactTables, dimension: Dimension, selected: tuple[str, list[object]], most: int) -> bool:
    """Whether some of the orders alone have more than `most` values of a dimension of orders. Quick."""
    clause, parameters = selected
    some = f"SELECT {dimension.sql} AS value FROM {facts.orders} AS o WHERE {clause} LIMIT {_PROBED * most}"
    return int(facts.query(f"SELECT count(DISTINCT value) FROM ({some})", parameters)[0][0]) > most


def _part(value: Any, is_kept: bool, is_bucket: bool) -> KeyPart:
    if is_bucket:
        return value
    return Part.OTHERS if value is None and is_kept else "" if value is None else str(value)


def _text(place: int) -> str:
    return f"coalesce(d{place}::VARCHAR, '')"


def _rows(facts: FactTables, grouping: Grouping, summed: Summed, clause: str) -> Iterator[tuple[list[Source], str]]:
    """The sources that are read together, and SQL of their rows, in which dimensions are `d0`, `d1` and so on."""
    used = [source for source in summed.sources if terms_of([source], summed.names)]
    if grouping.by_line:
        of_orders = [source for source in used if source in _ORDER_LEVEL]
        if of_orders:
            apart = summed.names is not None and _SAME_BY_LINE.issuperset(terms_of(of_orders, summed.names))
            sold = _lines_apart(facts, grouping, clause) if apart else _sold(facts, grouping, clause)
            yield of_orders, _with_dimensions(facts, grouping, sold, "true")
        if "reversals" in used:
            reversed_lines = _reversed_lines(facts, grouping, summed.returns)
            yield ["reversals"], _with_dimensions(facts, grouping, reversed_lines, clause)
        return
    by_tables: dict[str, list[Source]] = {}
    for source in used:
        by_tables.setdefault(source_tables(facts, source, summed.returns), []).append(source)
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
    own = ("g.gross AS gross", "g.discounts AS discounts", "g.gross - g.discounts AS charged")
    refunded = "CASE WHEN o.refunded = 'yes' AND g.came_back THEN 'yes' ELSE 'no' END AS refunded"
    return (
        f"(SELECT o.* REPLACE ({', '.join([*own, *_NOT_OF_LINES, refunded])}), "
        f"g.* EXCLUDE (key, gross, discounts) FROM ({sold}) AS g JOIN {facts.orders} AS o USING (key)) AS o"
    )


def _lines_apart(facts: FactTables, grouping: Grouping, clause: str) -> str:
    """The same with a row for each line item, where nobody counts orders."""
    own = ["l.amount AS gross", "l.discount AS discounts", "l.amount - l.discount AS charged", *_NOT_OF_LINES]
    orders = f"o.* REPLACE ({', '.join(own)})"
    return (
        f"(SELECT {', '.join([orders, 'l.quantity', *_of_lines(grouping)])} FROM {facts.lines} AS l "
        f"JOIN {facts.orders} AS o USING (key) WHERE {clause}) AS o"
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
            case "tax":
                columns[0] = f"* EXCLUDE (of{i}, below, until, whole) REPLACE ({_TAX_OF_RATE} AS tax)"
                taxes = f"SELECT key AS of{i}, rate AS d{i}, below, until, whole FROM {facts.taxes}"
                joins += f" LEFT JOIN ({taxes}) AS t{i} ON t{i}.of{i} = o.key"
    of_rows = {f"d{i}": each for i, each in enumerate(grouping.dimensions) if each.level == "row"}
    if of_rows:  # read once, however many there are
        joins += f" LEFT JOIN ({filtered.row_values(of_rows)}) AS r ON r.of_row = o.key"
    return f"SELECT {', '.join(columns)} FROM {tables}{joins} WHERE {clause}"
