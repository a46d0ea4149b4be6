"""Pages over orders in several currencies: one of them, all in one total, and lists of all orders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cache_factory import Row
from page_run import backend_of, captions, cards, messages, run, table
from shop_factory import SHOP_COLUMNS, shop
from streamlit.testing.v1 import AppTest

from cache.errors import SettingsInvalid
from dashboard.backend import Backend

pytestmark = pytest.mark.slow

DAY = datetime.now(UTC) - timedelta(2)
RATES = f"date,currency,rate\n{DAY - timedelta(30):%Y-%m-%d},USD,0.90\n{DAY:%Y-%m-%d},USD,0.80\n"
ZERO = dict.fromkeys(("total_discounts", "total_shipping", "total_tax", "total_refunded"), "0.00")


def placed(number: int, currency: str, total: str, at: datetime = DAY, cancelled: bool = False) -> Row:
    """An order of goods alone."""
    moment = f"{at:%Y-%m-%d} 12:00:00"
    return {
        **shop(1)[0],
        **ZERO,
        "id": str(number),
        "name": f"#{number}",
        "created_at": moment,
        "processed_at": moment,
        "cancelled_at": moment if cancelled else None,
        "currency": currency,
        "test": "0",
        "taxes_included": "0",
        "line_items": "[]",
        "refunds": "[]",
        "subtotal_price": total,
        "total_price": total,
    }


ROWS = [
    placed(1, "EUR", "100.00"),
    placed(2, "USD", "100.00", DAY - timedelta(1)),
    placed(3, "USD", "10.00"),
    placed(4, "USD", "1000.00", DAY - timedelta(40)),  # before the first rate
    placed(5, "CHF", "1000.00"),
    placed(6, "EUR", "500.00", cancelled=True),
]


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(RATES)
    return path


@pytest.fixture
def backend(tmp_path: Path, rates: Path) -> Iterator[Backend]:
    settings = {"rates_file": str(rates), "shop_currency": "EUR", "cancelled_orders": "excluded"}
    with backend_of(tmp_path, ROWS, SHOP_COLUMNS, **settings) as opened:
        yield opened


def currency_choice(shown: AppTest) -> Any:
    return next(radio for radio in shown.radio if radio.label == "Currency")


def test_all_currencies_are_one_total_at_the_rates_of_the_days(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "90d", "convert": "true"})
    assert cards(shown)["total_sales"]["value"] == "€198.00"  # 100.00 + 90.00 + 8.00
    assert cards(shown)["orders"]["value"] == "3"
    assert "Amounts in other currencies are converted to EUR, each at the rate of its own day." in captions(shown)
    assert f"Newest rates: 1 USD = 0.8 EUR on {DAY.day} " in captions(shown)
    assert "Orders without an exchange rate are excluded, of all time 1 in CHF, 1 in USD." in captions(shown)
    assert "1 cancelled order is excluded." in captions(shown)


def test_the_choice_of_currencies_offers_one_total(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "90d"})
    assert cards(shown)["total_sales"]["value"] == "€100.00"
    assert "Orders in other currencies are excluded, of all time 3 in USD, 1 in CHF." in captions(shown)
    assert currency_choice(shown).options == ["USD · 3 orders", "CHF · 1 order", "EUR · 1 order", "All in EUR"]
    currency_choice(shown).set_value("all").run()
    assert shown.query_params["convert"] == "true"
    assert cards(shown)["total_sales"]["value"] == "€198.00"
    currency_choice(shown).set_value("USD").run()
    assert "convert" not in shown.query_params
    assert cards(shown)["total_sales"]["value"] == "$1,110.00"


@pytest.mark.parametrize("address", [{}, {"currency": "USD"}, {"convert": "true"}], ids=str)
def test_the_list_of_orders_has_all_currencies_with_a_sum_for_each(backend: Backend, address: dict[str, str]) -> None:
    shown = run(backend, "orders", {"period": "90d", **address})
    assert {(line[0], line[-1]) for line in table(shown, "Orders")[1:]} == {
        ("#1", "€100.00"),
        ("#2", "$100.00"),
        ("#3", "$10.00"),
        ("#4", "$1,000.00"),
        ("#5", "CHF 1,000.00"),
    }
    assert table(shown, "Sums of these orders") == [
        ["Sums", "USD", "CHF", "EUR", "All"],
        ["Orders", "3", "1", "1", "5"],
        ["Items", "0", "0", "0", "0"],
        ["Total", "$1,110.00", "CHF 1,000.00", "€100.00", ""],
    ]
    assert "are excluded, of all time" not in captions(shown)
    assert not [radio for radio in shown.radio if radio.label == "Currency"]


def test_other_pages_show_the_one_total_too(backend: Backend) -> None:
    address = {"period": "90d", "convert": "true", "metric": "total_sales", "step": "whole", "by": "status"}
    explored = table(run(backend, "explore", address), "As a table")
    assert explored[1][:2] == ["Paid", "€198.00"]
    assert cards(run(backend, "products", address))["gross_sales"]["value"] == "€198.00"
    request = run(backend, "api", address).code[0].value
    assert "currency" not in request
    assert "cancelled_at__isnull=true" in request


def test_the_events_of_a_converted_figure_sum_to_it(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "90d", "convert": "true", "explain": "total_sales"})
    assert shown.header[0].value.replace("\\", "") == "€198.00"
    assert [line[-1] for line in table(shown, "Events")[1:]] == ["€90.00", "€100.00", "€8.00"]
    assert "currency=EUR&convert=true" in " ".join(each.value for each in shown.markdown)


def test_without_rates_the_address_cannot_ask_for_one_total(tmp_path: Path) -> None:
    with backend_of(tmp_path, ROWS, SHOP_COLUMNS, shop_currency="EUR") as backend:
        shown = run(backend, "overview", {"period": "90d", "convert": "true"})
        assert "All in EUR" not in currency_choice(shown).options
        assert "Orders in other currencies are excluded" in captions(shown)


def test_rates_that_no_longer_parse_are_named(backend: Backend, rates: Path) -> None:
    rates.write_text(RATES + "2026-01-01,USD,0,9\n")
    shown = run(backend, "overview", {"period": "90d", "convert": "true"})
    assert "RATES_FILE, line 4: it has 4 values instead of 3" in messages(shown, "error")[0]
    assert "Orders in other currencies are excluded" in captions(shown)
    assert not messages(run(backend, "overview", {"period": "90d"}), "error")


def test_a_dashboard_does_not_start_with_rates_that_do_not_parse(tmp_path: Path, rates: Path) -> None:
    rates.write_text("date;currency;rate\n")
    settings = {"rates_file": str(rates), "shop_currency": "EUR"}
    with (
        pytest.raises(SettingsInvalid, match="RATES_FILE, line 1: the header is not date,currency,rate"),
        backend_of(tmp_path, ROWS, SHOP_COLUMNS, **settings),
    ):
        pass
