"""Chooses the reading of a table from its names and its data.

Names propose columns for each role (cache/roles.py). The data decides between them, in which style texts are written,
what one row is, and whether prices include tax. What it does not decide stays a question of the reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from tempfile import gettempdir
from typing import Any, NamedTuple, get_args

import duckdb

from cache.interpretation.candidate_amounts import DECIDED_ROLES, MIN_GAIN, best_combination
from cache.interpretation.grain import GrainTest
from cache.interpretation.grouping import ORDER_AMOUNTS, grouped
from cache.interpretation.money_sql import MoneySql
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.source_rows import SourceColumns, parquet
from cache.interpretation.text_values import amount_counts, instant_counts, instant_sql
from cache.machine.memory import database_limit
from cache.reading import AmountStyle, InstantStyle, Question, Reading
from cache.roles import ROLES, candidates
from cache.schema import Column
from cache.storage.snapshot import PARQUET, Snapshot
from cache.table_setup import Setup

SAMPLED_ROWS = 20_000  # whole segments, spread over the table, until there are that many rows
AGREEING = 0.95  # share of orders that has to agree
MIN_SPREAD_DAYS, MAX_IMPORT_DAYS = 28, 2  # dates of an import lie on few days while the others spread over weeks

_AMOUNT_ROLES = (*ORDER_AMOUNTS, "line_quantity", "line_price")
_INSTANT_ROLES = ("created_at", "updated_at", "cancelled_at", "fulfilled_at")
_LIST_ROLES = ("line_items", "refunds", "shipping_lines", "tax_lines")
_TIMES = ("datetime", "timestamp", "date")


def choose_reading(snapshot: Snapshot, setup: Setup, timezone: str) -> Reading:
    """Chooses a reading.

    Args:
        snapshot: The generation.
        setup: What people decided; it is never overruled.
        timezone: IANA zone of times that name none.
    """
    with closing(
        duckdb.connect(config={"threads": 2, "memory_limit": database_limit(96), "temp_directory": gettempdir()})
    ) as database:
        database.execute("SET TimeZone = 'UTC'")
        return _Chooser(database, snapshot, setup, timezone).reading()


class _Chooser:
    """Chooses one reading, step by step: each step uses what the ones before have decided."""

    def __init__(self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, setup: Setup, timezone: str) -> None:
        self._database = database
        self._columns = snapshot.columns
        self._setup = setup
        self._timezone = timezone
        self._source = SourceColumns(snapshot.columns)
        self._questions: list[Question] = []
        # Versions of an order may be far apart, so what repeats is counted over all rows.
        for view, sampled in (("sampled", True), ("every_row", False)):
            database.execute(f"CREATE TEMP VIEW {view} AS {_rows(snapshot, sampled) or self._source.none()}")

    def reading(self) -> Reading:
        amounts = self._amount_styles()
        instants, dates_open = self._instant_styles()
        roles, fallbacks = self._roles(instants)
        if roles.get("created_at") in dates_open:
            self._questions.append("dates")
        reading = Reading(
            roles=roles,
            fallbacks=fallbacks,
            amounts={name: style for name, style in amounts.items() if name in roles.values()},
            instants={n: style for n, style in instants.items() if n in {*roles.values(), *fallbacks.values()}},
            connections=self._connections(roles),
            gift_cards=self._knows_gift_cards(roles),
            counted=self._setup.counted,
        )
        grain = GrainTest(self._database, "every_row", self._sql(reading), self._setup.grain)
        reading = reading.model_copy(
            update={"grain": grain.grain, "identity": grain.identity, "numbers_repeat": grain.numbers_repeat}
        )
        if grain.is_open:
            self._questions.append("grain")
        return self._with_best_amounts(self._arithmetic(reading), amounts)

    # -- styles

    def _amount_styles(self) -> dict[str, AmountStyle]:
        """The style of each column of amounts in text. Columns of one table are written alike where one is unclear."""
        names = {c.name for role in _AMOUNT_ROLES for c in self._candidates(role) if c.kind == "text"}
        counts = {name: self._one(amount_counts(self._source.sql(name))) for name in sorted(names)}
        total = {style: sum(each[style] for each in counts.values()) for style in ("point", "comma", "undecided")}
        common: AmountStyle = "comma" if total["comma"] > total["point"] else "point"
        unclear = [
            name
            for name, each in counts.items()
            if (each["point"] and each["comma"]) or (each["undecided"] and not total["point"] and not total["comma"])
        ]
        if set(unclear) - self._setup.amounts.keys():
            self._questions.append("amounts")
        styles: dict[str, AmountStyle] = {}
        for name, each in counts.items():
            decided = each["point"] or each["comma"]
            styles[name] = ("comma" if each["comma"] > each["point"] else "point") if decided else common
        return {**styles, **{name: style for name, style in self._setup.amounts.items() if name in names}}

    def _instant_styles(self) -> tuple[dict[str, InstantStyle], set[str]]:
        """The style of each column of instants in text or whole numbers, and the columns that may mean two things."""
        names = {
            column.name for role in _INSTANT_ROLES for column in self._candidates(role) if column.kind not in _TIMES
        }
        styles: dict[str, InstantStyle] = {}
        undecided: set[str] = set()
        for name in sorted(names):
            counts = self._one(instant_counts(self._source.sql(name)))
            best = max(get_args(InstantStyle), key=lambda style: counts[style])
            if counts[best] == 0 and counts["undecided"] == 0:
                continue
            if counts["undecided"] and best not in ("day_first", "month_first"):
                undecided.add(name)
                best = "month_first"
            styles[name] = best
        decided = [style for name, style in styles.items() if name not in undecided and style.endswith("_first")]
        for name in undecided if decided else ():
            styles[name] = decided[0]
        chosen = {name: style for name, style in self._setup.instants.items() if name in styles}
        return {**styles, **chosen}, set() if decided else undecided - chosen.keys()

    # -- roles

    def _roles(self, instants: Mapping[str, InstantStyle]) -> tuple[dict[str, str], dict[str, str]]:
        """The column of each role, and the dates that stand in where a date is missing."""
        by_name = {column.name: column for column in self._columns}
        roles: dict[str, str] = {}
        fallbacks: dict[str, str] = {}
        for role in ROLES:
            listed = self._candidates(role)
            if role in _INSTANT_ROLES and role not in self._setup.columns:
                listed = self._dated(listed, instants)
                if role == "created_at" and len(listed) > 1 and self._has_gaps(listed[0], instants):
                    fallbacks[role] = listed[1].name
            if role in self._setup.columns:
                column = by_name.get(self._setup.columns[role])
                listed = [column] if column is not None and column.kind in ROLES[role].kinds else []
            if listed:
                roles[role] = listed[0].name
        if "line_items" in roles:  # a table of orders with their items: `price` or `title` are of something else
            for role in ("line_title", "line_sku", "line_vendor", "line_quantity", "line_price"):
                if role not in self._setup.columns:
                    roles.pop(role, None)
        return roles, fallbacks

    def _dated(self, listed: Sequence[Column], instants: Mapping[str, InstantStyle]) -> list[Column]:
        """The columns that hold dates, without those that are nearly constant while another one spreads."""
        spans: dict[str, _Dates] = {}
        for column in listed:
            if column.kind in _TIMES or column.name in instants:
                spans[column.name] = self._dates(column, instants.get(column.name))
        filled = [column for column in listed if column.name in spans and spans[column.name].values]
        spread = any(spans[column.name].days >= MIN_SPREAD_DAYS for column in filled)
        imported = [c for c in filled if spread and spans[c.name].days <= MAX_IMPORT_DAYS]
        most = max((spans[column.name].values for column in filled), default=0)
        sparse = [c for c in filled if c not in imported and spans[c.name].values < most / 2]
        return [c for c in filled if c not in imported and c not in sparse] + sparse or list(listed[:1])

    def _dates(self, column: Column, style: InstantStyle | None) -> _Dates:
        dates = f"SELECT ({self._instant(column, style)})::DATE AS day FROM sampled"
        return _Dates(*self._row(f"SELECT count(day), count(DISTINCT day) FROM ({dates})"))

    def _has_gaps(self, column: Column, instants: Mapping[str, InstantStyle]) -> bool:
        """Whether some rows have no date in a column."""
        at = self._instant(column, instants.get(column.name))
        return bool(self._row(f"SELECT count(*) > count({at}) FROM every_row")[0])

    def _instant(self, column: Column, style: InstantStyle | None) -> str:
        name = self._source.sql(column.name)
        return instant_sql(name, style, self._timezone) if style else name

    def _connections(self, roles: Mapping[str, str]) -> tuple[str, ...]:
        """Columns with JSON in the GraphQL shape."""
        found = []
        for role in _LIST_ROLES:
            if role in roles:
                text = f"try(json_extract_string({self._source.sql(roles[role])}, '$'))"
                kinds = "count(*) FILTER (k = 'OBJECT'), count(*) FILTER (k = 'ARRAY')"
                objects, lists = self._row(f"SELECT {kinds} FROM (SELECT try(json_type({text})) AS k FROM sampled)")
                if objects > lists:
                    found.append(roles[role])
        return tuple(found)

    def _knows_gift_cards(self, roles: Mapping[str, str]) -> bool:
        if "line_items" not in roles:
            return False
        items = f"{self._source.sql(roles['line_items'])}::VARCHAR"
        known = f"bool_or(contains({items}, 'gift_card') OR contains({items}, 'isGiftCard'))"
        return bool(self._row(f"SELECT coalesce({known}, false) FROM sampled")[0])

    # -- arithmetic

    def _with_best_amounts(self, by_name: Reading, styles: Mapping[str, AmountStyle]) -> Reading:
        """The reading, with other columns of amounts than the names suggest if more orders add up with them.

        Without a column of shipping a total need not be the sum of the others.
        """
        shipped = by_name.roles.keys() & {"shipping", "shipping_lines"}
        if not shipped or by_name.adds_up is None or by_name.adds_up > 1 - MIN_GAIN:
            return by_name
        listed = {role: self._alternatives(role, by_name) for role in DECIDED_ROLES}
        sql = self._sql(by_name.model_copy(update={"amounts": dict(styles)}))
        best = best_combination(self._database, "SELECT * FROM sampled", sql, listed)
        changed = {role: column for role, column in best.items() if by_name.roles[role] != column}
        if not changed:
            return by_name
        self._questions = [question for question in self._questions if question != "tax"]
        roles = {**by_name.roles, **changed}
        amounts = {name: style for name, style in styles.items() if name in roles.values()}
        reading = self._arithmetic(by_name.model_copy(update={"roles": roles, "amounts": amounts}))
        passed_over = {role: by_name.roles[role] for role in changed}
        return reading.model_copy(update={"passed_over": passed_over, "adds_up_by_name": by_name.adds_up})

    def _alternatives(self, role: str, reading: Reading) -> list[Column]:
        """The columns that could play a role, the one in use first."""
        if role not in reading.roles:
            return []
        used = reading.roles[role]
        taken = set(reading.roles.values())
        listed = [column for column in self._columns if column.name == used]
        if role in self._setup.columns:
            return listed
        return listed + [column for column in self._candidates(role) if column.name not in taken]

    def _arithmetic(self, reading: Reading) -> Reading:
        """Decides whether prices include tax, and how many orders add up."""
        reading = self._added_up(reading, subtotal_before_discounts=False)
        if self._subtotal_before_discounts(reading):
            reading = self._added_up(reading, subtotal_before_discounts=True)
        sql = self._sql(reading)
        orders = int(self._row("SELECT count(*) FROM sums")[0])
        inside, outside = "abs(total - goods) <= 0.02", "abs(total - goods - tax) <= 0.02"
        included = self._setup.taxes_included
        lines = {"line_price", "line_quantity"} <= sql.roles.keys()
        has_parts = "total" in sql.roles and (lines or sql.roles.keys() & {"subtotal", "line_items", "line_total"})
        if included is None and "taxes_included" not in sql.roles:
            counts = f"count(*), count(*) FILTER ({inside}), count(*) FILTER ({outside})"
            taxed, within, on_top = self._row(f"SELECT {counts} FROM sums WHERE tax <> 0")
            included = bool(has_parts) and within > on_top
            if not has_parts or max(within, on_top) < taxed * AGREEING:
                self._questions += ["tax"] if taxed else []
        share: float | None = None
        if has_parts:
            says = "included" if "taxes_included" in sql.roles else str(bool(included))
            right = f"CASE WHEN {says} THEN {inside} ELSE {outside} END"
            share = self._row(f"SELECT avg(coalesce({right}, false)::INT) FROM sums WHERE total IS NOT NULL")[0]
        return reading.model_copy(
            update={
                "taxes_included": bool(included),
                "questions": tuple(dict.fromkeys(self._questions)),
                "orders": orders,
                "adds_up": share,
            }
        )

    def _added_up(self, reading: Reading, subtotal_before_discounts: bool) -> Reading:
        """Adds up the parts of the sampled orders, in the table `sums`, and says by which reading."""
        reading = reading.model_copy(update={"subtotal_before_discounts": subtotal_before_discounts})
        sql = self._sql(reading)
        rows = grouped("SELECT * FROM sampled", sql, "number")
        parts = MoneySql(sql).parts(f"SELECT *, 0 AS segment, 0 AS order_key FROM ({rows})", "order_key")
        beside = "coalesce(sent, 0) + extras"
        self._database.execute(
            "CREATE OR REPLACE TEMP TABLE sums AS SELECT read_total AS total, read_subtotal AS subtotal, off, "
            f"{beside} AS beside, coalesce(taxed, 0) AS tax, included, "
            "CASE WHEN len(items) > 0 THEN priced + gift_cards END AS lines, "
            f"gross_read + gift_cards - off + {beside} AS goods FROM ({parts}) WHERE why IS NULL"
        )
        return reading

    def _subtotal_before_discounts(self, reading: Reading) -> bool:
        """Whether totals, or else line items, show that the subtotal still holds the discounts."""
        if not {"subtotal", "discounts"} <= reading.roles.keys():
            return False
        conditions = []
        for goods in ("subtotal - off", "subtotal"):
            rest = f"total - ({goods}) - beside"
            conditions.append(f"least(abs({rest}), abs({rest} - tax)) <= 0.02")
        conditions += [f"abs({lines} - subtotal) <= 0.02" for lines in ("lines", "lines - off")]
        counts = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
        before, after, lines_before, lines_after = self._row(f"SELECT {counts} FROM sums WHERE off <> 0")
        return bool(before > after if before != after else lines_before > lines_after)

    # -- queries

    def _sql(self, reading: Reading) -> RoleSql:
        return RoleSql(self._columns, reading, "UTC", self._timezone, self._timezone)

    def _candidates(self, role: str) -> list[Column]:
        return candidates(self._columns, role)

    def _row(self, sql: str) -> tuple[Any, ...]:
        row = self._database.execute(sql).fetchone()
        assert row is not None
        return row

    def _one(self, terms: Mapping[str, str]) -> dict[str, int]:
        """The results of some aggregates, by name."""
        row = self._row(f"SELECT {', '.join(terms.values())} FROM sampled")
        return dict(zip(terms, row, strict=True))


class _Dates(NamedTuple):
    """How many dates a column holds, and on how many days."""

    values: int
    days: int


def _rows(snapshot: Snapshot, sampled: bool) -> str:
    """SQL of all rows, or of whole segments spread over the table."""
    source = SourceColumns(snapshot.columns)
    segments = [
        (s, path) for s, path in zip(snapshot.manifest.segments, snapshot.paths(PARQUET), strict=True) if s.rows
    ]
    step = max(1, -(-sum(segment.rows for segment, _ in segments) // SAMPLED_ROWS)) if sampled else 1
    return source.rows(parquet(*(path for _, path in segments[::step]))) if segments else ""
