"""Caches that earlier versions wrote, and the table that they are copies of.

`tests/caches/NAME` was written by two runs of `python -m scraper sync` of an earlier commit: the first copied
`rows_before`, the second `rows`.

format-1                        394754c, the last commit before caches had a format number; with an API key and a
                                set-up
format-1-without-column-arrays  the commit before 443c459, which added column arrays to segments
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

CACHES = Path(__file__).parent / "caches"
NAMES = ("format-1", "format-1-without-column-arrays")
TABLE = "older_orders"
DEFINITION = """id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(32) NOT NULL, email VARCHAR(255),
    created_at DATETIME NOT NULL, total_price DECIMAL(12,2) NOT NULL, line_items LONGTEXT NOT NULL,
    test TINYINT(1) NOT NULL"""
SHOP_ZONE = "Europe/Berlin"  # in the set-up
KEY = "pYPw2ZnJ6FpYfCGfre7HUHD_39w7xSBUVrIqyvt4ZpI"  # of this cache alone

Row = tuple[int, str, str | None, str, str, str, int]


def _row(i: int, price: str = "") -> Row:
    items = json.dumps([{"title": "Mug", "quantity": i % 3 + 1}])
    mail = None if i % 4 == 0 else f"customer{i}@example.com"
    return 1000 + i, f"#{1000 + i}", mail, f"2025-12-{i % 28 + 1:02} 10:25:00", price or f"{598 + i}.94", items, i % 2


def rows_before() -> list[Row]:
    """The rows of generation 1."""
    return [_row(i) for i in range(40)]


def rows() -> list[Row]:
    """The rows of generation 2: one was changed, one deleted, one inserted."""
    return [_row(i, "1.00" if i == 5 else "") for i in range(41) if i != 7]


def as_json(row: Row) -> dict[str, Any]:
    """A row as the contract has it."""
    id, name, mail, created_at, price, items, test = row
    return {
        "id": id,
        "name": name,
        "email": mail,
        "created_at": created_at.replace(" ", "T") + "Z",
        "total_price": price,
        "line_items": json.loads(items),
        "test": bool(test),
    }


def restore(name: str, folder: Path) -> Path:
    """Copies a cache to where a version that knew no DATA_DIR kept it, `folder/cache`; returns that."""
    root = folder / "cache"
    shutil.copytree(CACHES / name, root)
    return root
