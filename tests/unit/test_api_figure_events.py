"""`GET /figures/events`: the events that sum to what `GET /figures` says, over HTTP and in every format."""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars
import pytest
from cache_factory import publish
from paths import ROOT
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, sidecar

from api.contract.queries.figures_query import EVENTS_PARAMETERS
from cache.access.api_keys import ApiKey, digest
from cache.analytics.metrics import METRICS
from cache.calendar.periods import PERIODS
from cache.storage.documents import API_KEYS

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)
MASKED = {"X-API-Key": "a-masked-key-for-tests-0123456789"}


def started(folder: Path, **settings: str) -> Any:
    return sidecar(folder, SHOP_TIMEZONE="Pacific/Auckland", **settings)


def fill(api: Sidecar) -> None:
    publish(api.cache, shop(200, NOW), columns=SHOP_COLUMNS)
    agency = ApiKey(name="agency", digest=digest(MASKED["X-API-Key"]), scopes=("read",), masked=True, created_at=NOW)
    api.cache.documents.change(API_KEYS, lambda keys: keys.add(agency))
    api.client.get("/figures/metrics")  # stores the reading of the table


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with started(tmp_path_factory.mktemp("api")) as running:
        fill(running)
        yield running


def get(api: Sidecar, path: str = "/figures/events", **query: str) -> dict[str, Any]:
    response = api.client.get(path, params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def added(events: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(event[name]) for event in events if event.get(name) is not None), Decimal(0))


def random_query(chance: random.Random) -> dict[str, str]:
    first = date.today() - timedelta(chance.randrange(900))
    query = {"period": chance.choice(["all", *PERIODS, *["custom"] * 5])}
    if query["period"] == "custom":
        query |= {"from": str(first), "to": str(first + timedelta(chance.randrange(300)))}
    if chance.random() < 0.3:
        query |= {"status__in": "paid,partially_refunded"}
    if chance.random() < 0.3:
        query |= {"country": "US"}
    return {**query, "returns": chance.choice(["returned", "ordered"])}


