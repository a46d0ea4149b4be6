"""A cache of an earlier version is served by the real API, and renewed by the next sync."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import older_caches
from cache_factory import cache_in
from copies import Copies
from sidecar_process import KEY, Sidecar, sidecar

from cache.storage.records import Run
from cache.storage.snapshot import COLUMNS
from lab import Lab
from scraper.client.session import Session
from scraper.settings import ScraperSettings


@contextmanager
def upgraded(
    name: str, lab: Lab, session: Session, settings: ScraperSettings, folder: Path
) -> Iterator[tuple[Copies, Sidecar]]:
    """An older cache with its table in the lab, and the API over it."""
    older_caches.restore(name, folder)
    with sidecar(folder) as api:
        copies = Copies(lab, cache_in(folder), session, settings)
        copies.table(older_caches.DEFINITION, older_caches.rows(), name=older_caches.TABLE)
        try:
            yield copies, api
        finally:
            copies.cache.close()
            copies.close()


def rows(api: Sidecar, key: str = KEY) -> httpx2.Response:
    return api.client.get("/fetch-data", headers={"X-API-Key": key})


def renew(copies: Copies) -> Run:
    return copies.sync(older_caches.TABLE, source_timezone="UTC")


def test_it_is_served_throughout_and_renewed(
    lab: Lab, session: Session, settings: ScraperSettings, tmp_path: Path
) -> None:
    answers: list[httpx2.Response] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.01):
            answers.append(rows(api, older_caches.KEY))

    with upgraded("format-1", lab, session, settings, tmp_path) as (copies, api):
        assert rows(api).json()["data"] == [older_caches.as_json(row) for row in older_caches.rows()]
        reader = threading.Thread(target=ask)
        reader.start()
        try:
            assert renew(copies).outcome == "unchanged"  # the checksums of its segments are still good
            copies.execute(f"UPDATE {older_caches.TABLE} SET name = 'new' WHERE id = 1000")
            assert renew(copies).outcome == "published"
        finally:
            ended.set()
            reader.join()
        assert {answer.status_code for answer in answers} == {200}
        assert rows(api).json()["data"][0]["name"] == "new"
        assert rows(api).json()["generation"] == 3


def test_a_cache_without_column_arrays_is_repaired_by_a_sync(
    lab: Lab, session: Session, settings: ScraperSettings, tmp_path: Path
) -> None:
    with upgraded("format-1-without-column-arrays", lab, session, settings, tmp_path) as (copies, api):
        assert (rows(api).status_code, rows(api).json()["code"]) == (503, "range_damaged")
        assert renew(copies).outcome == "published"
        assert rows(api).json()["data"] == [older_caches.as_json(row) for row in older_caches.rows()]
        assert api.client.get("/fetch-data?total_price__gt=600&sort=-id").json()["count"] == 37
        assert renew(copies).outcome == "unchanged"


def test_files_that_are_gone_are_written_again_by_a_sync(
    lab: Lab, session: Session, settings: ScraperSettings, tmp_path: Path
) -> None:
    with upgraded("format-1", lab, session, settings, tmp_path) as (copies, api):
        for path in (tmp_path / "cache/segments").glob(f"*/{COLUMNS}"):
            path.unlink()
        assert (rows(api).status_code, rows(api).json()["code"]) == (503, "range_damaged")
        run = renew(copies)
        assert (run.outcome, run.generation) == ("published", 3)
        assert rows(api).json()["count"] == 40
