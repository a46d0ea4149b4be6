"""What pages say where filters leave nothing, and where an address names what does not exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, captions, cards, messages, run, shown_text, table
from shop_factory import SHOP_COLUMNS, shop
from streamlit.testing.v1 import AppTest

from dashboard.backend import Backend

pytestmark = pytest.mark.slow

USD_IN_GERMANY_EUR_IN_FRANCE = {
    "1": ("USD", "US", 3),
    "2": ("EUR", "DE", 4),
    "3": ("EUR", "FR", 5),
    "5000": ("CAD", "CA", 400),
}


def order(number: str, currency: str, country: str, days_ago: int) -> Row:
    at = f"{datetime.now(UTC) - timedelta(days_ago):%Y-%m-%d %H:%M:%S}"
    return {
        **shop(1)[0],
        "id": number,
        "name": f"#{number}",
        "created_at": at,
        "processed_at": at,
        "cancelled_at": None,
        "currency": currency,
        "test": "0",
        "destination": f'{{"country_code": "{country}", "country": "{country}"}}',
        "refunds": "[]",
    }


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Orders in dollars, in euros and, a year ago, in Canadian dollars; each currency has countries of its own."""
    rows = [order(number, *values) for number, values in USD_IN_GERMANY_EUR_IN_FRANCE.items()]
    with backend_of(tmp_path_factory.mktemp("filters"), rows, SHOP_COLUMNS) as opened:
        yield opened


def text(shown: AppTest) -> str:
    return shown_text(" ".join(each.value for each in shown.markdown))


def labels(shown: AppTest) -> dict[str, str]:
    """The labels of buttons, with their keys."""
    return {shown_text(button.label): button.key for button in shown.button}


def in_address(shown: AppTest, name: str) -> str:
    value = shown.query_params[name]
    return value if isinstance(value, str) else value[-1]


def pressed(shown: AppTest, label: str) -> AppTest:
    return shown.button(key=labels(shown)[label]).click().run()


def test_a_filter_offers_what_exists_under_the_other_ones(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "30d", "currency": "EUR"})
    assert shown.multiselect(key="country_filter").options == ["DE", "FR"]
    shown = run(backend, "overview", {"period": "30d", "currency": "EUR", "country": "DE", "status": "voided"})
    assert shown.multiselect(key="country_filter").options == ["DE"]


def test_an_empty_page_names_the_filter_that_empties_it(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "30d", "currency": "USD", "country": "DE"})
    assert "No orders with Country: DE while the currency is USD, " in text(shown)
    assert {"Without Country: DE · 1 order", "Currency EUR · 1 order"} <= labels(shown).keys()
    assert not any(label.startswith("All time") for label in labels(shown))
    assert table(shown, "Total sales by country") == []
    after = pressed(shown, "Currency EUR · 1 order")
    assert in_address(after, "currency") == "EUR"
    assert cards(after)["orders"]["value"] == "1"


def test_a_search_looks_in_all_time_and_all_currencies(backend: Backend) -> None:
    shown = run(backend, "orders", {"period": "30d", "q": "#5000"})
    assert [line[0] for line in table(shown, "Orders")[1:]] == ["#5000"]
    assert "Searched in all time and all currencies." in text(shown).replace("**", "")
    assert table(shown, "Sums of these orders")[1][:2] == ["CAD", "1"]
    label = next(label for label in labels(shown) if label.startswith("Only "))
    within = pressed(shown, label)
    assert in_address(within, "within") == "period"
    assert table(within, "Orders") == []
    assert "All time · 1 order" in labels(within)


def test_a_search_that_a_filter_empties_says_so(backend: Backend) -> None:
    shown = run(backend, "orders", {"period": "30d", "q": "#5000", "country": "DE"})
    assert "No order matches “#5000” with Country: DE. All time and all currencies were searched." in text(shown)
    after = pressed(shown, "Without Country: DE · 1 order")
    assert [line[0] for line in table(after, "Orders")[1:]] == ["#5000"]


@pytest.mark.parametrize(
    ("query", "said", "parameter"),
    [
        ({"country": "Atlantis"}, "No order has Country: Atlantis.", "country"),
        ({"currency": "XYZ"}, "No order is in XYZ. These are in EUR.", "currency"),
        ({"period": "fortnight"}, "There is no period “fortnight”. This is “Last 30 days”.", ""),
        ({"total": "9..1"}, "“9..1” is no range of total, such as 10..50, 10.. or ..50.", "total"),
    ],
)
def test_a_link_to_what_does_not_exist_says_so(
    backend: Backend, query: Mapping[str, str], said: str, parameter: str
) -> None:
    shown = run(backend, "overview", {"period": "30d", **query})
    assert said in text(shown)
    after = pressed(shown, "Take it off")
    assert parameter not in after.query_params
    assert in_address(after, "period") == "30d"
    assert said not in text(after)


def test_a_range_that_empties_the_page_is_named_and_taken_off(backend: Backend) -> None:
    shown = run(backend, "orders", {"period": "all", "items": "900.."})
    assert "No orders with Items: at least 900" in text(shown)
    label = next(label for label in labels(shown) if label.startswith("Without Items: at least 900 · "))
    after = pressed(shown, label)
    assert "items" not in after.query_params
    assert len(table(after, "Orders")) > 1


def test_a_link_to_a_queue_that_does_not_exist_says_so(backend: Backend) -> None:
    shown = run(backend, "orders", {"period": "all", "queue": "nothing"})
    assert "There is no queue “nothing” here." in text(shown)


@pytest.mark.parametrize(("page", "listed"), [("orders", "Orders"), ("products", "Top products")])
def test_a_page_behind_the_last_one_shows_the_last_one(backend: Backend, page: str, listed: str) -> None:
    shown = run(backend, page, {"period": "all", "page": "9999"})
    assert "There is no page 9,999. This is the last one, page 1." in text(shown)
    assert len(table(shown, listed)) > 1


def test_a_table_without_orders_has_one_message(tmp_path: Path) -> None:
    with backend_of(tmp_path, [], SHOP_COLUMNS) as empty:
        for page in ("overview", "explore", "what-changed", "orders", "products", "customers"):
            shown = run(empty, page, {})
            assert [note.split(".")[0] for note in messages(shown, "note")] == ["The table has no orders yet"]
            assert cards(shown) == {}


def test_customers_who_are_new_and_returning_are_counted_out_loud(tmp_path: Path) -> None:
    rows = [{**order(str(i), "USD", "US", 5 - i), "email": "a@example.com", "customer_id": "7"} for i in (1, 2)]
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as repeated:
        shown = run(repeated, "customers", {"period": "30d"})
    assert "1 customer counts as new and as returning: " in captions(shown)


def test_a_table_whose_last_order_is_old_opens_on_its_newest_orders(tmp_path: Path) -> None:
    last = datetime.now(UTC) - timedelta(200)
    with backend_of(tmp_path, [order("1", "USD", "US", 200), order("2", "USD", "US", 900)], SHOP_COLUMNS) as old:
        shown = run(old, "overview", {})
        chosen = run(old, "overview", {"period": "30d"})
    assert (in_address(shown, "period"), in_address(shown, "to")) == ("custom", f"{last:%Y-%m-%d}")
    assert f"The last order is of {last.day} {last:%b %Y}. These are the 30 days up to it." in text(shown)
    assert cards(shown)["orders"]["value"] == "1"
    assert "The last order" not in text(chosen)
    assert cards(chosen)["orders"]["value"] == "0"
    assert "All time · 2 orders" in labels(chosen)
