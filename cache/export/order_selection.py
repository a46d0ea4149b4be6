"""The orders that a page of the dashboard shows, as rows of the source: for files that hold just these."""

from __future__ import annotations

from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from cache.analytics.fact_tables import KEY, NO_LINES
from cache.analytics.figures import Span, matching
from cache.analytics.order_lookup import any_of, searching, searching_line
from cache.analytics.reading import Mapped
from cache.query.filters import Condition
from cache.sql import quoted
from cache.storage.snapshot import Snapshot
from cache.table_setup import Setup


class OrderSelection(BaseModel, frozen=True):
    """As `Orders.page` takes it. `timezone` is the shop's, where the set-up names none; `span` is on its clock."""

    timezone: str
    span: tuple[datetime, datetime] | None = None
    conditions: tuple[Condition, ...] = ()
    search: str = ""
    masked: frozenset[str] = frozenset()

    def numbers(
        self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, setup: Setup, source: str, number: str
    ) -> npt.NDArray[np.int64]:
        """Numbers of the rows, rising; where the table has a row for each line item, of all rows of these orders.

        Parameters: `source` is the SQL of all rows, each with its number as the column `number`.
        """
        read_as = snapshot.manifest.source.timezone
        mapped = Mapped(snapshot.columns, setup.timezone or self.timezone, read_as, setup)
        key = snapshot.manifest.key
        if mapped.by_line:
            name = quoted(mapped.roles["name"].name)
            keys, of, lines = [name], f"{name}::VARCHAR", "lines"
            own = ", ".join(f"any_value({quoted(c.name)}) AS {quoted(c.name)}" for c in snapshot.columns)
            own += f", flatten(list({mapped.lines()})) AS lines"
            orders = f"SELECT {of} AS {KEY}, {own} FROM ({source}) WHERE {name} IS NOT NULL GROUP BY {name}"
        else:
            keys, of, lines = [quoted(part) for part in key if len(key) == 1], number, mapped.lines() or NO_LINES
            orders = f"SELECT {of} AS {KEY}, * FROM ({source})"
        values: list[object] = []
        if search := self.search.strip():
            own_said, line_said = searching(mapped, self.masked, keys), searching_line("l")
            named = f"list_filter({lines}, lambda l: l.quantity IS NOT NULL AND ({any_of(line_said)}))"
            orders = f"SELECT * FROM ({orders}) WHERE {any_of([*own_said, f'len({named}) > 0'])}"
            values = [search] * (len(own_said) + len(line_said))
        sold = f"SELECT {KEY} AS key, unnest({lines}) AS l FROM orders"
        sold = f"(SELECT key, l.sku AS sku, l.title AS title FROM ({sold}) WHERE l.quantity IS NOT NULL)"
        clause, more = matching(Span(*self.span) if self.span else None, self.conditions, sold)
        facts = ", ".join(f"{sql} AS {name}" for name, sql in mapped.facts().items())
        facts = f"SELECT {KEY} AS key, {facts} FROM orders WHERE NOT {mapped.test}"
        sql = (
            f"WITH orders AS NOT MATERIALIZED ({orders}) SELECT {number} FROM ({source}) "
            f"WHERE {of} IN (SELECT key FROM ({facts}) AS o WHERE {clause}) ORDER BY 1"
        )
        found: npt.NDArray[np.int64] = database.sql(sql, params=[*values, *more]).to_arrow_table().column(0).to_numpy()
        return found
