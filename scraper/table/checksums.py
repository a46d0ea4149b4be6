"""Key ranges, and the checksums that the server computes over them.

A range is low <= key < high, None where it is open; a table without an integer key is the one range (None, None).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scraper.client.exporter import Exporter
from scraper.errors import AnswerCut
from scraper.table.table import Table


class Range(NamedTuple):
    low: int | None
    high: int | None


class RangeChecksum(NamedTuple):
    """Number of rows, and the exact sum of their checksums."""

    rows: int
    checksum: int


WHOLE = Range(None, None)


def condition(table: Table, ranges: Sequence[Range]) -> str:
    """A WHERE clause (or nothing) that holds for the keys of these ranges. Neighbours become one condition."""
    merged: list[Range] = []
    for part in ranges:
        if merged and merged[-1].high is not None and merged[-1].high == part.low:
            merged[-1] = Range(merged[-1].low, part.high)
        else:
            merged.append(part)
    if WHOLE in merged:
        return ""
    alternatives = []
    for low, high in merged:
        bounds = [f"{table.sql_key} >= {low}"] if low is not None else []
        bounds += [f"{table.sql_key} < {high}"] if high is not None else []
        alternatives.append(f"({' AND '.join(bounds)})")
    return " WHERE " + " OR ".join(alternatives)


def server_checksums(
    export: Exporter, table: Table, ranges: Sequence[Range], held: Sequence[RangeChecksum] | None = None
) -> list[RangeChecksum]:
    """The server's totals of the ranges (in key order, not overlapping), asked in one statement.

    An answer can be cut on any row boundary, so it carries a total row that must be there and add up. Where a firewall
    lets no grouped statement through, ranges are asked together, and by halves where they differ from what is `held`.
    Raises AnswerCut, and what `Exporter.select` raises.
    """
    where = condition(table, ranges)
    if table.range_key is None or len(ranges) == 1:
        return [_total(export, table, where)]
    if not table.dialect.grouped:
        if held is not None and _total(export, table, where) == _sum(held):
            return list(held)
        middle = len(ranges) // 2
        halves = (slice(0, middle), slice(middle, None))
        return [total for half in halves
                for total in server_checksums(export, table, ranges[half], held[half] if held else None)]  # fmt: skip
    bounds = sorted({bound for part in ranges for bound in part if bound is not None})
    # GROUP BY a position: a name could be a column's. ROLLUP over the groups alone spares a sort of all rows.
    groups_sql = (
        f"SELECT INTERVAL({table.sql_key}, {', '.join(map(str, bounds))}) AS c0, COUNT(*) AS c1, "
        f"{table.server_sum} AS c2 FROM {table.sql_name} AS t{where} GROUP BY 1"
    )
    found = export.select(
        f"SELECT c0, SUM(c1) AS c1, SUM(c2) AS c2 FROM ({groups_sql}) AS d GROUP BY c0 WITH ROLLUP", 3
    )
    rows = [tuple(row.values()) for row in found.to_pylist()]
    if not rows:  # no row has a total either: an empty table, or a cut answer
        if _total(export, table, where) != RangeChecksum(0, 0):
            raise AnswerCut("The checksums of the table arrived without a row.")
        return [RangeChecksum(0, 0)] * len(ranges)
    groups = {
        int(place): RangeChecksum(int(count), int(total)) for place, count, total in rows[:-1] if place is not None
    }
    last = rows[-1]
    adds_up = _sum(groups.values()) == RangeChecksum(int(last[1]), int(last[2]))
    if last[0] is not None or len(groups) != len(rows) - 1 or not adds_up:
        raise AnswerCut("The checksums of the table arrived incomplete.")
    # INTERVAL gives the number of bounds that are not above the key.
    place_of = {bound: i for i, bound in enumerate(bounds, start=1)}
    places = [0 if low is None else place_of[low] for low, _ in ranges]
    if not set(groups) <= set(places):
        raise AnswerCut("The checksums of the table hold a range that was not asked for.")
    return [groups.get(place, RangeChecksum(0, 0)) for place in places]


def _sum(totals: Iterable[RangeChecksum]) -> RangeChecksum:
    rows, checksums = zip(*totals, strict=True)
    return RangeChecksum(sum(rows), sum(checksums))


def _total(export: Exporter, table: Table, where: str) -> RangeChecksum:
    """The total of one condition: a bare aggregate, which is always exactly one row."""
    found = export.select(
        f"SELECT COUNT(*) AS c0, COALESCE({table.server_sum}, 0) AS c1 FROM {table.sql_name} AS t{where}",
        2,
    ).to_pylist()
    if len(found) != 1:
        raise AnswerCut("The checksum of a range arrived without its row.")
    return RangeChecksum(int(found[0]["c0"]), int(found[0]["c1"]))
