"""A byte that flips on disk, from the table to the API: never served as verified, named, and repaired by a sync."""

from __future__ import annotations

from pathlib import Path

import pytest
from copies import Copies
from sidecar_process import sidecar

from cache.storage.snapshot import JSON
from lab import Lab
from scraper import doctor
from scraper.doctor import Finding

ROWS = [(i, f"{i}.00") for i in range(1, 41)]


def finding() -> Finding:
    """What `doctor` says of the cache."""
    return next(found for found in doctor.examine() if found.id == "cache")


@pytest.mark.usefixtures("small_pages")
def test_a_flipped_byte_is_never_verified_and_the_next_sync_repairs_it(
    copies: Copies, lab: Lab, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (lab.settings() | {"CACHE_URL": f"file:{here / 'cache'}"}).items():
        monkeypatch.setenv(name, value)
    table = copies.table("id INT PRIMARY KEY, price DECIMAL(9,2)", ROWS)
    copies.sync(table)
    path = next(path for path in copies.cache.snapshots.open().paths(JSON) if b'"25.00"' in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b'"25.00"', b'"95.00"'))

    with sidecar(here) as api:
        assert api.client.get("/fetch-data").json()["code"] == "range_damaged"
        assert api.client.get("/fetch-data?id=25").json()["code"] == "range_damaged"
        others = api.client.get("/fetch-data?id__lte=5").json()
        assert (others["count"], others["verified"]) == (5, False)
        assert not finding().fine
        assert "has a damaged rows.json" in finding().what

        run = copies.sync(table)

        assert (run.error, run.exported_ranges, run.changes and run.changes.total) == (None, 1, 0)
        body = api.client.get("/fetch-data").json()
        assert (body["verified"], [row["price"] for row in body["data"]]) == (True, [price for _, price in ROWS])
    assert copies.differences(table) == []
    assert finding().fine
