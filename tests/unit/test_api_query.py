"""`/fetch-data` with parameters: what each takes, what it refuses, and what comes back."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from cache_factory import COLUMNS, as_json, order, publish
from paths import ROOT
from sidecar_process import Sidecar, answering, sidecar, worker

from api.contract.queries.csv_parameters import PARAMETERS as CSV_PARAMETERS
from api.contract.queries.csv_parameters import take_csv_style
from api.contract.queries.fetch_query import PARAMETERS, parse_fetch_query
from cache.access.api_keys import ApiKey, digest
from cache.errors import Trouble
from cache.export.row_format import MEDIA_TYPES
from cache.schema import Column
from cache.storage.documents import API_KEYS
from cache.storage.records import now

pytestmark = pytest.mark.slow

ROWS = 30


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, ROWS, segments=4)
        yield running


def fetch(api: Sidecar, **parameters: str) -> dict[str, Any]:
    answer = api.client.get("/fetch-data", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["count"] == len(body["data"])
    return body


def refused(api: Sidecar, query: str) -> str:
    """The message of a 400."""
    answer = api.client.get(f"/fetch-data?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    return str(answer.json()["message"])


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [as_json(i) for i in numbers]


# -- pages


def test_it_works(api: Sidecar) -> None:
    body = fetch(api, limit="3", offset="5")
    assert body["data"] == rows(5, 6, 7)
    assert (body["count"], body["total_count"]) == (3, ROWS)


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"limit": "0"}, range(0)),
        ({"limit": "1"}, range(1)),
        ({"limit": str(ROWS)}, range(ROWS)),
        ({"limit": "999999999999999999"}, range(ROWS)),
        ({"offset": "0"}, range(ROWS)),
        ({"offset": "29"}, range(29, ROWS)),
        ({"offset": "30"}, range(0)),
        ({"offset": "999999999999999999", "limit": "999999999999999999"}, range(0)),
        ({"limit": "10", "offset": "4"}, range(4, 14)),  # over the edge of a segment
    ],
)
def test_limit_and_offset_cut_a_page(api: Sidecar, parameters: dict[str, str], numbers: range) -> None:
    body = fetch(api, **parameters)
    assert body["data"] == rows(*numbers)
    assert body["total_count"] == ROWS


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "", "1.5", "ten", "1e3", "0x10", " 1", "١", "1000000000000000000", "%00"])
def test_limit_and_offset_take_whole_numbers_from_0_on(api: Sidecar, name: str, value: str) -> None:
    assert refused(api, f"{name}={value}") == f"Parameter '{name}' does not parse. It takes a whole number, 0 or more."


def test_a_parameter_is_given_once(api: Sidecar) -> None:
    assert refused(api, "limit=1&limit=1").startswith("Parameter 'limit' is given twice.")


def test_pages_follow_each_other_by_after(api: Sidecar) -> None:
    got: list[Any] = []
    after: dict[str, str] = {}
    while True:
        body = fetch(api, limit="7", **after)
        got += body["data"]
        if body["next"] is None:
            break
        after = {"after": body["next"]}
    assert got == rows(*range(ROWS))


def test_the_last_page_and_an_empty_one_have_no_next(api: Sidecar) -> None:
    for parameters in ({"limit": "30"}, {"limit": "1", "offset": "29"}, {"limit": "0"}, {"offset": "40"}, {}):
        assert fetch(api, **parameters)["next"] is None


@pytest.mark.parametrize("token", ["", "x", "AAAA", "AAAAAAAAAAEAAAAAAAAAAQ", "ö", "A" * 32, "A" * 5000])
def test_after_takes_a_next_and_nothing_else(api: Sidecar, token: str) -> None:
    answer = api.client.get("/fetch-data", params={"after": token})
    assert answer.status_code == (410 if token == "A" * 32 else 400)  # that is generation 0
    assert "`after`" in answer.json()["message"] or "'after'" in answer.json()["message"]


def test_after_contradicts_offset_and_streams(api: Sidecar) -> None:
    token = fetch(api, limit="1")["next"]
    assert "'after' and 'offset' contradict" in refused(api, f"after={token}&offset=1")
    assert "'after' and 'stream' contradict" in refused(api, f"after={token}&stream=true")
    assert api.client.get(f"/fetch-data?after={token}&stream=false").status_code == 200


# -- filters and sorts


def numbers(body: dict[str, Any]) -> list[int]:
    return [row["id"] - 1000 for row in body["data"]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("financial_status=paid", lambda i: i % 3 == 0),
        ("financial_status__eq=paid", lambda i: i % 3 == 0),
        ("financial_status__ne=paid", lambda i: i % 3 != 0),
        ("fulfillment_status__ne=fulfilled", lambda i: i % 2 == 1),  # NULL is not equal
        ("total_price__gt=610.94", lambda i: i > 12),
        ("total_price__gte=610.94", lambda i: i >= 12),
        ("created_at__lt=2025-12-29T08:25:00Z", lambda i: i > 2),
        ("created_at__lte=2025-12-29T08:25:00Z", lambda i: i >= 2),
        ("created_at__gte=2025-12-29", lambda i: i <= 10),
        ("financial_status__in=paid,refunded", lambda i: i % 3 != 1),
        ("name__in=%22%231001%22,nothing", lambda i: i == 1),
        ("fulfillment_status__isnull=true", lambda i: i % 2 == 1),
        ("cancelled_at__isnull=false", lambda i: i % 7 == 0),
        ("customer_name__startswith=jos", lambda i: i % 5 == 1),
        ("customer_name__contains=%C3%BCLL", lambda i: i % 5 == 0),
        ("note=", lambda i: i % 7 == 1),
        ("test=true", lambda i: i % 11 == 10),
        ("financial_status=paid&currency=EUR&total_price__lt=610.94", lambda i: i % 3 == 0 and i % 2 and i < 12),
        ("id=1003&_=5&_id__eq=7", lambda i: i == 3),
        ("id=99", lambda i: False),
    ],
)
def test_filters_are_anded(api: Sidecar, query: str, wanted: Callable[[int], bool]) -> None:
    answer = api.client.get(f"/fetch-data?{query}")
    assert answer.status_code == 200, answer.text
    expected = [i for i in range(ROWS) if wanted(i)]
    assert numbers(answer.json()) == expected
    assert (answer.json()["count"], answer.json()["total_count"]) == (len(expected), len(expected))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("no_such=1", "'no_such'"),
        ("no_such__gt=1", "'no_such__gt'"),
        ("id__above=1", "'id__above'"),
        ("id=x", "id"),
        ("total_price__gt=1,5", "total_price"),
        ("created_at=soon", "created_at"),
        ("test=maybe", "test"),
        ("note__isnull=perhaps", "note"),
        ("id__contains=1", "id"),
        ("line_items__lt=1", "line_items"),
        ("name__in=%22open", "'name__in'"),
        ("ID=1", "'ID'"),
        ("id__eq__gt=1", "'id__eq__gt'"),
        ("=1", "''"),
    ],
)
def test_a_filter_that_cannot_be_is_named(api: Sidecar, query: str, named: str) -> None:
    answer = api.client.get(f"/fetch-data?{query}")
    assert (answer.status_code, answer.json()["code"]) in [(400, "parameter_invalid"), (400, "bad_filter")]
    assert named in answer.json()["message"]


def test_a_column_named_like_a_parameter_is_reached_by_eq(tmp_path: Path) -> None:
    columns = [
        COLUMNS[0],
        Column(name="limit", type="int", kind="integer", nullable=True),
        Column(name="_x", type="int", kind="integer", nullable=True),
        Column(name="a,b", type="int", kind="integer", nullable=True),
    ]
    made = [{"id": str(i), "limit": str(i % 3), "_x": str(i % 2), "a,b": str(-i)} for i in range(9)]
    with sidecar(tmp_path) as running:
        publish(running.cache, made, columns=columns)
        assert fetch(running, limit="2")["count"] == 2
        assert [row["id"] for row in fetch(running, limit__eq="2")["data"]] == [2, 5, 8]
        assert [row["id"] for row in fetch(running, _x="1", _y="1")["data"]] == [1, 3, 5, 7]
        assert [row["id"] for row in fetch(running, _x__eq="1", limit__gt="0")["data"]] == [1, 5, 7]
        queries = ("_x=0", "_x=1", "_x__eq=0", "_x__eq=1", "", "_y=1", "_y__eq=1")
        tags = [running.client.get(f"/fetch-data?{query}").headers["etag"] for query in queries]
        assert len(set(tags)) == 5
        assert len(set(tags[4:])) == 1
        body = fetch(running, sort='"a,b"', fields='"a,b",id', limit="1")
        assert body["data"] == [{"a,b": -8, "id": 8}]


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("-id", lambda i: -i),
        ("created_at", lambda i: -i),
        ("financial_status,-total_price", lambda i: (("paid", "pending", "refunded")[i % 3], -i)),
        ("-currency", lambda i: (i % 2, i)),  # the key breaks ties
        ("fulfillment_status", lambda i: (i % 2, i)),  # NULL is last, and first where it is descending
        ("-fulfillment_status", lambda i: (1 - i % 2, i)),
    ],
)
def test_rows_are_sorted_and_the_key_breaks_ties(api: Sidecar, sort: str, key: Callable[[int], Any]) -> None:
    assert numbers(fetch(api, sort=sort)) == sorted(range(ROWS), key=key)
    assert numbers(fetch(api, sort=sort, limit="4", offset="3")) == sorted(range(ROWS), key=key)[3:7]


@pytest.mark.parametrize("sort", ["no_such", "", "-", "id,", "--id", '"id', "line_items", "id desc"])
def test_sort_takes_columns_that_have_an_order(api: Sidecar, sort: str) -> None:
    answer = api.client.get("/fetch-data", params={"sort": sort})
    assert (answer.status_code, answer.json()["code"]) in [(400, "parameter_invalid"), (400, "bad_filter")]


def test_after_goes_on_in_the_asked_order_and_with_the_filters(api: Sidecar) -> None:
    query = {"sort": "-total_price", "financial_status": "paid", "note__contains": "", "limit": "3"}
    got: list[int] = []
    after: dict[str, str] = {}
    while after is not None:
        body = fetch(api, **query, **after)
        got += numbers(body)
        after = {"after": body["next"]} if body["next"] else None  # type: ignore[assignment]
    expected = [i for i in range(ROWS) if i % 3 == 0 and i % 7]
    assert got == expected[::-1]


def test_after_of_another_query_is_refused(api: Sidecar) -> None:
    token = fetch(api, sort="-id", limit="3")["next"]
    for query in ("", "&sort=id", "&sort=-id&test=true"):
        assert "belongs to another query" in refused(api, f"limit=3&after={token}{query}")
    assert api.client.get(f"/fetch-data?limit=9&sort=-id&fields=id&after={token}").status_code == 200


# -- what rows look like


def test_fields_are_these_columns_in_this_order(api: Sidecar) -> None:
    body = fetch(api, fields="total_price,id", limit="2", offset="1")
    assert list(body["data"][0].items()) == [("total_price", "599.94"), ("id", 1001)]
    assert (body["count"], body["total_count"]) == (2, ROWS)
    assert fetch(api, fields="id", limit="2", after=body["next"])["data"] == [{"id": 1003}, {"id": 1004}]
    assert fetch(api, fields="id", test="true", sort="-id")["data"] == [{"id": 1021}, {"id": 1010}]


@pytest.mark.parametrize("fields", ["", "no_such", "id,id", "id,", '"id', "id;name"])
def test_fields_take_columns_once(api: Sidecar, fields: str) -> None:
    answer = api.client.get("/fetch-data", params={"fields": fields})
    assert (answer.status_code, answer.json()["code"]) in [(400, "parameter_invalid"), (400, "bad_filter")]


def test_parse_json_false_gives_the_stored_text(api: Sidecar) -> None:
    row = fetch(api, parse_json="false", limit="1")["data"][0]
    assert (row["line_items"], row["destination"]) == (order(0)["line_items"], order(0)["destination"])
    assert "'parse_json' does not parse" in refused(api, "parse_json=never")


def test_integers_beyond_2_to_the_53_may_be_strings(tmp_path: Path) -> None:
    made = [{"id": str(i)} for i in (5, 2**53, 2**53 + 1, 2**64 - 1)]
    with sidecar(tmp_path) as running:
        publish(running.cache, made, columns=COLUMNS[:1])
        assert [row["id"] for row in fetch(running)["data"]] == [5, 2**53, 2**53 + 1, 2**64 - 1]
        found = [row["id"] for row in fetch(running, integers="string")["data"]]
        assert found == [5, 2**53, str(2**53 + 1), str(2**64 - 1)]
        assert fetch(running, integers="number") == fetch(running)
        assert "It takes number or string." in refused(running, "integers=text")


# -- counts of values


def test_facets_count_values_among_the_rows_that_match(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data?facet=financial_status&facet=test&facet=note&total_price__lt=608&limit=1")
    assert answer.status_code == 200, answer.text
    facets = answer.json()["facets"]
    assert facets["financial_status"] == [
        {"value": "paid", "count": 4},
        {"value": "pending", "count": 3},
        {"value": "refunded", "count": 3},
    ]
    assert facets["test"] == [{"value": False, "count": 10}]
    assert facets["note"][-1] == {"value": None, "count": 2} or {"value": None, "count": 2} in facets["note"]
    assert answer.json()["count"] == 1
    assert "facets" not in fetch(api, limit="1")


@pytest.mark.parametrize("query", ["facet=", "facet=no_such", "facet=id&facet=no_such", "facet=id,name"])
def test_facet_takes_a_column(api: Sidecar, query: str) -> None:
    answer = api.client.get(f"/fetch-data?{query}")
    assert (answer.status_code, answer.json()["code"]) in [(400, "parameter_invalid"), (400, "bad_filter")]


# -- formats


def test_formats_are_asked_for_by_parameter_or_by_accept(api: Sidecar) -> None:
    for form, media_type in MEDIA_TYPES.items():
        asked = api.client.get(f"/fetch-data?format={form}&limit=2&fields=id,note")
        accepted = api.client.get("/fetch-data?limit=2&fields=id,note", headers={"Accept": f"{media_type}, */*;q=0.1"})
        for answer in (asked, accepted):
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].partition(";")[0] == media_type
            assert "Accept" in answer.headers["vary"].split(", ")
            assert answer.headers["x-generation"] == "1"
        if form != "xlsx":
            assert asked.content == accepted.content or form == "json"
        if form != "json":
            assert asked.headers["x-total-count"] == str(ROWS)
            assert asked.headers["x-next"] == fetch(api, limit="2")["next"]
    for accept in ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "image/png", "text/csv;q=x", ""):
        assert api.client.get("/fetch-data?limit=1", headers={"Accept": accept}).json()["count"] == 1
    parameter = api.client.get("/fetch-data?limit=1&format=json", headers={"Accept": "text/csv"})
    assert parameter.json()["count"] == 1


def test_a_csv_holds_the_rows_that_match(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data?format=csv&fields=id,note&sort=-id&id__gte=1027")
    assert list(csv.reader(io.StringIO(answer.text, newline=""))) == [
        ["id", "note"],
        ["1029", ""],
        ["1028", ""],
        ["1027", "🎂 \\ \x85\u2028\u2029 </script>"],
    ]
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    defused = api.client.get("/fetch-data?format=csv&fields=note&note==1%2B1&formulas=defuse&limit=1")
    assert defused.text.splitlines()[1] == "'=1+1"
    plain = api.client.get("/fetch-data?format=csv&fields=note&note==1%2B1&limit=1")
    assert plain.text.splitlines()[1] == "=1+1"


def test_csv_is_written_as_a_spreadsheet_of_another_country_reads_it(api: Sidecar) -> None:
    query = "format=csv&fields=id,total_price,note&limit=1"
    plain = api.client.get(f"/fetch-data?{query}")
    for style in ("bom=true&delimiter=;&decimal=,", "bom=1&delimiter=%3B&decimal=%2C"):
        other = api.client.get(f"/fetch-data?{query}&{style}")
        assert other.content.startswith(b"\xef\xbb\xbfid;total_price;note\r\n")
        assert other.content.decode("utf-8-sig").replace(";", ",").replace("8,94", "8.94") == plain.text
        assert other.headers["etag"] != plain.headers["etag"]
    by_default = api.client.get(f"/fetch-data?{query}&bom=false&delimiter=,&decimal=.&formulas=keep")
    assert by_default.content == plain.content


def test_ndjson_is_a_row_a_line(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data?format=ndjson&limit=3")
    assert [json.loads(line) for line in answer.text.splitlines()] == rows(0, 1, 2)


@pytest.mark.parametrize("form", ["xlsx", "parquet", "sqlite"])
def test_files_tell_their_size_and_come_in_parts(api: Sidecar, form: str) -> None:
    path = f"/fetch-data?format={form}&limit=5"
    whole = api.client.get(path)
    assert "content-encoding" not in whole.headers
    head = api.client.head(path)
    assert int(head.headers["content-length"]) == len(whole.content)
    assert head.headers["etag"] == whole.headers["etag"]
    part = api.client.get(path, headers={"Range": "bytes=4-19"})
    assert (part.status_code, part.content) == (206, whole.content[4:20])
    if form == "sqlite":
        assert int(whole.headers["content-length"]) == len(whole.content)
        assert whole.headers["content-disposition"] == 'attachment; filename="orders.sqlite"'
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(whole.content)
            assert database.execute("SELECT count(*), min(id) FROM orders").fetchall() == [(5, 1000)]
            assert ("generation", "1") in database.execute("SELECT * FROM _about").fetchall()
    if form == "parquet":
        file = pq.ParquetFile(io.BytesIO(whole.content))
        assert file.metadata.num_rows == 5
        said = {name.decode(): value.decode() for name, value in file.metadata.metadata.items()}
        status = api.client.get("/status").json()
        names = ("generation", "verified", "verified_at", "version")
        assert [said[name] for name in names] == [str(status[name]).replace("True", "true") for name in names]
        assert set(said) == {*names, "source", "ARROW:schema"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("format=xml", "'format'"),
        ("format=", "'format'"),
        ("format=CSV", "'format'"),
        ("formulas=defuse", "'formulas'"),
        ("formulas=run&format=csv", "'formulas'"),
        ("bom=true", "'bom' is for CSV"),
        ("decimal=,&format=xlsx", "'decimal' is for CSV"),
        ("delimiter=;&format=json", "'delimiter' is for CSV"),
        ("delimiter=%09&format=csv", "'delimiter'"),
        ("decimal=;&format=csv", "'decimal'"),
        ("format=csv&stream=true", "'stream'"),
        ("format=csv&facet=id", "'facet'"),
        ("format=parquet&metadata_only=true", "'metadata_only'"),
    ],
)
def test_formats_refuse_what_they_cannot_hold(api: Sidecar, query: str, named: str) -> None:
    assert named in refused(api, query)


def test_an_answer_that_is_rendered_anew_has_a_tag_too(api: Sidecar) -> None:
    for query in ("fields=id", "format=csv", "format=parquet", "note__contains=x", "parse_json=false"):
        first = api.client.get(f"/fetch-data?{query}")
        again = api.client.get(f"/fetch-data?{query}", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


# -- streams shaped by parameters


@pytest.mark.parametrize(
    "query",
    [
        "metadata_only=true",
        "limit=2&offset=1",
        "fields=id,name&limit=3",
        "note__contains=thank",
        "facet=currency",
        "sort=-id&limit=2",
    ],
)
def test_parameters_shape_the_payload_of_a_stream(api: Sidecar, query: str) -> None:
    answer = api.client.get(f"/fetch-data?{query}&stream=true")
    cached, done = (json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: "))
    assert cached["payload"] == api.client.get(f"/fetch-data?{query}").json()
    assert done == {"type": "done"}
    assert api.client.get(f"/fetch-data?{query}&stream=true&no_such=1").status_code == 400


# -- waiting


def test_wait_answers_from_the_new_snapshot(tmp_path: Path) -> None:
    with sidecar(tmp_path) as running:
        publish(running.cache, 3)
        with answering(running.cache, rows=5):
            assert fetch(running, wait="true")["count"] == 5
            assert fetch(running, wait="true", metadata_only="true")["total_count"] == 5
        failed = Trouble(code="login_refused", message="The login was refused.", advice="Check the password.")
        with answering(running.cache, error=failed):
            answer = running.client.get("/fetch-data?wait=true")
        assert (answer.status_code, answer.json()["code"]) == (502, "login_refused")
        assert running.client.get(answer.headers["location"]).json()["status"] == "failed"
        assert running.client.get("/fetch-data?wait=true").json()["code"] == "no_worker"
        for query in ("refresh=true", "stream=true", f"after={fetch(running, limit='1')['next']}"):
            assert "contradict" in refused(running, f"wait=true&{query}")
        assert "'wait' does not parse" in refused(running, "wait=1s")


@pytest.mark.not_on("sub-path", why="there, Location is relative: nginx strips the path")
def test_wait_gives_up_with_the_task_to_follow(tmp_path: Path) -> None:
    with sidecar(tmp_path, SSE_TIMEOUT_SECONDS="0.5") as running, worker(running.cache):
        publish(running.cache, 3)
        answer = running.client.get("/fetch-data?wait=true")
        assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
        assert answer.headers["location"] == f"/tasks/{answer.json()['task_id']}"
        assert running.client.get(answer.headers["location"]).json()["status"] == "queued"


# -- personal data


def test_a_masked_key_sees_masks_and_cannot_guess(api: Sidecar) -> None:
    made = ApiKey(name="masked", digest=digest("m" * 32), scopes=("read",), masked=True, created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(made))
    deadline = time.monotonic() + 10
    client = httpx2.Client(base_url=api.url, headers={"X-API-Key": "m" * 32})
    with client:
        while client.get("/status").status_code == 401 and time.monotonic() < deadline:
            time.sleep(0.1)
        row = client.get("/fetch-data?limit=1").json()["data"][0]
        assert (row["email"], row["customer_name"], row["total_price"]) == ("***", "***", "598.94")
        assert client.get("/fetch-data").headers["etag"] != api.client.get("/fetch-data").headers["etag"]
        for query in ("email__startswith=a", "sort=email", "facet=email"):
            answer = client.get(f"/fetch-data?{query}")
            assert (answer.status_code, answer.json()["code"]) == (403, "column_masked")
        assert "customer0" not in client.get("/fetch-data?format=csv").text
        assert "customer0" not in client.get("/fetch-data?stream=true").text
        assert client.get("/fetch-data?refresh=true").status_code == 403
        assert client.get("/fetch-data?wait=true").status_code == 403


# -- everything but the rows


def test_metadata_only_gives_columns_with_types_and_no_rows(api: Sidecar) -> None:
    body = fetch(api, metadata_only="true")
    assert (body["count"], body["data"], body["total_count"], body["next"]) == (0, [], ROWS, None)
    assert body["columns"][8] == {
        "name": "total_price",
        "type": "decimal(12,2)",
        "kind": "decimal",
        "nullable": False,
        "key": 0,
    }
    assert body["size"] > 0
    assert body["generation"] == 1


@pytest.mark.parametrize("name", ["metadata_only", "refresh", "stream"])
@pytest.mark.parametrize("value", ["2", "tru", "true,true", "+"])
def test_flags_take_true_or_false(api: Sidecar, name: str, value: str) -> None:
    assert refused(api, f"{name}={value}") == f"Parameter '{name}' does not parse. It takes true or false."


# -- the description


def test_the_page_about_the_api_lists_every_parameter_as_it_is_defined() -> None:
    listed = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines()
    for parameter in PARAMETERS:
        assert f"| `{parameter.name}` | {parameter.takes} | {parameter.description} |" in listed


def test_each_example_parses_and_each_default_is_what_no_parameter_means() -> None:
    nothing = parse_fetch_query(b"")
    for parameter in PARAMETERS:
        assert parameter.read(parameter.example) is not None
        if parameter.name in ("start_row", "end_row", "stream_all"):
            continue  # they become `offset` and `limit`
        if parameter in CSV_PARAMETERS:
            assert take_csv_style({parameter.name: parameter.default}) == nothing.csv
            continue
        assert getattr(nothing, parameter.name) == (None if parameter.name == "format" else parameter.default)


@pytest.mark.parametrize("path", ["/fetch-data?limit=2", "/figures?metric=orders&by=status"])
def test_json_lines_are_ndjson_by_their_newer_name(api: Sidecar, path: str) -> None:
    api.client.get("/figures?metric=orders")  # the first one decides on a reading, which is part of the tag
    older, newer, both = (
        api.client.get(path, headers={"Accept": accept})
        for accept in ("application/x-ndjson", "application/jsonl", "application/x-ndjson, application/jsonl")
    )
    assert older.text == newer.text == both.text
    assert [json.loads(line) for line in newer.text.splitlines()]
    assert newer.headers["content-type"] == "application/jsonl; charset=utf-8"
    assert older.headers["content-type"] == both.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    assert newer.headers["etag"] != older.headers["etag"] == both.headers["etag"]
    assert "/x-ndjson" in api.client.get(f"{path}&format=ndjson").headers["content-type"]


# -- conditional requests


def test_each_query_has_its_own_etag_which_ignored_parameters_leave_alone(api: Sidecar) -> None:
    tags = [
        api.client.get(f"/fetch-data?{query}").headers["etag"]
        for query in ("", "limit=3", "limit=4", "limit=3&offset=1", "metadata_only=true")
    ]
    assert len(set(tags)) == len(tags)
    assert api.client.get("/fetch-data?_=17&limit=3&_t=4").headers["etag"] == tags[1]
    plain = api.client.get("/fetch-data", headers={"Accept-Encoding": "identity"})
    assert plain.headers["etag"] != tags[0]


def test_a_page_is_304_while_it_says_the_same(api: Sidecar) -> None:
    tag = api.client.get("/fetch-data?limit=3").headers["etag"]
    assert api.client.get("/fetch-data?limit=3", headers={"If-None-Match": f"W/{tag}"}).status_code == 304
    assert api.client.get("/fetch-data?limit=4", headers={"If-None-Match": tag}).status_code == 200


# -- compression


@pytest.mark.parametrize("query", ["", "?limit=7&offset=3"])
def test_bodies_come_gzipped_where_the_client_takes_it(api: Sidecar, query: str) -> None:
    plain = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for accepted in ("gzip", "br, GZIP;q=0.5", "*"):
        zipped = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": accepted})
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.content == plain.content
        assert int(zipped.headers["content-length"]) < len(plain.content)
    for refused in ("gzip;q=0", "br", "", "*;q=0", "gzip;q=x"):
        answer = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": refused})
        assert "content-encoding" not in answer.headers
    assert "Accept-Encoding" in plain.headers["vary"]


# -- both ways to an answer


@pytest.mark.not_on("sub-path", why="nginx sets Connection itself")
def test_the_short_cut_and_the_usual_way_give_the_same_answer(api: Sidecar) -> None:
    for query in ("", "?limit=3", "?metadata_only=true", "?limit=x", "?offset=29"):
        sent = {"X-Request-ID": "one"}
        direct, usual = (
            api.client.get(f"/fetch-data{query}", headers=sent | more) for more in ({}, {"Connection": "close"})
        )
        assert usual.status_code == direct.status_code
        assert usual.content == direct.content
        kept = {name: value for name, value in usual.headers.items() if name not in ("connection", "date")}
        assert kept == {name: value for name, value in direct.headers.items() if name != "date"}
