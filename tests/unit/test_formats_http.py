"""Files of the API are read over HTTP as people read them: by address, with a key or a signature."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import httpx2
import openpyxl
import pandas as pd
import polars as pl
import pytest
import requests
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
    return sign(api, "format=parquet")


def sign(api: Sidecar, query: str) -> str:
    answer = api.client.post("/sign", json={"path": f"/fetch-data?{query}"})
    return f"{api.url}{answer.json()['address']}"


@pytest.mark.soak
def test_pandas_reads_parquet_with_the_key_in_a_header(parquet: str) -> None:
    frame = pd.read_parquet(parquet, storage_options={"X-API-Key": KEY})
    assert len(frame) == ROWS
    assert tuple(frame.loc[0, NAMES]) == FIRST


def test_polars_reads_parts_of_parquet_at_a_signed_address(signed: str) -> None:
    assert pl.scan_parquet(signed).select(NAMES).head(1).collect().row(0) == FIRST
    assert len(pl.read_parquet(signed)) == ROWS


@pytest.mark.parametrize(
    "read",
    [pytest.param(pl.read_csv, marks=pytest.mark.soak), lambda url: pl.scan_csv(url).collect()],
    ids=["read", "scan"],
)
def test_polars_reads_csv_at_a_signed_address(api: Sidecar, read: Callable[[str], pl.DataFrame]) -> None:
    frame = read(sign(api, "format=csv&fields=id,customer_name"))
    assert frame.rows()[:2] == [(1000, "Ida Müller"), (1001, "José García")]
    assert len(frame) == ROWS


def test_polars_scans_ndjson_at_a_signed_address(api: Sidecar) -> None:
    frame = pl.scan_ndjson(sign(api, "format=ndjson&fields=id,customer_name")).collect()
    assert frame.rows()[:2] == [(1000, "Ida Müller"), (1001, "José García")]
    assert len(frame) == ROWS


@pytest.mark.parametrize(
    "query", ["format=csv", "format=ndjson", "format=csv&limit=0", "format=parquet", "format=sqlite"]
)
def test_wget_and_curl_see_the_true_length_of_a_file(api: Sidecar, query: str) -> None:
    url = f"{api.url}/fetch-data?{query}"
    key = f"X-API-Key: {KEY}"
    size = len(api.client.get(url, headers={"Accept-Encoding": "identity"}).content)
    spider = subprocess.run(["wget", "--spider", "--header", key, url], check=True, capture_output=True, text=True)
    assert re.search(r"Length: (\d+)", spider.stderr)[1] == str(size)  # type: ignore[index]
    head = subprocess.run(["curl", "-sSI", "-H", key, url], check=True, capture_output=True, text=True).stdout.lower()
    assert f"content-length: {size}\n" in head
    part = ["curl", "-sS", "-r", "2-11", "-H", key, url]
    assert subprocess.run(part, check=True, capture_output=True).stdout == api.client.get(url).content[2:12]


@pytest.mark.parametrize(
    "query",
    [
        *(f"format={name}" for name in ("csv", "ndjson", "sqlite")),
        "fields=id",
        "fields=id&limit=1",
        "stream=true",
        "metadata_only=true",
    ],
)
def test_the_length_that_head_names_is_that_of_the_body(api: Sidecar, query: str) -> None:
    for coding in ("identity", "gzip"):
        head, whole = (
            api.client.request(
                method, f"/fetch-data?{query}", headers={"Accept-Encoding": coding, "X-Request-ID": "one"}
            )
            for method in ("HEAD", "GET")
        )
        named = head.headers.get("content-length")
        assert named is None or int(named) == whole.num_bytes_downloaded
        ignored = ("date", "content-length", "transfer-encoding")
        told, got = (
            [(name, value) for name, value in answer.headers.items() if name not in ignored] for answer in (head, whole)
        )
        assert sorted(told) == sorted(got)


def test_requests_reads_texts_as_they_are(api: Sidecar) -> None:
    url, key = f"{api.url}/fetch-data", {"X-API-Key": KEY}
    for query in ("format=csv", "format=ndjson", "stream=true"):
        answer = requests.get(f"{url}?{query}&limit=10", headers=key, timeout=30)
        assert "王小明" in answer.text and answer.encoding == "utf-8"
    streamed = requests.get(f"{url}?format=ndjson&fields=customer_name", headers=key, timeout=30, stream=True)
    lines = list(streamed.iter_lines(chunk_size=1 << 16, decode_unicode=True))
    assert json.loads(lines[4]) == {"customer_name": "سارة"} and len(lines) == ROWS


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
                httpx2.Client(base_url=running.url, headers={"X-API-Key": KEY, **plain}, timeout=30)
            )
            slow = stack.enter_context(client.stream("GET", "/fetch-data?format=csv"))
            next(stack.enter_context(closing(slow.iter_raw(1))))
        for query in ("format=csv", "format=xlsx", "format=parquet", "format=sqlite", "fields=id"):
            assert running.client.get(f"/fetch-data?{query}&limit=3").status_code == 200
        page = wait_for(lambda: (answer := ask_masked(running)).status_code == 200 and answer)
        assert page.json()["data"][0]["note"] == "***"
        os.kill(running.process.pid, signal.SIGKILL)
        wait_for(lambda: not [*temporary.glob("orders-spool-*"), *temporary.glob("*-export-*")])


def ask_masked(api: Sidecar) -> httpx2.Response:
    return httpx2.get(f"{api.url}/fetch-data?limit=3", headers={"X-API-Key": "masked"}, timeout=30)
