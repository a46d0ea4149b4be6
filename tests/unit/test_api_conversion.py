"""GET /figures with exchange rates and without cancelled orders."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cache_factory import publish
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, sidecar

from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders

pytestmark = pytest.mark.slow

RATES = "date,currency,rate\n2024-01-01,USD,0.92\n2025-03-01,USD,0.88\n2025-01-01,JPY,0.0061\n"
WORSE = "date,currency,rate\n2024-01-01,USD,0,92\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "rates.csv").write_text(RATES)
    settings = {"RATES_FILE": str(folder / "rates.csv"), "SHOP_CURRENCY": "EUR", "CANCELLED_ORDERS": "excluded"}
    with sidecar(folder, **settings) as running:
        publish(running.cache, shop(300), columns=SHOP_COLUMNS)
        yield running


@pytest.fixture(scope="module")
def orders(api: Sidecar) -> Iterator[Orders]:
    opened = Orders(api.cache.snapshots.open(1), "UTC", cancelled_orders="excluded")
    yield opened
    opened.close()


def get(api: Sidecar, query: str) -> dict[str, Any]:
    response = api.client.get(f"/figures?{query}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_all_currencies_become_one_total(api: Sidecar, orders: Orders) -> None:
    converted = orders.converted(ExchangeRates(currency="EUR", text=RATES))
    figures = converted.figures(None)
    body = get(api, "metric=orders,total_sales,returns,average_order_value&convert=true")
    assert (body["currency"], body["converted"]) == ("EUR", True)
    assert body["totals"]["orders"] == figures.orders > orders.figures(None).orders / 2
    for name in ("total_sales", "returns"):
        assert body["totals"][name] == f"{METRICS[name].value(figures):.2f}"
    assert get(api, "metric=orders,total_sales,returns,average_order_value&convert=true&currency=EUR") == body


def test_the_events_of_a_converted_figure_sum_to_it(api: Sidecar) -> None:
    for name in ("total_sales", "average_order_value", "returns"):
        events = api.client.get(f"/figures/events?metric={name}&convert=true&limit=10000").json()
        assert (events["currency"], events["next"]) == ("EUR", None)
        assert events["total"] == get(api, f"metric={name}&convert=true")["totals"][name]
        assert sum(Decimal(event["amount"] or 0) for event in events["data"]) == Decimal(events["amount"])


def test_excluded_rows_are_counted_by_reason(api: Sidecar, orders: Orders) -> None:
    converted = orders.converted(ExchangeRates(currency="EUR", text=RATES))
    counts = dict(orders.currencies())
    one, total, each = (get(api, f"metric=orders{more}")["excluded"] for more in ("", "&convert=true", "&currency=all"))
    assert orders.left_out["cancelled"] > 0
    assert one == {**orders.left_out, "other_currency": sum(counts.values()) - counts["EUR"]}
    assert total == {**orders.left_out, "no_rate": sum(converted.facts.without_rate.values())}
    assert each == orders.left_out


@pytest.mark.parametrize("query", ["convert=true&currency=USD", "convert=true&currency=all", "convert=maybe"])
def test_other_currencies_cannot_be_converted_to(api: Sidecar, query: str) -> None:
    response = api.client.get(f"/figures?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "parameter_invalid")


def test_other_settings_give_other_figures_and_tags(api: Sidecar) -> None:
    """Without rates nothing is converted, and by default cancelled orders count."""
    here = api.client.get("/figures?metric=orders&currency=EUR")
    with sidecar(api.folder) as usual:
        refused = usual.client.get("/figures?convert=true")
        there = usual.client.get("/figures?metric=orders&currency=EUR", headers={"If-None-Match": here.headers["etag"]})
    assert refused.status_code == 400
    assert "RATES_FILE" in refused.json()["message"]
    assert there.status_code == 200
    assert there.json()["totals"]["orders"] > here.json()["totals"]["orders"]
    assert "cancelled" not in there.json()["excluded"]


def test_new_rates_count_at_once(api: Sidecar) -> None:
    """A file that no longer parses is named, and only where amounts are to be converted."""
    path, query = api.folder / "rates.csv", "/figures?metric=total_sales&convert=true"
    before = api.client.get(query)
    path.write_text(RATES + "2025-06-01,USD,0.5\n")
    after = api.client.get(query, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["totals"] != before.json()["totals"]
    path.write_text(WORSE)
    refused = api.client.get(query)
    assert (refused.status_code, refused.json()["code"]) == (503, "settings_invalid")
    assert "RATES_FILE, line 2" in refused.json()["message"]
    assert api.client.get("/figures?metric=total_sales").status_code == 200
    path.write_text(RATES)
    assert api.client.get(query).json() == before.json()


def test_the_api_does_not_start_with_rates_that_do_not_parse(tmp_path: Any) -> None:
    (tmp_path / "rates.csv").write_text(WORSE)
    settings = {"RATES_FILE": str(tmp_path / "rates.csv"), "SHOP_CURRENCY": "EUR"}
    with pytest.raises(AssertionError, match="RATES_FILE, line 2: it has 4 values"), sidecar(tmp_path, **settings):
        pass
