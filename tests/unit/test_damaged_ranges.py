"""Damaged rows where no generation is intact: refused with a code of their own, while all other rows are served."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from cache_factory import COLUMNS, as_json, cache_in, order, publish
from sidecar_process import KEY, Sidecar, served_here, sidecar
from waiting import wait_for

from cache.errors import RangeDamaged
from cache.query.engine import ColumnIndex
from cache.query.filters import Condition, Query
from cache.storage import digest_checks
from cache.storage.snapshot import CHECKSUMS, JSON, PARQUET, SEGMENT_FILES

pytestmark = pytest.mark.slow

ROWS = 40  # ids 1000 to 1039, in four segments
DAMAGED = range(20, 30)  # ids 1020 to 1029


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("damaged")
    with closing(cache_in(folder)) as cache:
        publish(cache, ROWS, segments=4)
        flip(cache.snapshots.open().paths(JSON)[2])
    with sidecar(folder) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?limit=20", range(1000, 1020)),
        ("?limit=10&offset=30", range(1030, 1040)),
        ("?id__lt=1020", range(1000, 1020)),
        ("?id=1035", [1035]),
        ("?id__in=1039,1000", [1000, 1039]),
        ("?id__gte=1030&sort=-id&limit=3", [1039, 1038, 1037]),
        ("?id__lt=1020&total_price__gte=600&limit=2", [1002, 1003]),
        ("?fields=id&limit=2&offset=18", [1018, 1019]),
        ("?limit=0", []),
    ],
)
def test_requests_for_other_rows_are_answered(api: Sidecar, query: str, ids: list[int]) -> None:
    for encoding in ("identity", "gzip"):
        answer = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200, answer.text
        assert [row["id"] for row in answer.json()["data"]] == list(ids)
        assert (answer.headers["X-Verified"], answer.json()["verified"]) == ("false", False)


def test_values_are_counted_where_no_damaged_row_can_match(api: Sidecar) -> None:
    facets = api.client.get("/fetch-data?facet=currency&id__lt=1020&limit=0").json()["facets"]
    assert facets == {"currency": [{"value": "EUR", "count": 10}, {"value": "USD", "count": 10}]}


@pytest.mark.parametrize(
    "path",
    [
        "/fetch-data",
        "/fetch-data?offset=15&limit=10",
        "/fetch-data?offset=29&limit=1",
        "/fetch-data?id=1025",
        "/fetch-data?id__gte=1019&limit=1",
        "/fetch-data?currency=EUR&limit=1",
        "/fetch-data?sort=total_price&limit=1",
        "/fetch-data?facet=currency&limit=0",
        "/fetch-data?stream=true",
        "/fetch-data?format=csv",
        "/fetch-data?format=parquet",
        "/fetch-data?fields=id&limit=2&offset=19",
        "/fetch-data?note__contains=x",
        "/figures?metric=orders",
    ],
)
def test_requests_that_may_need_a_damaged_row_are_refused(api: Sidecar, path: str) -> None:
    answer = api.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "range_damaged")
    assert answer.json()["message"].startswith("Rows are damaged: segment ")
    assert int(answer.headers["Retry-After"]) > 0


def test_status_says_that_rows_are_damaged(api: Sidecar) -> None:
    status = api.client.get("/status").json()
    assert (status["cache_exists"], status["verified"]) == (True, False)
    assert "has a damaged rows.json" in status["reason"]


@pytest.mark.parametrize("name", [name for name in SEGMENT_FILES if name != JSON])
def test_any_damaged_file_stops_only_the_rows_of_its_segment(tmp_path: Path, name: str) -> None:
    with closing(cache_in(tmp_path)) as cache:
        publish(cache, ROWS, segments=4)
        flip(cache.snapshots.open().paths(name)[2])
    with sidecar(tmp_path) as api:
        assert api.client.get("/fetch-data").json()["code"] == "range_damaged"
        assert api.client.get("/fetch-data?limit=20").json()["count"] == 20
        publish(api.cache, ROWS, segments=4)  # as the next sync does
        body = api.client.get("/fetch-data").json()
        assert (body["verified"], body["data"]) == (True, [as_json(i) for i in range(ROWS)])


def test_a_damaged_file_is_found_by_the_daily_check_of_the_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_checks, "AGAIN_SECONDS", 0)
    with served_here(tmp_path, ROWS, api__routes__snapshot_view__CHECK_SECONDS=0.05) as (url, cache):
        rows = f"{url}/fetch-data"
        assert httpx2.get(rows, headers={"X-API-Key": KEY}).json()["verified"] is True
        flip(cache.snapshots.open().paths(PARQUET)[0])
        wait_for(lambda: httpx2.get(rows, headers={"X-API-Key": KEY}).json().get("code") == "range_damaged")


def test_changes_are_sent_where_no_damaged_row_is_among_them(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, ROWS - 1, segments=4)
        publish(api.cache, [*map(order, range(ROWS - 1)), {**order(ROWS - 1), "note": "new"}], segments=4)
        api.cache.snapshots.open().paths(CHECKSUMS)[0].unlink()  # of both generations
        body = api.client.get("/changes?since=1").json()
        assert [row["note"] for row in body["inserted"]] == ["new"]


@pytest.mark.parametrize(("kind", "first"), [("integer", -20), ("integer", 5), ("unsigned", 2**63 - 20)])
def test_a_filter_on_the_key_tells_which_segments_it_needs(tmp_path: Path, kind: str, first: int) -> None:
    columns = (COLUMNS[0].model_copy(update={"kind": kind}), *COLUMNS[1:])
    with closing(cache_in(tmp_path)) as cache:
        publish(cache, [{**order(i), "id": str(first + i)} for i in range(ROWS)], segments=4, columns=columns)
        snapshot = cache.snapshots.open()
        index = ColumnIndex(snapshot)
        snapshot.faults[snapshot.manifest.segments[2].id] = "lacks rows.json"
        tried = ("eq", "gte", "gt", "lte", "lt", "ne")
        for op, i in itertools.product(tried, (0, 19, 20, 25, 29, 30, 39)):
            compare = getattr(int, f"__{ {'gte': 'ge', 'lte': 'le'}.get(op, op) }__")
            needed = any(compare(row, i) for row in DAMAGED)
            query = Query((Condition("id", op, str(first + i)),))
            if needed:
                with pytest.raises(RangeDamaged):
                    index.find(query)
            else:
                expected = [row for row in range(ROWS) if row not in DAMAGED and compare(row, i)]
                assert index.find(query).rows.tolist() == expected