@pytest.mark.parametrize("queries", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_the_events_of_every_metric_sum_to_the_figure(api: Sidecar, queries: int) -> None:
    chance = random.Random(17)
    listed = 0
    for _ in range(queries):
        query = random_query(chance)
        totals = get(api, "/figures", metric=",".join(METRICS), **query)["totals"]
        for name in METRICS:
            body = get(api, metric=name, **query)
            assert body["total"] == totals[name], (name, query)
            assert body["next"] is None
            assert body["count"] == body["total_count"] == len(body["data"])
            if body["amount"] is not None:
                assert added(body["data"], "amount") == Decimal(body["amount"]), (name, query)
                assert added(body["data"], "divisor") == (body["divisor"] or 0), (name, query)
            listed += body["count"]
    assert listed > 150 * queries


def test_net_sales_are_sales_discounts_returns_and_cancellations(api: Sidecar) -> None:
    body = get(api, metric="net_sales")
    kinds = {(event["kind"], event["line"]) for event in body["data"]}
    assert kinds <= {(kind, "product") for kind in ("sale", "return", "cancellation")} | {("sale", "discount")}
    assert {"sale", "return"} <= {kind for kind, _ in kinds}
    assert all(Decimal(event["amount"]) < 0 for event in body["data"] if event["kind"] != "sale")
    assert body["data"] == sorted(body["data"], key=lambda event: event["at"])
    row = api.client.get("/fetch-data", params={"id": body["data"][0]["order"]}).json()["data"][0]
    assert row["name"] == body["data"][0]["name"]


def test_a_quotient_lists_what_it_divides(api: Sidecar) -> None:
    body = get(api, metric="refund_rate", period="year")
    assert (body["divisor"], body["metrics"]["refund_rate"]["unit"]) == (body["total_count"] - body["amount"], "rate")
    assert Decimal(body["total"]) == round(Decimal(body["amount"]) / body["divisor"], 6)
    assert {(event["amount"], event["divisor"]) for event in body["data"]} == {(1, None), (None, 1)}


def test_of_a_customer_the_first_order_is_listed(api: Sidecar) -> None:
    body = get(api, metric="customers")
    events = body["data"]
    assert body["total"] == len(events) == len({event["order"] for event in events})
    assert {(event["kind"], event["amount"]) for event in events} == {("customer", 1)}
    assert events[0]["at"] == get(api, metric="orders")["data"][0]["at"]


def test_pages_join_to_all_events(api: Sidecar) -> None:
    whole = get(api, metric="total_sales")
    events, after = [], {}
    while True:
        page = get(api, metric="total_sales", limit="70", **after)
        assert (page["total"], page["total_count"]) == (whole["total"], whole["total_count"])
        events += page["data"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert events == whole["data"]
    assert len(events) > 300
    assert api.client.get(f"/figures/events?metric=orders&after={after['after']}").status_code == 400


@pytest.mark.parametrize("format", ["ndjson", "csv", "xlsx", "parquet", "sqlite"])
def test_every_format_holds_the_same_events(api: Sidecar, format: str) -> None:
    expected = get(api, metric="average_order_value", limit="40")
    response = api.client.get(f"/figures/events?metric=average_order_value&limit=40&format={format}")
    assert response.headers["x-total-count"] == str(expected["total_count"])
    assert response.headers["x-next"] == expected["next"]
    rows = read(format, response.content)
    assert [list(row) for row in rows] == [list(event) for event in expected["data"]]
    for row, event in zip(rows, expected["data"], strict=True):
        assert [row[name] for name in ("order", "name", "kind", "line")] == [
            event[name] for name in ("order", "name", "kind", "line")
        ]
        for name in ("amount", "divisor"):
            if event[name] is None:
                assert row[name] in (None, "")
            else:
                assert round(Decimal(str(row[name])), 2) == Decimal(event[name])


def read(format: str, content: bytes) -> list[dict[str, Any]]:
    match format:
        case "ndjson":
            return [json.loads(line) for line in content.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(content.decode())))
        case "parquet":
            table = polars.read_parquet(io.BytesIO(content))
            assert table.schema["at"] == polars.Datetime("us", "UTC")
            return table.to_dicts()
        case "sqlite":
            with closing(sqlite3.connect(":memory:")) as database:
                database.deserialize(content)
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute("SELECT * FROM events")]
        case _:
            header, *rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
            return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_repeated_request_is_304(api: Sidecar) -> None:
    first = api.client.get("/figures/events?metric=returns")
    again = api.client.get("/figures/events?metric=returns", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = api.client.get("/figures/events?metric=taxes", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_what_the_table_cannot_tell_has_no_events(api: Sidecar) -> None:
    body = get(api, metric="duties")
    assert (body["total"], body["amount"], body["data"]) == (None, None, [])
    assert body["metrics"]["duties"]["reason"].startswith("No duties: the table has no column for")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "Parameter 'metric' is missing. It takes a name of GET /figures/metrics."),
        ("metric=order", "Parameter 'metric' does not know 'order'. Did you mean 'orders'? It takes total_sales,"),
        ("metric=orders,units", "Parameter 'metric' does not know 'orders,units'."),
        ("metric=orders&step=day", "Unknown parameter 'step'. /figures/events takes metric, period,"),
        ("metric=orders&contry=DE", "Unknown parameter 'contry'. Did you mean 'country'?"),
        ("metric=orders&currency=all", "Parameter 'currency' does not parse. It takes an ISO 4217 code."),
        ("metric=orders&period=custom", "period=custom needs 'from' and 'to'."),
        ("metric=orders&limit=10001", "Parameter 'limit' does not parse. It takes a whole number from 1 to 10000."),
    ],
)
def test_what_does_not_fit_is_refused_by_name(api: Sidecar, query: str, message: str) -> None:
    response = api.client.get(f"/figures/events?{query}")
    assert response.status_code == 400
    assert response.json()["message"].startswith(message)


def test_a_signed_address_stands_for_the_key(api: Sidecar) -> None:
    signed = api.client.post("/sign", json={"path": "/figures/events?metric=orders&limit=1"}).json()["address"]
    assert api.client.get(signed, headers={"X-API-Key": ""}).json()["count"] == 1


def test_a_masked_key_sees_no_personal_value(api: Sidecar, tmp_path: Path) -> None:
    assert api.client.get("/figures/events?metric=orders&country=DE", headers=MASKED).status_code == 403
    own, masked = (api.client.get("/figures/events?metric=total_sales", headers=h).json() for h in ({}, MASKED))
    assert masked["data"] == own["data"]  # number and key are not personal by default
    with started(tmp_path, PERSONAL_COLUMNS="name,id") as strict:
        fill(strict)
        own, masked = (strict.client.get("/figures/events?metric=total_sales", headers=h).json() for h in ({}, MASKED))
        assert own["data"][0]["name"].startswith("#")
        assert masked["data"] == [{**event, "order": None, "name": "***"} for event in own["data"]]
        assert masked["total"] == own["total"]


def test_the_document_on_the_api_lists_every_parameter() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition("\n### GET /figures/events\n")[2].partition("\n### ")[0]
    for parameter in EVENTS_PARAMETERS:
        assert f"| `{parameter.name}` | {parameter.takes} | {parameter.description} |" in section
