"""phpMyAdmin ends an export at its `ExecTimeLimit`: the sync goes on where it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from copies import Copies
from lab_fixtures import settings_of

from lab import Meddler
from scraper.client.session import Session
from scraper.login.login import log_in


@contextmanager
def limited(copies: Copies, seconds: int) -> Iterator[Session]:
    with copies.lab.door("cookie", config={"ExecTimeLimit": seconds}) as door:
        yield log_in(settings_of(copies.lab, phpmyadmin_url=door.url))


@pytest.mark.parametrize("rows", [600_000, pytest.param(2_000_000, marks=pytest.mark.soak)])
def test_a_sync_goes_on_after_pages_that_exec_time_limit_cuts(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 8_000_000)  # so many rows keep PHP busy for seconds
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_BYTES", 1 << 30)
    table = copies.table("id INT PRIMARY KEY, a INT")
    copies.execute(f"INSERT INTO {table} SELECT seq, 1 FROM seq_1_to_{rows}")
    with limited(copies, 1) as session, Meddler(session.export_url) as meddler:
        run = copies.sync(table, replace(session, export_url=meddler.url))
    assert (run.error, run.rows) == (None, rows)
    pages = [request.sent for request in meddler.requests if "LIMIT" in request.statement]
    assert len(pages) > 1  # the first would have held them all
    assert copies.sync(table).outcome == "unchanged"
