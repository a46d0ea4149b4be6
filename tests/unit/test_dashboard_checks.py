"""The checks on the dashboard: the badge, the marks at figures, the checks on the Data page, and the orders behind."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from cache_factory import Row
from damages import DAMAGES
from page_run import backend_of, captions, cards, links, run, table
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.marks import Mark
from cache.analytics.metrics import METRICS
from cache.check_report import CheckReport, CheckResult, share_text
from dashboard.text.checks import badge, mark_size, mark_text
from dashboard.text.formatting import Label

pytestmark = pytest.mark.slow

RESULTS = {"total": CheckResult(checked=10_000, agree=10_000)}


def report(agree: int, questions: int = 0, confirmed: bool = True, orders: int = 10_000) -> CheckReport:
    return CheckReport(
        orders=orders,
        agree=agree,
        questions=questions,
        confirmed=confirmed,
        checks=RESULTS,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (report(10_000), Label("Figures: 100% of all orders add up", "green")),
        (report(9_998), Label("Figures: 99.98% of all orders add up", "green")),
        (report(9_900), Label("Figures: 99.00% of all orders add up", "green")),
        (report(9_899), Label("Figures: 98.99% of all orders add up", "orange")),
        (report(40, confirmed=False, orders=40), Label("Figures: 100% of all orders add up, not confirmed", "gray")),
        (report(10_000, 1, False), Label("Figures: 100% of all orders add up, not confirmed", "orange")),
        (report(0, orders=0), None),
        (CheckReport(orders=10), None),
    ],
    ids=["all", "almost all", "at the limit", "below", "few orders", "a question", "no orders", "nothing to check"],
)
def test_the_badge_says_how_many_orders_add_up(found: CheckReport, shown: Label | None) -> None:
    assert badge(found, 0.99) == shown


def test_the_badge_turns_amber_below_the_setting() -> None:
    assert [each.tone for limit in (0.9, 1) if (each := badge(report(9_500), limit))] == ["green", "orange"]


def test_a_share_is_100_percent_only_where_all_agree() -> None:
    assert [share_text(part, 1_000_000) for part in (999_999, 1_000_000, 999_900)] == ["99.99%", "100%", "99.99%"]


def test_a_mark_says_its_size_in_words() -> None:
    mark = Mark("parse", 500, Decimal("61725.00"), "500 orders have values that cannot be read.", None)
    assert mark_text(mark, METRICS["total_sales"], "USD") == "± $61,725 · 500 orders have values that cannot be read"
    small = mark._replace(difference=Decimal("12.5"))
    assert mark_size(small, METRICS["net_sales"], "EUR") == "± €12.50"


@pytest.mark.parametrize("metric", ["orders", "refund_rate", "time_to_fulfil", "average_order_value"])
def test_a_sum_of_money_is_no_size_of_a_count_or_an_average(metric: str) -> None:
    mark = Mark("dates", 3, Decimal(100), "3 orders have no date, or dates in an impossible order.", None)
    assert mark_text(mark, METRICS[metric], "USD") == "3 orders have no date, or dates in an impossible order"


# -- pages

ROWS = [row for row in shop(900) if row["currency"] == "USD" and row["test"] == "0"]
VIEW = {"period": "365d", "compare": "previous_year"}
PAGES = ("overview", "explore", "products", "customers")


def damaged() -> list[Row]:
    return list(DAMAGES["totals have a digit too many"].apply(ROWS, "total_price"))


def test_pages_of_healthy_data_have_no_mark_and_a_green_badge(tmp_path: Path) -> None:
    with backend_of(tmp_path, ROWS, SHOP_COLUMNS, checked=True) as backend:
        for page in PAGES:
            shown = run(backend, page, VIEW)
            assert [card["marks"] for card in cards(shown).values() if card["marks"]] == []
            shown_links = [text for text, _ in links(shown) if text != "All saved views"]
            assert shown_links == ["Figures: 100% of all orders add up"], page


def test_cards_and_titles_of_damaged_data_carry_marks_that_open_the_orders(tmp_path: Path) -> None:
    with backend_of(tmp_path, damaged(), SHOP_COLUMNS, checked=True) as backend:
        overview = run(backend, "overview", VIEW)
        now, before = cards(overview)["total_sales"]["marks"]
        others = {page: dict(links(run(backend, page, VIEW))) for page in PAGES[1:]}
        listed, compared = (run(backend, "orders", {**VIEW, **others["explore"][mark]}) for mark in (now, before))
    sentence = "orders have a total that is not the sum of its parts"
    assert now.startswith("± $") and now.endswith(sentence)
    assert before.startswith("Compared period: ± $") and before.endswith(sentence)
    count, count_before = (mark.split(" · ")[1].split()[0] for mark in (now, before))
    assert f"{count} orders, newest first" in captions(listed)
    assert f"{count_before} orders, newest first" in captions(compared)
    assert cards(overview)["time_to_fulfil"]["marks"] == []
    for page in ("explore", "products", "customers"):
        assert now in others[page], page


def test_the_data_page_lists_the_checks_and_the_first_orders_that_fail(tmp_path: Path) -> None:
    with backend_of(tmp_path, damaged(), SHOP_COLUMNS, checked=True) as backend:
        data = run(backend, "data", {})
        result = backend.cache.snapshots.checks(1)
        all_of_them = run(backend, "orders", {"period": "all", "check": "total"})
    assert result
    failed = result.checks["total"].failed
    rows = {row[0]: row[1:] for row in table(data, "Checks")[1:]}
    assert rows["Total adds up"][0] == f"{len(ROWS):,} orders"
    assert rows["Dates are in order"][1:] == ["100%", "–", "–"]
    assert rows["Total adds up"][2].startswith("$")
    assert f" of {failed} orders" in captions(all_of_them)
    assert [text for text, _ in links(data)] == [
        f"Figures: {share_text(result.agree, result.orders)} of all orders add up"
    ]


def test_a_copy_without_checks_says_so_and_has_no_badge(tmp_path: Path) -> None:
    with backend_of(tmp_path, ROWS[:60], SHOP_COLUMNS) as backend:
        data = run(backend, "data", {})
    assert "The checks of this copy were not made" in captions(data)
    assert links(data) == []


def test_what_the_reading_leaves_open_stands_with_the_checks(tmp_path: Path) -> None:
    with backend_of(tmp_path, ROWS[:20], SHOP_COLUMNS, checked=True) as backend:
        data = run(backend, "data", {})
    assert any("Figures are not confirmed" in each.value for each in data.markdown)
    assert "Open Settings" in [text for text, _ in links(data)]
