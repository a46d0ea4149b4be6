"""Finds segments that an earlier version encoded by other rules, so that the next sync exports their rows again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from cache.schema import Column
from cache.storage.row_encoding import ENCODING, FIRST_INSTANT, LAST_INSTANT
from cache.storage.snapshot import PARQUET, Segment


def encoded_otherwise(segment: Segment, folder: Path, columns: Sequence[Column], timezone: str) -> bool:
    """Returns whether this version would encode cells of a segment in another way.

    Encoding 1 kept DATETIME values that are outside the years 1 to 9999 in UTC, and empty values of JSON columns.

    Args:
        segment: The segment.
        folder: The folder of its files.
        columns: The columns, as the manifest records them.
        timezone: The time zone of DATETIME values, an IANA name.
    """
    if segment.encoding >= ENCODING:
        return False
    if any(column.kind == "json" and column.name in segment.misfits for column in columns):
        return True  # empty values were counted as misfits
    return timezone != "UTC" and _has_other_years(folder, columns)


def _has_other_years(folder: Path, columns: Sequence[Column]) -> bool:
    """Returns whether an instant is outside the years 1 to 9999, by the statistics of the Parquet file."""
    places = [i for i, column in enumerate(columns) if column.kind == "datetime"]
    metadata = pq.read_metadata(folder / PARQUET)
    for group in range(metadata.num_row_groups):
        for place in places:
            statistics = metadata.row_group(group).column(place).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            if statistics.min_raw < FIRST_INSTANT or statistics.max_raw > LAST_INSTANT:
                return True
    return False
