"""`GET /figures` and `GET /figures/metrics`: the figures of `Orders`, over HTTP and in every format."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import openpyxl
import polars
import pytest
from cache_factory import publish
from paths import ROOT
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, sidecar

from api.contract.queries.figures_query import PARAMETERS
from cache.access.api_keys import ApiKey, digest
from cache.analytics.dimensions.catalogue import DIMENSIONS
from cache.analytics.figures import Figures
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition
from cache.reading import StoredReading
from cache.storage.documents import API_KEYS, READING, SETUP

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)
ZONE = "Pacific/Auckland"
MASKED = "a-masked-key-for-tests-0123456789"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api"), SHOP_TIMEZONE=ZONE) as running:
        publish(running.cache, shop(300, NOW), columns=SHOP_COLUMNS)
        agency = ApiKey(name="agency", digest=digest(MASKED), scopes=("read",), masked=True, created_at=NOW)
        running.cache.documents.change(API_KEYS, lambda keys: keys.add(agency))
        running.client.get("/figures/metrics")  # stores the reading of the table
        yield running


@pytest.fixture(scope="module")
def orders(api: Sidecar) -> Iterator[Orders]:
    opened = Orders(api.cache.snapshots.open(1), ZONE)
    yield opened
    opened.close()


def get(api: Sidecar, **query: object) -> dict[str, Any]:
    response = api.client.get("/figures", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def refused(api: Sidecar, query: str, **headers: str) -> tuple[int, str, str]:
    response = api.client.get(f"/figures?{query}", headers=headers)
    body = response.json()
    assert body["status"] == "error"
    return response.status_code, body["code"], body["message"]


def written(name: str, figures: Figures) -> str | int | None:
    """A metric as the contract writes it: money with its cents, counts as numbers."""
    value = METRICS[name].value(figures)
    if isinstance(value, Decimal):
        assert METRICS[name].unit == "money"
        return str(value.quantize(Decimal("0.01")))
    assert isinstance(value, int)
    return value


def main_currency(orders: Orders) -> str:
    return orders.currencies()[0][0]


def days(body: dict[str, Any], period: str = "period") -> Span:
    return Span.of_days(*(date.fromisoformat(body[period][name]) for name in ("from", "to")))


def test_it_works(api: Sidecar, orders: Orders) -> None:
    body = get(api, metric="gross_sales,orders", by="country", step="month", period="last_year", compare="year")

    assert {name: body[name] for name in ("status", "generation", "verified", "reading", "currency", "next")} == {
        "status": "success",
        "generation": 1,
        "verified": True,
        "reading": "confirmed",
        "currency": main_currency(orders),
        "next": None,
    }
    currency = [Condition("currency", "eq", body["currency"])]
    expected = {
        (group.values[0], f"{group.at:%Y-%m-%d}"): group.figures
        for group in orders.groups(("country",), "month", days(body), currency)
    }
    rows = {(row["country"], row["step"]): row for row in body["data"]}
    assert expected.keys() <= rows.keys()
    for key, row in rows.items():
        figures = expected.get(key, Figures())
        assert (row["gross_sales"], row["orders"]) == (written("gross_sales", figures), figures.orders)
        assert row["compared"].keys() == {"gross_sales", "orders"}
    for totals, span in ((body["totals"], days(body)), (body["compared"]["totals"], days(body, "compared"))):
        whole = orders.figures(span, currency)
        assert totals == {name: written(name, whole) for name in ("gross_sales", "orders")}
    assert body["count"] == body["total_count"] == len(body["data"])
    about = body["metrics"]["gross_sales"]
    assert (about["label"], about["unit"], about["reason"], about["marked"]) == ("Gross sales", "money", None, None)
    assert METRICS["gross_sales"].formula in about["formula"]


def test_without_parameters_it_is_all_that_the_table_can_tell(api: Sidecar, orders: Orders) -> None:
    body = get(api)
    available = [name for name, metric in METRICS.items() if metric.available(orders.missing)]
    assert list(body["metrics"]) == available
    assert body["compared"] is None
    assert body["data"] == [body["totals"]]
    assert all(value is not None for value in body["totals"].values())


def test_quotients_are_rounded_and_amounts_have_their_cents(api: Sidecar, orders: Orders) -> None:
    totals = get(api, metric="average_order_value,refund_rate,gross_sales")["totals"]
    figures = orders.figures(None, [Condition("currency", "eq", main_currency(orders))])
    for name, most in (("average_order_value", "0.0001"), ("refund_rate", "0.000001")):
        exact = METRICS[name].value(figures)
        assert isinstance(exact, Decimal)
        assert Decimal(totals[name]) == exact.quantize(Decimal(most), ROUND_HALF_UP)
    assert totals["gross_sales"] == written("gross_sales", figures)


def test_days_are_those_of_the_shops_clock(api: Sidecar, orders: Orders) -> None:
    today = datetime.now(UTC).astimezone(ZoneInfo(ZONE)).date()
    body = get(api, metric="orders", period="7d", step="day")
    assert days(body).end.date() - timedelta(1) in (today, today + timedelta(1))
    currency = [Condition("currency", "eq", body["currency"])]
    for row in body["data"]:
        day = date.fromisoformat(row["step"])
        assert row["orders"] == orders.figures(Span.of_days(day, day), currency).orders
    assert [row["partial"] for row in body["data"]] == [False] * (len(body["data"]) - 1) + [True]


def test_hours_are_on_the_shops_clock_too(api: Sidecar) -> None:
    body = get(api, metric="orders", period="yesterday", step="hour")
    assert body["data"][0]["step"] == f"{body['period']['from']}T00:00:00"
    assert sum(row["orders"] for row in body["data"]) == body["totals"]["orders"]


def test_filters_are_those_of_rows(api: Sidecar, orders: Orders) -> None:
    for query, condition in (
        ({"country": "US"}, Condition("country", "eq", "US")),
        ({"country__in": "US,DE"}, Condition("country", "in", ("US", "DE"))),
        ({"status__ne": "paid"}, Condition("status", "ne", "paid")),
        ({"refunded": "yes"}, Condition("refunded", "eq", "yes")),
        ({"product": next(iter(orders.products(1)))}, Condition("product", "eq", next(iter(orders.products(1))))),
    ):
        currency = Condition("currency", "eq", main_currency(orders))
        expected = orders.figures(None, [currency, condition])
        assert get(api, metric="orders,gross_sales", **query)["totals"] == {
            "orders": expected.orders,
            "gross_sales": written("gross_sales", expected),
        }
        assert expected.orders


def test_all_currencies_have_rows_of_their_own(api: Sidecar, orders: Orders) -> None:
    body = get(api, metric="gross_sales,orders", currency="all")
    assert body["currency"] == "all"
    assert {row["currency"]: row["orders"] for row in body["data"]} == dict(orders.currencies())
    assert body["totals"] == {"gross_sales": None, "orders": sum(count for _, count in orders.currencies())}
    other = orders.currencies()[-1][0]
    (row,) = (row for row in body["data"] if row["currency"] == other)
    assert get(api, metric="gross_sales,orders", currency=other)["data"] == [
        {name: row[name] for name in ("gross_sales", "orders")}
    ]


def test_pages_join_to_all_rows(api: Sidecar) -> None:
    query = {"metric": "orders", "by": "country,channel", "step": "quarter"}
    whole = get(api, **query)
    rows, after = [], {}
    while True:
        page = get(api, **query, limit=40, **after)
        assert page["total_count"] == whole["total_count"] > 80
        assert page["totals"] == whole["totals"]
        rows += page["data"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert rows == whole["data"]
    assert refused(api, f"metric=orders&by=country&after={get(api, **query, limit=40)['next']}")[:2] == (
        400,
        "parameter_invalid",
    )


@pytest.mark.parametrize("format", ["ndjson", "csv", "xlsx", "parquet", "sqlite"])
def test_every_format_holds_the_same_figures(api: Sidecar, format: str) -> None:
    query = {"metric": "gross_sales,orders,units", "by": "country", "step": "quarter", "period": "365d"}
    query |= {"compare": "before", "limit": "30"}
    expected = get(api, **query)
    response = api.client.get("/figures", params={**query, "format": format})
    assert response.headers["x-total-count"] == str(expected["total_count"])
    assert response.headers.get("x-next") == expected["next"]
    rows = read(format, response.content)
    if format == "ndjson":
        assert rows == expected["data"]
        return
    assert len(rows) == len(expected["data"])
    for row, flat in zip(expected["data"], rows, strict=True):
        assert list(flat) == [
            *("country", "step", "partial", "gross_sales", "orders", "units"),
            *("compared_gross_sales", "compared_orders", "compared_units"),
        ]
        assert (flat["country"] or "", str(flat["step"])[:10]) == (row["country"], row["step"])
        for name in ("gross_sales", "orders", "units"):
            assert round(Decimal(str(flat[name])), 2) == Decimal(row[name])
            assert round(Decimal(str(flat[f"compared_{name}"])), 2) == Decimal(row["compared"][name])


def test_the_header_accept_names_a_format_too(api: Sidecar) -> None:
    by_header = api.client.get("/figures?metric=orders&by=status", headers={"Accept": "text/csv"})
    by_parameter = api.client.get("/figures?metric=orders&by=status&format=csv")
    assert by_header.content == by_parameter.content
    assert by_header.headers["content-type"].startswith("text/csv")


def read(format: str, content: bytes) -> list[dict[str, Any]]:
    match format:
        case "ndjson":
            return [json.loads(line) for line in content.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(content.decode())))
        case "parquet":
            table = polars.read_parquet(io.BytesIO(content))
            assert table.schema["gross_sales"] == polars.Decimal(38, 2)
            assert table.schema["step"] == polars.Date
            return table.to_dicts()
        case "sqlite":
            with closing(sqlite3.connect(":memory:")) as database:
                database.deserialize(content)
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute("SELECT * FROM figures")]
        case _:
            header, *rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
            return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_repeated_request_is_answered_from_memory_or_with_304(api: Sidecar) -> None:
    first = api.client.get("/figures?metric=orders&by=country")
    again = api.client.get("/figures?by=country&metric=orders")
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    for tag in (first.headers["etag"], "*"):
        same = api.client.get("/figures?metric=orders&by=country", headers={"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
    others = ("/figures?metric=units&by=country", "/figures?metric=orders&by=country&format=csv", "/figures/metrics")
    for other in others:
        assert api.client.get(other, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    assert api.client.get("/figures?metric=nothing", headers={"If-None-Match": "*"}).status_code == 400


def test_another_time_zone_in_the_settings_counts_at_once(api: Sidecar) -> None:
    path = "/figures?metric=orders&period=30d"
    before = api.client.get(path)
    api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"timezone": "America/Los_Angeles"}))
    try:
        today = datetime.now(ZoneInfo("America/Los_Angeles")).date()
        west = api.client.get(path)
        assert west.headers["etag"] != before.headers["etag"]
        assert date.fromisoformat(west.json()["period"]["to"]) - today <= timedelta(1)
    finally:
        api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"timezone": None}))
    assert api.client.get(path).content == before.content


def test_test_orders_that_settings_count_are_orders(api: Sidecar, orders: Orders) -> None:
    path = "/figures?metric=orders&currency=all"
    before = api.client.get(path)
    api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"counted": ("test",)}))
    try:
        counted = api.client.get(path)
        assert counted.headers["etag"] != before.headers["etag"]
        assert counted.json()["totals"]["orders"] == before.json()["totals"]["orders"] + orders.left_out["test"]
    finally:
        api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"counted": ()}))
    assert api.client.get(path).content == before.content


def test_a_reading_that_was_dropped_is_chosen_again(api: Sidecar) -> None:
    before = api.client.get("/figures?metric=orders")
    api.cache.documents.change(READING, lambda _: StoredReading())
    after = api.client.get("/figures?metric=orders")
    assert after.headers["etag"] != before.headers["etag"]
    assert api.client.get("/figures?metric=orders").content == after.content == before.content
    assert api.cache.documents.read(READING) != StoredReading()


def test_the_metrics_and_dimensions_are_listed(api: Sidecar, orders: Orders) -> None:
    body = api.client.get("/figures/metrics").json()
    assert [metric["id"] for metric in body["metrics"]] == list(METRICS)
    for metric in body["metrics"]:
        assert metric["available"] == METRICS[metric["id"]].available(orders.missing)
        assert (metric["reason"] is None) == metric["available"]
    listed = {dimension["id"]: dimension for dimension in body["dimensions"]}
    assert list(listed) == [*DIMENSIONS, *(each.id for each in orders.row_dimensions())]
    personal = {name for name, dimension in listed.items() if dimension["personal"]}
    assert personal >= {"country", "region", "city", "customer"}  # from `destination` and `email`
    assert not personal & {"status", "product", "customer_type", "weekday"}


def test_a_masked_key_may_use_no_dimension_from_a_personal_column(api: Sidecar) -> None:
    headers = {"X-API-Key": MASKED}
    assert api.client.get("/figures?metric=gross_sales&by=status", headers=headers).json()["data"]
    for query in ("by=country", "country=DE", "country__ne=DE"):
        status, code, message = refused(api, f"metric=orders&{query}", **headers)
        assert (status, code) == (403, "column_masked")
        assert message.startswith("'country' comes from a column that is hidden from this key.")
        assert api.client.get(f"/figures?metric=orders&{query}").status_code == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("metric=net_sale", "Parameter 'metric' does not know 'net_sale'. Did you mean 'net_sales'?"),
        ("metric=orders,orders", "Parameter 'metric' names 'orders' twice."),
        ("by=contry", "Parameter 'by' does not know 'contry'. Did you mean 'country'?"),
        ("by=currency", "Parameter 'by' does not know 'currency'."),
        ("by=status,fulfilment,channel,country", "Parameter 'by' has 4 names. It takes 3 at most."),
        ("contry=DE", "Unknown parameter 'contry'. Did you mean 'country'? /figures takes metric, by, step,"),
        ("metrics=orders", "Unknown parameter 'metrics'. Did you mean 'metric'?"),
        ("step=fortnight", "Parameter 'step' does not parse. It takes hour, day, week, month, quarter or year."),
        ("period=custom&from=2026-01-01", "period=custom needs 'from' and 'to'."),
        ("from=2026-01-01", "Parameter 'from' is for period=custom."),
        ("period=custom&from=2026-02-01&to=2026-01-01", "Parameter 'from' is later than 'to'."),
        ("period=custom&from=1.2.2026&to=2026-01-01", "Parameter 'from' does not parse."),
        ("compare=year", "Parameter 'compare' needs a period."),
        ("currency=XXX", "No order has the currency 'XXX'. Currencies: "),
        ("currency=euro", "Parameter 'currency' does not parse."),
        ("limit=0", "Parameter 'limit' does not parse. It takes a whole number from 1 to 10000."),
        ("status__between=1", "Unknown parameter 'status__between'."),
        ("country__gt=1&country__in=%22", "Parameter 'country__in' does not parse."),
        ("formulas=defuse", "Parameter 'formulas' is for CSV."),
        ("decimal=,", "Parameter 'decimal' is for CSV."),
        ("after=x", "Parameter 'after' does not parse."),
    ],
)
def test_what_does_not_fit_is_refused_by_name(api: Sidecar, query: str, message: str) -> None:
    status, _, text = refused(api, query)
    assert status == 400
    assert text.startswith(message)


def test_a_key_is_needed(api: Sidecar) -> None:
    for path in ("/figures", "/figures/metrics"):
        assert httpx2.get(api.url + path).status_code == 401


def test_a_signed_address_stands_for_the_key(api: Sidecar) -> None:
    path = "/figures?metric=orders&by=country&format=csv"
    address = api.client.post("/sign", json={"path": path}).json()["address"]
    assert httpx2.get(api.url + address).content == api.client.get(path).content
    assert httpx2.get(api.url + address.replace("by=country", "by=status")).status_code == 401


def test_head_says_how_long_the_body_is(api: Sidecar) -> None:
    headers = {"Accept-Encoding": "identity"}
    full = api.client.get("/figures?metric=orders", headers=headers)
    head = api.client.head("/figures?metric=orders", headers=headers)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(full.content)))


def test_before_the_first_sync_nothing_is_known(tmp_path: Path) -> None:
    with sidecar(tmp_path) as empty:
        for path in ("/figures", "/figures/metrics"):
            response = empty.client.get(path)
            assert (response.status_code, response.json()["status"]) == (503, "pending")


def test_pages_stay_with_their_generation(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, shop(60, NOW), columns=SHOP_COLUMNS)
        query = {"metric": "orders", "by": "country", "step": "month"}
        first = get(api, **query, limit=10)
        whole = get(api, **query)
        publish(api.cache, shop(61, NOW), columns=SHOP_COLUMNS)
        rest = get(api, **query, after=first["next"])
        assert first["data"] + rest["data"] == whole["data"]
        assert (rest["generation"], get(api, **query)["generation"]) == (1, 2)
        assert get(api, metric="orders", currency="all")["totals"]["orders"] != whole["totals"]["orders"]


def test_a_table_without_returns_says_so_in_place_of_a_number(tmp_path: Path) -> None:
    columns = [c for c in SHOP_COLUMNS if c.name not in ("refunds", "total_refunded", "created_at", "processed_at")]
    rows = [{c.name: row[c.name] for c in columns} for row in shop(60, NOW)]
    with sidecar(tmp_path) as api:
        publish(api.cache, rows, columns=[c for c in columns if c.name != "updated_at"])
        body = get(api, metric="returns,net_sales,orders")
        assert body["period"] is None
        assert body["totals"]["returns"] is None
        assert body["metrics"]["net_sales"]["note"] == "returns not known"
        assert body["metrics"]["orders"]["note"] is None
        assert body["metrics"]["returns"]["reason"].startswith("No returns: the table has no column for")
        status, code, message = refused(api, "metric=orders&step=day")
        assert (status, code) == (400, "bad_filter")
        assert message.startswith("No dates: the table has no column for")


def test_the_document_on_the_api_lists_every_parameter() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition("\n### GET /figures\n")[2].partition("\n### ")[0]
    for parameter in PARAMETERS:
        assert f"| `{parameter.name}` | {parameter.takes} | {parameter.description} |" in section


def test_rows_by_product_and_what_belongs_to_none_add_up(api: Sidecar) -> None:
    body = api.client.get("/figures?metric=gross_sales,discounts,total_sales,orders&by=product").json()
    assert body["overlapping"] is True
    assert body["unattributed"]["orders"] is None
    for name in ("gross_sales", "discounts", "total_sales"):
        rows = sum(Decimal(row[name]) for row in body["data"])
        assert rows + Decimal(body["unattributed"][name]) == Decimal(body["totals"][name])
    assert api.client.get("/figures?metric=orders&by=country").json()["unattributed"] is None


def test_columns_and_values_inside_json_are_dimensions(api: Sidecar) -> None:
    for name in ("column:taxes_included", "json:destination.country"):
        body = api.client.get("/figures", params={"metric": "orders", "by": name}).json()
        assert sum(row["orders"] for row in body["data"]) == body["totals"]["orders"]
        one = api.client.get("/figures", params={"metric": "orders", name: body["data"][0][name]}).json()
        assert one["totals"]["orders"] == body["data"][0]["orders"]
    for wrong in ("column:nothing", "json:destination"):
        assert api.client.get("/figures", params={"metric": "orders", "by": wrong}).status_code == 400
    hidden = {"metric": "orders", "by": "json:destination.country"}
    assert api.client.get("/figures", params=hidden, headers={"X-API-Key": MASKED}).status_code == 403
