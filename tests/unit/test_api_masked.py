"""A masked key gets no personal data, by no parameter, in no form, and cannot find it out by asking."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from cache_factory import as_json, publish
from openpyxl import load_workbook
from sidecar_process import Sidecar, sidecar

from cache.access.api_keys import ApiKey, digest
from cache.access.masking import MASK
from cache.storage.documents import API_KEYS
from cache.storage.records import now

pytestmark = pytest.mark.slow

PERSONAL = {"email", "customer_name", "note", "destination"}
MASKED_KEY = "key-of-the-agency"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("masked")) as running:
        publish(running.cache, 12)
        key = ApiKey(name="agency", digest=digest(MASKED_KEY), scopes=("read",), masked=True, created_at=now())
        running.cache.documents.change(API_KEYS, lambda clients: clients.add(key))
        time.sleep(0.6)
        yield running


@pytest.fixture(scope="module")
def agency(api: Sidecar) -> Iterator[httpx2.Client]:
    """A client with the masked key."""
    with httpx2.Client(base_url=api.url, headers={"X-API-Key": MASKED_KEY}, timeout=30) as client:
        yield client


def masked(i: int) -> dict[str, Any]:
    """What the agency gets for `order(i)`."""
    hidden = {"email": MASK, "customer_name": MASK, "note": MASK, "destination": None}
    return as_json(i) | hidden


def test_it_works(api: Sidecar, agency: httpx2.Client) -> None:
    body = agency.get("/fetch-data").json()
    assert body["data"] == [masked(i) for i in range(12)]
    assert body["count"] == 12
    assert api.client.get("/fetch-data").json()["data"] == [as_json(i) for i in range(12)]


def test_equal_requests_of_two_keys_in_turns_get_two_responses(api: Sidecar, agency: httpx2.Client) -> None:
    path = "/fetch-data?sort=id&limit=2"
    tag = api.client.get(path).headers["ETag"]
    for headers in (
        {},
        {"Accept-Encoding": "identity"},
        {"If-None-Match": tag},
        {"Accept": "application/x-ndjson"},
    ) * 2:
        ours, theirs = (client.get(path, headers=headers) for client in (api.client, agency))
        assert theirs.status_code == 200
        assert theirs.headers["ETag"] != tag
        assert MASK in theirs.text
        assert ours.status_code == (304 if "If-None-Match" in headers else 200)
        assert MASK not in ours.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=3",
        "sort=-total_price",
        "fields=id,email,note,destination",
        "parse_json=false",
        "integers=string",
        "currency=EUR",
        "format=ndjson",
        "format=csv",
        "limit=2&offset=3",
        "stream=true",
        "name__contains=10",
    ],
)
def test_no_parameter_shows_personal_data(agency: httpx2.Client, query: str) -> None:
    answer = agency.get(f"/fetch-data?{query}")
    assert answer.status_code == 200, answer.text
    for hidden in ("@example.com", "Müller", "García", "王小明", "Köln", "thank you"):
        assert hidden not in answer.text
        assert hidden not in json.dumps(answer.text)
    assert answer.text


def test_files_hide_it_too_and_keep_the_types_of_columns(api: Sidecar, agency: httpx2.Client) -> None:
    table = pq.read_table(io.BytesIO(agency.get("/fetch-data?format=parquet").content))
    whole = pq.read_table(io.BytesIO(api.client.get("/fetch-data?format=parquet").content))
    assert table.schema.names == whole.schema.names
    assert table.schema.types == whole.schema.types
    assert set(table["email"].to_pylist()) == {MASK}
    assert set(table["destination"].to_pylist()) == {None}
    sheet = load_workbook(io.BytesIO(agency.get("/fetch-data?format=xlsx&fields=email,destination").content)).active
    assert set(sheet.iter_rows(min_row=2, values_only=True)) == {(MASK, None)}


def test_a_csv_has_the_columns_and_not_their_values(agency: httpx2.Client) -> None:
    rows = list(csv.DictReader(io.StringIO(agency.get("/fetch-data?format=csv").text)))
    assert {row["email"] for row in rows} == {MASK}
    assert {row["destination"] for row in rows} == {""}
    assert [row["id"] for row in rows] == [str(1000 + i) for i in range(12)]


@pytest.mark.parametrize(
    "query",
    [
        "email=customer1%40example.com",
        "email__startswith=c",
        "email__contains=1",
        "note__isnull=true",
        "customer_name__in=a,b",
        "sort=email",
        "sort=-customer_name,id",
        "facet=email",
        "stream=true&email__gt=a",
        "metadata_only=true&email=x",
        "format=csv&email=x",
    ],
)
def test_it_cannot_be_found_out_by_asking(api: Sidecar, agency: httpx2.Client, query: str) -> None:
    answer = agency.get(f"/fetch-data?{query}")
    assert (answer.status_code, answer.json()["code"]) == (403, "column_masked")
    assert "customer1" not in answer.text
    assert api.client.get(f"/fetch-data?{query}").status_code == 200


def test_tags_differ_by_what_a_key_may_see(api: Sidecar, agency: httpx2.Client) -> None:
    mine, theirs = (client.get("/fetch-data").headers["etag"] for client in (agency, api.client))
    assert mine != theirs
    assert agency.get("/fetch-data", headers={"If-None-Match": mine}).status_code == 304
    assert agency.get("/fetch-data", headers={"If-None-Match": theirs}).status_code == 200


def test_a_page_of_one_key_is_not_gone_on_with_by_another(api: Sidecar, agency: httpx2.Client) -> None:
    after = api.client.get("/fetch-data?limit=2").json()["next"]
    answer = agency.get(f"/fetch-data?limit=2&after={after}")
    assert "@example.com" not in answer.text


def test_an_address_that_the_key_signed_is_masked_too(api: Sidecar, agency: httpx2.Client) -> None:
    address = agency.post("/sign", json={"path": "/fetch-data?limit=3"}).json()["address"]
    assert httpx2.get(api.url + address).json()["data"] == [masked(i) for i in range(3)]


def test_a_feed_of_changes_shows_none_of_it(api: Sidecar, agency: httpx2.Client) -> None:
    assert "@example.com" not in agency.get("/changes?since=1").text
    assert "@example.com" not in agency.get("/status").text
