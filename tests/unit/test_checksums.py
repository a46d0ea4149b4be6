"""Key ranges become SQL that means them exactly."""

from __future__ import annotations

import pytest

from cache.schema import Column
from scraper.table.checksums import WHOLE, Range, condition
from scraper.table.table import Table

TABLE = Table("shop", "t", (Column(name="id", type="bigint(20)", kind="integer", nullable=False, key=1),), "10.11")


@pytest.mark.parametrize(
    ("ranges", "where"),
    [
        ([WHOLE], ""),
        ([Range(None, 5), Range(5, None)], ""),
        ([Range(1, 5)], " WHERE (t.`id` >= 1 AND t.`id` < 5)"),
        ([Range(1, 5), Range(5, 9)], " WHERE (t.`id` >= 1 AND t.`id` < 9)"),
        ([Range(None, 5), Range(9, None)], " WHERE (t.`id` < 5) OR (t.`id` >= 9)"),
        ([Range(-3, -1), Range(0, None)], " WHERE (t.`id` >= -3 AND t.`id` < -1) OR (t.`id` >= 0)"),
    ],
)
def test_neighbours_become_one_condition(ranges: list[Range], where: str) -> None:
    assert condition(TABLE, ranges) == where
