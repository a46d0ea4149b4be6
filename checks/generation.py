"""Checks a generation before it is published.

A first load checks every order. A refresh takes the result of the generation before, takes the changed orders off it,
and adds them as they are now.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Mapping
from contextlib import closing
from tempfile import gettempdir
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from cache.calendar.daily_volume import judged_days, unusual_days
from cache.check_report import MAX_EXAMPLES, CheckReport, CheckResult
from cache.errors import ChangesGone
from cache.interpretation.check_sql import DIFFERENCES, CheckSql, failing_across_orders
from cache.interpretation.chosen_reading import reading_in_use, stored_reading
from cache.interpretation.order_rows import OrderRows
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.source_rows import SourceColumns, parquet
from cache.machine.memory import database_limit
from cache.reading import Reading
from cache.settings import Settings
from cache.storage.change_log import ChangedRows, row_numbers
from cache.storage.documents import SETUP
from cache.storage.snapshot import PARQUET, Snapshot
from cache.storage.store import Cache
from checks.changed_rows import rows_by_number
from checks.tally import Tally

log = logging.getLogger(__name__)

VERSION = 1  # of the rules: results of other rules are not continued
MAX_CHANGED = 20_000  # rows; beyond, all orders are checked
MEMORY_MB = 160
_NEIGHBOURS = 10  # order numbers on both sides of a changed order, whose dates its own is compared with

_OLD, _NEW = 0, 1  # stand for segments, where changed rows are checked
_COLUMNS = ("key", "segment", "currency", "created_at", "number", "sequence", "checked", "failed", *DIFFERENCES)
_AMOUNTS = ("charged", "gross", "discounts")


def check_generation(
    cache: Cache, settings: Settings, before: Snapshot | None, snapshot: Snapshot, changes: ChangedRows
) -> CheckReport | None:
    """Checks the orders of a generation.

    Args:
        cache: The cache that it will be published in.
        settings: How figures are read: time zone and cancelled orders.
        before: The generation before; None for a first load.
        snapshot: The generation.
        changes: The rows that differ.

    Returns:
        The result; None where the checks failed, which is logged: a generation is published all the same.
    """
    started = time.perf_counter()
    try:
        with closing(_database()) as database:
            checker = _Checker(database, cache, settings, snapshot)
            report = checker.report(before, changes)
        which, seconds = "changed" if checker.continued else "all", time.perf_counter() - started
        log.info("checks of generation %s: %s orders, %.2f s", snapshot.generation, which, seconds)
        return report
    except Exception:
        log.exception("The checks of generation %s failed. It is published without them.", snapshot.generation)
        return None


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        config={"threads": 2, "memory_limit": database_limit(MEMORY_MB), "temp_directory": gettempdir()}
    )
    database.execute("SET TimeZone = 'UTC'")
    return database


class _Checker:
    def __init__(
        self, database: duckdb.DuckDBPyConnection, cache: Cache, settings: Settings, snapshot: Snapshot
    ) -> None:
        self.continued = False  # whether only the changed orders were checked
        self._database = database
        self._cache = cache
        self._snapshot = snapshot
        self._cancelled = settings.cancelled_orders
        self._setup = cache.documents.read(SETUP)
        self._timezone = self._setup.timezone or settings.shop_timezone
        self._synced_timezone = snapshot.manifest.source.timezone

    def report(self, before: Snapshot | None, changes: ChangedRows) -> CheckReport:
        earlier = self._cache.snapshots.checks(before.generation) if before else None
        reading = stored_reading(self._cache, self._snapshot, self._setup)
        if before and earlier and reading and earlier.read_by == self._read_by(reading):
            tally = self._continued(reading, earlier, before, changes)
            if tally:
                self.continued = True
                return self._finished(tally, earlier.confirmed, earlier.questions, reading)
        reading = reading_in_use(self._cache, self._snapshot, self._setup)
        return self._finished(self._whole(reading), reading.confirmed, len(reading.questions), reading)

    def _finished(self, tally: Tally, confirmed: bool, questions: int, reading: Reading) -> CheckReport:
        checks = tally.results()
        days = {day: count for day, count in tally.days.items() if count}
        until = self._snapshot.manifest.as_of.astimezone(ZoneInfo(self._timezone)).date()
        judged, unusual = judged_days(days, until), unusual_days(days, until)
        if judged:
            examples = tuple(each.day.isoformat() for each in unusual[-MAX_EXAMPLES:])
            agree = len(judged) - len(unusual)
            checks["volume"] = CheckResult(checked=len(judged), agree=agree, examples=examples)
        return CheckReport(
            orders=tally.orders,
            agree=tally.agree,
            currencies={code: count for code, count in tally.currencies.items() if count},
            days=dict(sorted(days.items())),
            confirmed=confirmed,
            questions=questions,
            checks=checks,
            read_by=self._read_by(reading),
        )

    def _read_by(self, reading: Reading) -> str:
        decided = reading.decisions()
        columns = [column.model_dump_json() for column in self._snapshot.columns]
        zones = (self._timezone, self._setup.source_timezone, self._synced_timezone)
        text = repr((VERSION, decided.model_dump_json(), columns, zones, self._cancelled))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    # -- all orders

    def _whole(self, reading: Reading) -> Tally:
        """Checks every order."""
        roles = self._roles(reading)
        rows = OrderRows(self._snapshot.manifest.key, roles)
        files = self._snapshot.paths(PARQUET)
        # Two threads read one relation, and one thread several. Without key columns, a key is a place in its file.
        together = bool(rows.key_columns and files)
        relations = {0: parquet(*files)} if together else dict(enumerate(map(parquet, files)))
        # One thread fills a table whose rows keep their order. With key columns, no count depends on it.
        self._database.execute(f"SET preserve_insertion_order = {str(not together).lower()}")
        self._create("checked", rows, relations, roles)
        across = failing_across_orders("checked", self._snapshot.manifest.as_of, roles.backdated)
        # Two steps: with no such order, as in most tables, the second one costs nothing.
        self._database.execute(f"CREATE TABLE across AS {across}")
        self._database.execute("UPDATE checked SET failed = failed | a.bits FROM across AS a WHERE a.key = checked.key")
        return Tally.of_table(self._database, "checked")

    def _roles(self, reading: Reading) -> RoleSql:
        source_timezone = self._setup.source_timezone or self._synced_timezone
        return RoleSql(
            self._snapshot.columns, reading, self._timezone, source_timezone, self._synced_timezone, self._cancelled
        )

    def _select(self, rows: OrderRows, relations: Mapping[int, str], roles: RoleSql) -> str:
        orders = f"SELECT * FROM ({rows.parts(relations, texts=False)}) WHERE why IS NULL"
        return (
            f"SELECT {', '.join((*_COLUMNS, *_AMOUNTS))}, local::DATE AS day FROM ({CheckSql(roles).checked(orders)})"
        )

    def _create(self, table: str, rows: OrderRows, relations: Mapping[int, str], roles: RoleSql) -> None:
        self._database.execute(f"CREATE TABLE {table} AS {self._select(rows, relations, roles)}")

    # -- changed orders

    def _continued(
        self, reading: Reading, earlier: CheckReport, before: Snapshot, changes: ChangedRows
    ) -> Tally | None:
        """Checks the changed orders alone; None where this is not possible."""
        roles = self._roles(reading)
        rows = OrderRows(self._snapshot.manifest.key, roles)
        clashes = any(earlier.checks[name].failed for name in ("dates", "identity") if name in earlier.checks)
        if changes.gap or not rows.movable or clashes or changes.counts.total > MAX_CHANGED:
            return None
        records = changes.records
        try:
            old = rows_by_number(before, row_numbers(before, records["old"][records["existed"]]))
            new = rows_by_number(self._snapshot, row_numbers(self._snapshot, records["new"][records["exists"]]))
        except ChangesGone:
            return None
        self._database.register("old_rows", old)
        self._database.register("new_rows", new)
        self._create("changed", rows, {_OLD: "old_rows", _NEW: "new_rows"}, roles)
        if self._clashes(new, roles):
            return None
        key = rows.key_columns[0]
        changed = {str(value) for table in (old, new) for value in table.column(key).to_pylist()}
        tally = Tally.of_report(earlier)
        then, now = (
            Tally.of_table(self._database, f"(SELECT * FROM changed WHERE segment = {side})") for side in (_OLD, _NEW)
        )
        tally.replace(then, now, changed)
        return tally

    def _clashes(self, changed: pa.Table, roles: RoleSql) -> bool:
        """Whether a changed order fails beside others: those with its number and with the numbers around it.

        Args:
            changed: The changed rows as they are now.
            roles: SQL of the roles.
        """
        if "name" not in roles.roles or not len(changed):
            return False
        source = SourceColumns(self._snapshot.columns)
        names = changed.column(roles.roles["name"].name).to_pylist()
        near = {str(name): None for name in names if name is not None}
        near.update(dict.fromkeys(other for name in list(near) for other in _neighbours(name)))
        self._database.register("near", pa.table({"name": pa.array(list(near), pa.string())}))
        files = source.rows(parquet(*self._snapshot.paths(PARQUET)))  # one relation: two threads read it
        key = source.sql(self._snapshot.manifest.key[0])
        self._database.execute(
            f"CREATE TABLE around AS SELECT {key} AS key, {roles.number()} AS number, {roles.sequence()} AS sequence, "
            f"{roles.instant('created_at')} AS created_at FROM ({files}) "
            f"WHERE {roles.column('name')}::VARCHAR IN (SELECT name FROM near) AND {roles.left_out()} IS NULL"
        )
        others = failing_across_orders("around", self._snapshot.manifest.as_of, roles.backdated)
        sql = f"SELECT count(*) FROM ({others}) WHERE key IN (SELECT key FROM changed WHERE segment = {_NEW})"
        return bool(self._database.execute(sql).fetchall()[0][0])


def _neighbours(name: str) -> list[str]:
    """The order numbers around one: those of `#1001` are `#991` to `#1011`."""
    match = re.search(r"(\d{1,12})(\D*)$", name)
    if not match:
        return []
    digits, end = match.groups()
    near = range(max(0, int(digits) - _NEIGHBOURS), int(digits) + _NEIGHBOURS + 1)
    return [f"{name[: match.start()]}{number:0{len(digits)}}{end}" for number in near]
