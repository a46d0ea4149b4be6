"""The checksums that the server computes over key ranges.

The checksum of a row is defined in `scraper/table/table.py`, the reasons in docs/architecture.md ("Why the copy can be
trusted"): the first 64 bits of a digest of the row's framed text. That of a range is the exact sum over its rows,
beside their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scraper.client.exporter import Exporter
from scraper.client.response import integer
from scraper.errors import AnswerCut
from scraper.table.key_ranges import WHOLE, Range, merge_neighbours
from scraper.table.table import Table


class RangeChecksum(NamedTuple):
    """The number of rows in a range, and the exact sum of their 64-bit checksums."""

    rows: int
    checksum: int


NO_ROWS = RangeChecksum(0, 0)


def range_condition(table: Table, ranges: Sequence[Range]) -> str:
    """Returns the WHERE clause that selects the keys of ranges in key order; empty for the whole table."""
    merged = merge_neighbours(ranges)
    if WHOLE in merged:
        return ""
    alternatives = []
    for low, high in merged:
        bounds = [f"{table.sql_key} >= {low}"] if low is not None else []
        bounds += [f"{table.sql_key} < {high}"] if high is not None else []
        alternatives.append(f"({' AND '.join(bounds)})")
    return " WHERE " + " OR ".join(alternatives)


def server_checksums(
    exporter: Exporter, table: Table, ranges: Sequence[Range], expected: Sequence[RangeChecksum] | None = None
) -> list[RangeChecksum]:
    """Returns the server's checksum of each range.

    One statement asks for all of them. Where a firewall refuses grouped statements, one statement asks for the sum over
    the ranges; where it differs from the expected sum, each half is asked for in the same way.

    Args:
        exporter: Sends the statements.
        table: The table and its dialect.
        ranges: At least one; in key order, not overlapping.
        expected: The checksums of the copy, which save statements where they agree.

    Raises:
        AnswerCut: The answer is incomplete: it carries a total row, which must be there and add up.
        ScrapeError: What `Exporter.select` raises.
    """
    if table.range_key is None or len(ranges) == 1:
        return [_sum_of_condition(exporter, table, range_condition(table, ranges))]
    if table.dialect.grouped:
        return _grouped(exporter, table, ranges)
    if expected is not None and _sum_of_condition(exporter, table, range_condition(table, ranges)) == _sum(expected):
        return list(expected)
    middle = len(ranges) // 2
    left, right = (expected[:middle], expected[middle:]) if expected is not None else (None, None)
    return [
        *server_checksums(exporter, table, ranges[:middle], left),
        *server_checksums(exporter, table, ranges[middle:], right),
    ]


def _grouped(exporter: Exporter, table: Table, ranges: Sequence[Range]) -> list[RangeChecksum]:
    """The checksums of several ranges by one statement."""
    bounds = sorted({bound for part in ranges for bound in part if bound is not None})
    where = range_condition(table, ranges)
    # GROUP BY a position: a name could be a column's. ROLLUP over the groups alone saves a sort of all rows.
    groups_sql = (
        f"SELECT INTERVAL({table.sql_key}, {', '.join(map(str, bounds))}) AS c0, COUNT(*) AS c1, "
        f"{table.server_sum} AS c2 FROM {table.sql_name} AS t{where} GROUP BY 1"
    )
    answer = exporter.select(
        f"SELECT c0, SUM(c1) AS c1, SUM(c2) AS c2 FROM ({groups_sql}) AS d GROUP BY c0 WITH ROLLUP",
        3,
        len(bounds) + 2,
    )
    rows = [tuple(row.values()) for row in answer.to_pylist()]
    if not rows:  # no rows, no total row: the table is empty, or the answer was cut
        if _sum_of_condition(exporter, table, where) != NO_ROWS:
            raise AnswerCut("The checksums of the table arrived without a row.")
        return [NO_ROWS] * len(ranges)
    *groups, (total_place, total_rows, total_sum) = rows
    by_place = {
        integer(place): RangeChecksum(integer(count), integer(total))
        for place, count, total in groups
        if place is not None
    }
    total = RangeChecksum(integer(total_rows), integer(total_sum))
    if total_place is not None or len(by_place) != len(groups) or _sum(by_place.values()) != total:
        raise AnswerCut("The checksums of the table arrived incomplete.")
    # INTERVAL gives the number of bounds that are not above the key.
    place_of = {bound: i for i, bound in enumerate(bounds, start=1)}
    places = [0 if low is None else place_of[low] for low, _ in ranges]
    if not set(by_place) <= set(places):
        raise AnswerCut("The checksums of the table hold a range that was not requested.")
    return [by_place.get(place, NO_ROWS) for place in places]


def _sum(checksums: Iterable[RangeChecksum]) -> RangeChecksum:
    rows = total = 0
    for checksum in checksums:
        rows += checksum.rows
        total += checksum.checksum
    return RangeChecksum(rows, total)


def _sum_of_condition(exporter: Exporter, table: Table, where: str) -> RangeChecksum:
    """The checksum of all rows that meet a condition: a bare aggregate, which is always exactly one row."""
    answer = exporter.select(
        f"SELECT COUNT(*) AS c0, COALESCE({table.server_sum}, 0) AS c1 FROM {table.sql_name} AS t{where}", 2, 1
    ).to_pylist()
    if len(answer) != 1:
        raise AnswerCut("The checksum of a range arrived without its row.")
    return RangeChecksum(integer(answer[0]["c0"]), integer(answer[0]["c1"]))
