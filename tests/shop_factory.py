"""A whole shop for tests: the lab's columns and orders, as the scraper reads them."""

from __future__ import annotations

from datetime import UTC, datetime

from cache.schema import Column, Kind
from lab.data.shop import history
from lab.data.table import COLUMNS

JSON = ("refunds", "line_items", "destination")


def _column(name: str, declared: str) -> Column:
    type, _, _ = declared.partition(" NOT NULL" if declared.endswith("NOT NULL") else " NULL")
    kinds: dict[str, Kind] = {
        "BIGINT": "unsigned",
        "DECIMAL": "decimal",
        "DATETIME": "datetime",
        "TINYINT": "boolean",
    }
    kind: Kind = "json" if name in JSON else kinds.get(type.split("(")[0].split()[0], "text")
    digits, decimals = (12, 2) if kind == "decimal" else (0, 0)
    nullable = not declared.endswith("NOT NULL")
    return Column(
        name=name,
        type=type.lower(),
        kind=kind,
        nullable=nullable,
        key=int(name == "id"),
        digits=digits,
        decimals=decimals,
    )


SHOP_COLUMNS = tuple(_column(name, declared) for name, declared in COLUMNS.items())


def shop(rows: int, until: datetime | None = None, seed: int = 7) -> list[dict[str, str | None]]:
    """Orders of the last three years up to `until` (default: now), in key order."""
    until = until or datetime.now(UTC)
    found = [row for batch in history(rows, seed, until) for row in batch]
    return [dict(zip(COLUMNS, (None if v is None else str(v) for v in row), strict=True)) for row in found]
