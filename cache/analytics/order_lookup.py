"""Orders themselves: a page of them, searched, and one by its key, out of the Parquet of a generation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

from cache.access.masking import MASK, NOTHING_HIDDEN, Mask, mask_of, pruned_text
from cache.analytics.fact_tables import FactTables
from cache.analytics.order_list.sorting import SortSql
from cache.check_report import ORDER_CHECKS, CheckId
from cache.interpretation.check_sql import bit
from cache.interpretation.list_sql import ListSql
from cache.interpretation.order_rows import KEY
from cache.interpretation.role_sql import RoleSql
from cache.schema import Column
from cache.sql import literal, quoted

Row = Mapping[str, Any]

ROW_KEY = "row key"
"""The name, beside the columns of the source, of the key of an order in a row."""
PIECES = "row pieces"
"""The name of the number of pieces of an order in a row; None where it has no line items."""
FAILED = "row failed"
"""The name of the checks that an order fails in a row."""
_AMOUNTS = ("total", "subtotal", "discounts", "shipping", "tax")
_INSTANTS = ("created_at", "updated_at", "cancelled_at", "fulfilled_at")
_LINE_ROLES = ("line_items", "line_title", "line_sku")
_SEARCHED_ROLES = ("name", "email", "customer_name")
_CONTAINS = "contains(lower({}), lower(?))"
_SIGNS_OF_NUMBERS = frozenset("-0123456789")
_KEPT_BYTES = 4 << 20  # of what a search found: a letter may find every order, whose keys are long texts in some tables


class Sums(NamedTuple):
    """What orders in one currency add up to.

    Attributes:
        orders: How many there are.
        pieces: The pieces of their line items; None where the table has no line items.
        total: The sum of their totals; None where the table has no totals.
    """

    orders: int
    pieces: int | None
    total: Decimal | None


@dataclass(frozen=True)
class Page:
    """A page of orders.

    Attributes:
        rows: Rows of the source. Instants are naive, on the shop's clock.
        sums: Currency -> the sums of its matching orders on all pages, the most frequent currency first.
    """

    rows: list[Row]
    sums: Mapping[str, Sums]

    @property
    def count(self) -> int:
        """How many orders match, on all pages."""
        return sum(each.orders for each in self.sums.values())


def role_key(role: str) -> str:
    """The name, beside the columns of the source, of a value as the reading reads it."""
    return f"row {role}"


def search_conditions(sql: RoleSql, mask: Mask, key: str | None, search: str) -> list[str]:
    """SQL conditions of a search in a row of the source. Each takes the text to find as its parameter.

    Args:
        sql: SQL of what the columns mean.
        mask: What is hidden; it is not searched.
        key: SQL of the key of an order; None: it is not searched.
        search: The text. Keys that are whole numbers are not looked through for other signs: writing a million of them
            out takes as long as reading the names.
    """
    columns = (sql.roles.get(role) for role in _SEARCHED_ROLES)
    names = [sql.source.sql(column.name) for column in columns if column and column.name not in mask.columns]
    if key and (_SIGNS_OF_NUMBERS.issuperset(search) or not _has_whole_key(sql)):
        names.append(key)
    return [_CONTAINS.format(f"{name}::VARCHAR") for name in names]


def _has_whole_key(sql: RoleSql) -> bool:
    """Whether the key of an order is a whole number of its row."""
    kinds = {column.kind for column in sql.source.columns if column.key}
    return sql.reading.grain == "order" and kinds <= {"integer", "unsigned"}


def line_search_conditions(line: str, sql: RoleSql, mask: Mask) -> list[str]:
    """The same for a line item: its SKU and title. `line` is its SQL name."""
    return [] if _hides_lines(sql, mask) else [_CONTAINS.format(f"{line}.{name}") for name in ("sku", "title")]


def _hides_lines(sql: RoleSql, mask: Mask) -> bool:
    """Whether line items come from a hidden column."""
    columns = (sql.roles.get(role) for role in _LINE_ROLES)
    return mask.hides_one_of(column.name for column in columns if column)


def any_of(conditions: Sequence[str]) -> str:
    """SQL: at least one of the conditions holds."""
    return " OR ".join(conditions) or "false"


class OrderLookup:
    """Finds orders in one generation. What a `mask` hides is not shown, and not searched."""

    def __init__(self, facts: FactTables, sql: RoleSql) -> None:
        self._facts = facts
        self._sql = sql
        self._last_search: tuple[str, Mask, pa.Table] | None = None

    def page(
        self,
        clause: str,
        parameters: Sequence[object],
        search: str,
        limit: int,
        offset: int,
        mask: Mask,
        sort: SortSql,
        roles: Collection[str] | None = None,
    ) -> Page:
        """Orders for which a condition holds.

        Args:
            clause: SQL of the condition over the facts `o`.
            parameters: Its parameters.
            search: Text to find in number, e-mail, customer and key of the order, and in SKU and title of its line
                items, in any case; "" for all orders.
            limit: How many orders.
            offset: How many orders to skip.
            mask: What is hidden.
            sort: What comes first.
            roles: As in `by_keys`.
        """
        values, tables = list(parameters), {}
        if search.strip():  # read once, for the page and the sums
            clause, tables = f"({clause}) AND o.key IN (SELECT key FROM found)", {"found": self._found(search, mask)}
        orders = f"{self._facts.orders} AS o"
        keys = self._facts.query(
            f"SELECT o.key FROM {orders} {sort.join} WHERE {clause} ORDER BY {sort.terms} LIMIT ? OFFSET ?",
            [*sort.parameters, *values, limit, offset],
            tables,
        )
        added = "count(*), sum(pieces)::BIGINT, sum(total)"
        sums = self._facts.query(
            f"SELECT currency, {added} FROM {orders} WHERE {clause} GROUP BY 1 ORDER BY 2 DESC, 1", values, tables
        )
        by_currency = {currency: Sums(*values) for currency, *values in sums}
        return Page(self.by_keys([key for (key,) in keys], mask, roles), by_currency)

    def _found(self, search: str, mask: Mask) -> pa.Table:
        """The keys that a search finds, in a column `key`; some of them twice.

        Those of the last search are kept, unless they are many: its other pages and sorts, and its counts in other
        periods, need no second look.
        """
        search, last = search.strip(), self._last_search
        if last and last[:2] == (search, mask):
            return last[2]
        rows = search_conditions(self._sql, mask, KEY if self.shows_keys(mask) else None, search)
        lines = line_search_conditions("l", self._sql, mask)
        sql = (
            f"SELECT {KEY} AS key FROM {self._facts.rows} WHERE {any_of(rows)} "
            f"UNION ALL SELECT key FROM {self._facts.lines} AS l WHERE {any_of(lines)}"
        )
        found = self._facts.arrow(sql, [search] * (len(rows) + len(lines)))
        if found.nbytes <= _KEPT_BYTES:
            self._last_search = search, mask, found
        return found

    def shows_keys(self, mask: Mask) -> bool:
        """Whether orders have a key that the mask does not hide."""
        return bool(self._facts.key_columns) and not mask.hides_one_of(self._facts.key_columns)

    def key_text(self, key: object, mask: Mask) -> str:
        """The text of a key as it is shown."""
        return MASK if mask.hides_one_of(self._facts.key_columns) else str(key)

    def order(self, key: str, mask: Mask = NOTHING_HIDDEN) -> Row | None:
        """One row of the source by the text of its key; None where there is no such order, or keys are hidden."""
        if mask.hides_one_of(self._facts.key_columns):
            return None
        keys = self._facts.query(f"SELECT key FROM {self._facts.orders} WHERE key::VARCHAR = ?", [key])
        return self.by_keys([keys[0][0]], mask)[0] if keys else None

    def lines(self, key: str, mask: Mask = NOTHING_HIDDEN) -> Sequence[Row]:
        """All line items of an order by the text of its key, as the source has them, gift cards too.

        Returns:
            `sku`, `title`, `variant`, `quantity` and `price` of each; the last two are None where they cannot be read.
        """
        items = "lines" if self._sql.reading.grain == "line" else ListSql(self._sql).lines()
        keys = self._facts.query(f"SELECT key FROM {self._facts.orders} WHERE key::VARCHAR = ?", [key])
        if _hides_lines(self._sql, mask) or not items or not keys:
            return []
        listed = f"SELECT unnest({items}) AS l FROM {self._facts.rows} WHERE {KEY} = ?"
        sql = f"SELECT l.sku, l.title, l.variant, l.quantity, l.price FROM ({listed})"
        return self._facts.dictionaries(sql, keys[0])

    def reversals(self, key: str) -> Sequence[Row]:
        """Refunds and the cancellation of an order by the text of its key, in order of time.

        Returns:
            `kind` (`return` or `cancellation`), `local` (on the shop's clock) and `amount`: what each gave back, with
            tax and shipping.
        """
        amount = "given_back - gift_cards"
        sql = (
            f"SELECT kind, local, {amount} AS amount FROM {self._facts.reversals} WHERE key::VARCHAR = ? ORDER BY local"
        )
        return self._facts.dictionaries(sql, [key])

    def charged(self, key: str) -> Decimal | None:
        """The total of an order by the text of its key, gift cards included; None where it is not known."""
        sql = f"SELECT total FROM {self._facts.orders} WHERE key::VARCHAR = ?"
        rows = self._facts.query(sql, [key])
        return rows[0][0] if rows else None

    def by_keys(
        self, keys: Sequence[object], mask: Mask = NOTHING_HIDDEN, roles: Collection[str] | None = None
    ) -> list[Row]:
        """Rows in the order of `keys`.

        Each has its key as `key_text` under `ROW_KEY`, its pieces under `PIECES`, the checks that it fails under
        `FAILED`, and under `role_key` the amounts and dates that the source stores in another form, such as text.

        Args:
            keys: The keys.
            mask: What is hidden.
            roles: The roles whose columns the rows have; None for all columns. Orders that are all over the table are
                found much faster with few columns, JSON above all.
        """
        if not keys:
            return []
        named = None if roles is None else {self._sql.roles[role].name for role in roles if role in self._sql.roles}
        columns = [column for column in self._sql.source.columns if named is None or column.name in named]
        shown = (self._shown(column, mask) for column in columns)
        select = ", ".join([f"{KEY} AS {quoted(ROW_KEY)}", *shown, *self._read_values(mask, roles)])
        # DuckDB skips parts of Parquet files by equalities, and not by IN, which is faster where little is read.
        among = _key_among(len(keys)) if roles is None else f"{KEY} IN (SELECT unnest(?))"
        found = f"SELECT {select} FROM {self._facts.rows} WHERE {among}"
        rows = self._masked(self._facts.dictionaries(found, keys if roles is None else [list(keys)]), columns, mask)
        known = f"SELECT key, pieces, failing FROM {self._facts.orders} WHERE key IN (SELECT unnest(?))"
        facts = {
            key: {PIECES: pieces, FAILED: _checks(bits)} for key, pieces, bits in self._facts.query(known, [list(keys)])
        }
        return [rows[key] | facts[key] for key in keys]

    def _masked(self, rows: Sequence[Row], columns: Sequence[Column], mask: Mask) -> dict[object, dict[str, Any]]:
        """Rows by their key, with its text, and without what the mask hides inside JSON."""
        pruned = [column for column in columns if column.name in mask.pruned]
        return {
            row[ROW_KEY]: {
                **row,
                ROW_KEY: self.key_text(row[ROW_KEY], mask),
                **{column.name: pruned_text(column, row[column.name]) for column in pruned},
            }
            for row in rows
        }

    def text(self, row: Row, role: str) -> str:
        """The text of a role in a row; "" where the table has no such column."""
        column = self._sql.roles.get(role)
        return str(row[column.name] or "") if column else ""

    def numbers(self, keys: Collection[object], mask: Mask = NOTHING_HIDDEN) -> dict[object, str]:
        """Numbers of orders, such as `#6000`, by key. Orders without one, and tables without numbers, have none."""
        column = self._sql.roles.get("name")
        if column is None:
            return {}
        if column.name in mask.columns:
            return dict.fromkeys(keys, mask_of(column) or MASK)
        sql = (
            f"SELECT {KEY}, {self._sql.column('name')}::VARCHAR AS number FROM {self._facts.rows} "
            f"WHERE {KEY} IN (SELECT unnest(?)) AND number IS NOT NULL"
        )
        return dict(self._facts.query(sql, [list(set(keys))]))

    def numbers_by_text(self, keys: Sequence[str], mask: Mask = NOTHING_HIDDEN) -> dict[str, str]:
        """The same by the texts of keys."""
        found = self._facts.query(
            f"SELECT key FROM {self._facts.orders} WHERE key::VARCHAR IN (SELECT unnest(?))", [list(keys)]
        )
        return {str(key): number for key, number in self.numbers([key for (key,) in found], mask).items()}

    def countries(self) -> dict[str, str]:
        """Names of countries by code, each from one order."""
        sql = f"SELECT country, min(key) FROM {self._facts.orders} WHERE country <> '' GROUP BY 1"
        samples = self._facts.query(sql)
        keys = [key for _, key in samples]
        if not keys:
            return {}
        sql = f"SELECT {KEY}, {self._sql.country_name} FROM {self._facts.rows} WHERE {_key_among(len(keys))}"
        names: dict[object, str | None] = dict(self._facts.query(sql, keys))
        return {code: names.get(key) or code for code, key in samples}

    def _read_values(self, mask: Mask, roles: Collection[str] | None) -> Iterator[str]:
        """SQL of the amounts and dates of a row that its columns hold in another form. `roles` is as in `by_keys`."""
        sql = self._sql
        played = {role: column for role, column in sql.roles.items() if roles is None or role in roles}
        for role in _AMOUNTS:
            column = played.get(role)
            if column and column.name not in mask.hidden and column.kind in ("text", "json", "float", "double"):
                yield f"{sql.amount(role)} AS {quoted(role_key(role))}"
        for role in _INSTANTS:
            column = played.get(role)
            if column and column.name not in mask.hidden and (column.name in sql.reading.instants):
                yield f"timezone('{sql.timezone}', {sql.instant(role)}) AS {quoted(role_key(role))}"

    def _shown(self, column: Column, mask: Mask) -> str:
        """SQL of a column as it is shown."""
        name = quoted(column.name)
        if column.name in mask.hidden:
            text = mask_of(column)
            return f"{'NULL' if text is None else literal(text)} AS {name}"
        if column.kind not in ("datetime", "timestamp"):
            return f"{self._sql.source.sql(column.name)} AS {name}"
        return f"timezone('{self._sql.timezone}', {self._sql.corrected(column)}) AS {name}"


def _checks(bits: int) -> tuple[CheckId, ...]:
    """The checks of some bits."""
    return tuple(name for name in ORDER_CHECKS if bits & bit(name))


def _key_among(count: int) -> str:
    """SQL: the key is one of so many parameters."""
    return f"({' OR '.join([f'{KEY} = ?'] * count)})"
