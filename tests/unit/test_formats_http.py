"""Files of the API are read over HTTP as people read them: by address, with a key or a signature."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import httpx
import openpyxl
import pandas as pd
import polars as pl
import pytest
from cache_factory import order, publish
from fsspec.implementations.http import HTTPFileSystem
from sidecar_process import KEY, Sidecar, sidecar
from waiting import wait_for

from cache.access.api_keys import ApiKey, digest
from cache.storage.documents import API_KEYS
from cache.storage.records import now

pytestmark = pytest.mark.slow

ROWS = 3_000
FIRST = (1000, Decimal("598.94"), datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
NAMES = ["id", "total_price", "created_at"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, ROWS, segments=4)
        yield running


@pytest.fixture
def parquet(api: Sidecar) -> str:
    return f"{api.url}/fetch-data?format=parquet"


@pytest.fixture
def signed(api: Sidecar) -> str:
    answer = api.client.post("/sign", json={"path": "/fetch-data?format=parquet"})
    return f"{api.url}{answer.json()['address']}"


def test_pandas_reads_parquet_with_the_key_in_a_header(parquet: str) -> None:
    frame = pd.read_parquet(parquet, storage_options={"X-API-Key": KEY})
    assert len(frame) == ROWS
    assert tuple(frame.loc[0, NAMES]) == FIRST


def test_polars_reads_parts_of_parquet_at_a_signed_address(signed: str) -> None:
    assert pl.scan_parquet(signed).select(NAMES).head(1).collect().row(0) == FIRST
    assert len(pl.read_parquet(signed)) == ROWS


class Web(HTTPFileSystem):  # type: ignore[misc]
    """What DuckDB also asks of a file system."""

    def modified(self, path: str) -> datetime:
        return datetime.now(UTC)


def test_duckdb_reads_parts_of_parquet_with_the_key_in_a_header(parquet: str) -> None:
    """Its extension for HTTP is downloaded at run time, so fsspec asks in its place: for the size, then for parts."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register_filesystem(Web(headers={"X-API-Key": KEY}))
        found = database.execute(f"SELECT {', '.join(NAMES)}, count(*) OVER () FROM read_parquet(?) LIMIT 1", [parquet])
        assert found.fetchall() == [(*FIRST, ROWS)]


def test_a_spreadsheet_and_a_csv_file_hold_every_row(api: Sidecar) -> None:
    book = openpyxl.load_workbook(io.BytesIO(api.client.get("/fetch-data?format=xlsx").content), read_only=True)
    assert sum(1 for _ in book.active.rows) == 1 + ROWS
    text = api.client.get("/fetch-data?format=csv").text
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 1 + ROWS


def test_curl_unpacks_the_whole_body(api: Sidecar) -> None:
    key = ("-H", f"X-API-Key: {KEY}")
    plain, unpacked = (
        subprocess.run(["curl", "-sS", *key, *more, f"{api.url}/fetch-data"], check=True, capture_output=True).stdout
        for more in ((), ("--compressed",))
    )
    assert unpacked == plain
    assert len(plain) > 1_000_000


def test_slow_downloads_hinder_no_other_and_leave_no_file_after_a_kill(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    plain = {"Accept-Encoding": "identity"}
    with sidecar(tmp_path, TMPDIR=str(temporary)) as running, ExitStack() as stack:
        publish(running.cache, [{**order(i), "note": "x" * 100_000} for i in range(120)])
        masked = ApiKey(name="masked", digest=digest("masked"), scopes=("read",), masked=True, created_at=now())
        running.cache.documents.change(API_KEYS, lambda keys: keys.add(masked))
        for _ in range(2):
            client = stack.enter_context(
                httpx.Client(base_url=running.url, headers={"X-API-Key": KEY, **plain}, timeout=30)
            )
            slow = stack.enter_context(client.stream("GET", "/fetch-data?format=csv"))
            next(stack.enter_context(closing(slow.iter_raw(1))))
        for query in ("format=csv", "format=xlsx", "format=parquet", "fields=id"):
            assert running.client.get(f"/fetch-data?{query}&limit=3").status_code == 200
        page = wait_for(lambda: (answer := ask_masked(running)).status_code == 200 and answer)
        assert page.json()["data"][0]["note"] == "***"
        os.kill(running.process.pid, signal.SIGKILL)
        wait_for(lambda: not [*temporary.glob("orders-spool-*"), *temporary.glob("*-export-*")])


def ask_masked(api: Sidecar) -> httpx.Response:
    return httpx.get(f"{api.url}/fetch-data?limit=3", headers={"X-API-Key": "masked"}, timeout=30)
