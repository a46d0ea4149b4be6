"""phpMyAdmin ends an export at its `ExecTimeLimit`: the sync goes on where it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from copies import Copies
from lab_fixtures import settings_of

from lab import FaultProxy
from scraper.client.session import Session
from scraper.login.login import log_in

ROWS = 2_000_000


@contextmanager
def limited(copies: Copies, seconds: int) -> Iterator[Session]:
    with copies.lab.login_fixture("cookie", config={"ExecTimeLimit": seconds}) as fixture:
        yield log_in(settings_of(copies.lab, phpmyadmin_url=fixture.url))


@pytest.mark.soak
def test_a_sync_goes_on_after_pages_that_exec_time_limit_cuts(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 8_000_000)  # so many rows keep PHP busy for seconds
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_BYTES", 1 << 30)
    table = copies.table("id INT PRIMARY KEY, a INT")
    copies.execute(f"INSERT INTO {table} SELECT seq, 1 FROM seq_1_to_{ROWS}")
    with limited(copies, 1) as session, FaultProxy(session.export_url) as proxy:
        run = copies.sync(table, replace(session, export_url=proxy.url))
    assert (run.error, run.rows) == (None, ROWS)
    pages = [request.sent for request in proxy.requests if "LIMIT" in request.statement]
    assert len(pages) > 1  # the first would have held them all
    assert copies.sync(table).outcome == "unchanged"
