"""Orders themselves: a page of them, searched, and one by its key, out of the Parquet of a generation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cache.access.masking import mask_of
from cache.analytics.fact_tables import KEY, ROW_KEY, Facts
from cache.analytics.reading import Mapped
from cache.schema import Column
from cache.sql import quoted

Row = Mapping[str, Any]

_SEARCHED = ("name", "email", "customer_name")
_SAID = "contains(lower({}), lower(?))"


@dataclass(frozen=True)
class Page:
    """Rows of the source, newest order first, out of `count` that match; naive instants, on the shop's clock."""

    rows: list[Row]
    count: int


def searching(mapped: Mapped, masked: Collection[str], keys: Collection[str]) -> list[str]:
    """SQL of what a search looks at in a row of the source; each takes what is sought.

    Parameters: `keys` are the SQL of what else names an order.
    """
    columns = (mapped.roles.get(role) for role in _SEARCHED)
    names = [quoted(column.name) for column in columns if column and column.name not in masked]
    return [_SAID.format(f"{name}::VARCHAR") for name in (*names, *keys)]


def searching_line(line: str) -> list[str]:
    """The same of a line item: its SKU and title."""
    return [_SAID.format(f"{line}.{name}") for name in ("sku", "title")]


def any_of(conditions: Sequence[str]) -> str:
    return " OR ".join(conditions) or "false"


class Lookup:
    """Parameters: `facts` of a generation, and what its columns mean. Columns that are `masked` show their mask,
    and are not searched."""

    def __init__(self, facts: Facts, mapped: Mapped) -> None:
        self._facts = facts
        self._mapped = mapped

    def page(
        self, clause: str, values: Sequence[object], search: str, limit: int, offset: int, masked: Collection[str] = ()
    ) -> Page:
        """Orders for which the SQL `clause` holds. `search` is looked for in the order's number, e-mail, customer and
        key, and in the SKU and title of its line items, in any case."""
        found = list(values)
        if search.strip():
            rows, lines = searching(self._mapped, masked, [KEY] if self._facts.keyed else []), searching_line("l")
            clause += (
                f" AND (o.key IN (SELECT {KEY} FROM {self._facts.rows} WHERE {any_of(rows)})"
                f" OR o.key IN (SELECT key FROM {self._facts.lines} AS l WHERE {any_of(lines)}))"
            )
            found += [search.strip()] * (len(rows) + len(lines))
        matching = f"FROM {self._facts.orders} AS o WHERE {clause}"
        order = "ORDER BY created_at DESC NULLS LAST, key DESC LIMIT ? OFFSET ?"
        keys = self._facts.ask(f"SELECT key {matching} {order}", [*found, limit, offset])
        count = self._facts.ask(f"SELECT count(*) {matching}", found)[0][0]
        return Page(self.by_keys([key for (key,) in keys], masked), count)

    def order(self, key: str, masked: Collection[str] = ()) -> Row | None:
        """One row of the source by its key's text; None where there is no such order."""
        found = self._facts.ask(f"SELECT key FROM {self._facts.orders} WHERE key::VARCHAR = ?", [key])
        return self.by_keys([found[0][0]], masked)[0] if found else None

    def lines(self, key: str) -> Sequence[Row]:
        """The line items of an order by its key's text: `sku`, `title`, `quantity` and `price` of each."""
        sql = f"SELECT sku, title, quantity, price FROM {self._facts.lines} WHERE key::VARCHAR = ?"
        return self._facts.dictionaries(sql, [key])

    def by_keys(self, keys: Sequence[object], masked: Collection[str] = ()) -> list[Row]:
        """Whole rows in the order of `keys`; each has its key, as text, under ROW_KEY."""
        if not keys:
            return []
        select = ", ".join([KEY, *(self._shown(column, masked) for column in self._mapped.columns)])
        sql = f"SELECT {select} FROM {self._facts.rows} WHERE {_one_of(len(keys))}"
        rows = {row[ROW_KEY]: {**row, ROW_KEY: str(row[ROW_KEY])} for row in self._facts.dictionaries(sql, keys)}
        return [rows[key] for key in keys]

    def said(self, row: Row, role: str) -> str:
        """The text of a role in a row; "" where the table has no such column."""
        column = self._mapped.roles.get(role)
        return str(row[column.name] or "") if column else ""

    def countries(self) -> dict[str, str]:
        """The names of countries by code, as one order of each tells it."""
        sql = f"SELECT country, min(key) FROM {self._facts.orders} WHERE country <> '' GROUP BY 1"
        samples = self._facts.ask(sql)
        keys = [key for _, key in samples]
        if not keys:
            return {}
        sql = f"SELECT {KEY}, {self._mapped.country_name} FROM {self._facts.rows} WHERE {_one_of(len(keys))}"
        names: dict[object, str | None] = dict(self._facts.ask(sql, keys))
        return {code: names.get(key) or code for code, key in samples}

    def _shown(self, column: Column, masked: Collection[str]) -> str:
        name = quoted(column.name)
        if column.name in masked:
            mask = mask_of(column)
            return f"{'NULL' if mask is None else repr(mask)} AS {name}"
        if column.kind not in ("datetime", "timestamp"):
            return name
        return f"timezone('{self._mapped.timezone}', {self._mapped.meant(column)}) AS {name}"


def _one_of(count: int) -> str:
    """SQL: the key is one of so many parameters. DuckDB skips parts of Parquet files by equalities, and not by IN."""
    return f"({' OR '.join([f'{KEY} = ?'] * count)})"
