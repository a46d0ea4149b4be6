"""Questions of an analyst's week, each answered in at most six clicks from the overview, as SQL on MariaDB says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cache_factory import publish
from dashboard_page import at_rest, visit
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, Locator, Page, expect
from shop_factory import SHOP_COLUMNS

from cache.storage.records import now
from lab import Lab
from lab.data.table import COLUMNS

pytestmark = pytest.mark.soak

MOST_CLICKS = 6
ENDED = "NULLIF(o.cancelled_at, '0000-00-00 00:00:00')"
AT = "CAST(REPLACE(REPLACE(r.at, 'T', ' '), 'Z', '') AS DATETIME)"
REFUNDS = (
    "JSON_TABLE(o.refunds, '$[*]' COLUMNS (at CHAR(20) PATH '$.created_at', amount DECIMAL(12,2) PATH '$.amount')) AS r"
)
COUNTED = f"({ENDED} IS NULL OR {AT} < {ENDED})"
GIVEN_BACK = f"(SELECT COALESCE(SUM(r.amount), 0) FROM {REFUNDS} WHERE {COUNTED})"
LINES = (
    "JSON_TABLE(o.line_items, '$[*]' COLUMNS (sku TEXT PATH '$.sku', title TEXT PATH '$.title', "
    "price DECIMAL(12,2) PATH '$.price', quantity INT PATH '$.quantity')) AS l"
)
PLACE = "COALESCE(JSON_VALUE(JSON_UNQUOTE(o.destination), '$.{}'), '')"
BUYER = "COALESCE(CAST({0}.customer_id AS CHAR), NULLIF(LOWER({0}.email), ''))"
AGAIN = (
    f"CASE WHEN {BUYER.format('o')} IS NULL THEN 'No customer' WHEN EXISTS (SELECT 1 FROM orders AS e WHERE e.test = 0 "
    f"AND {BUYER.format('e')} = {BUYER.format('o')} AND (e.processed_at, e.id) < (o.processed_at, o.id)) "
    "THEN 'Returning customers' ELSE 'New customers' END"
)
RATES = {"EUR": "1.25", "GBP": "1.5", "JPY": "0.008", "CAD": "0.75", "AUD": "0.7"}
WAITING = (  # few orders of the lab wait for long
    "UPDATE orders SET fulfillment_status = NULL, fulfilled_at = NULL WHERE financial_status = 'paid' "
    "AND source_name <> 'pos' AND processed_at > NOW() - INTERVAL 60 DAY AND id % 3 = 0"
)
USD = "o.test = 0 AND o.currency = 'USD'"


class Walk:
    """A visitor of the dashboard over the orders of the lab, whose clicks are counted."""

    def __init__(self, page: Page, lab: Lab, verified_at: datetime) -> None:
        self.page = page
        self.lab = lab
        self.verified_at = verified_at
        self.clicks = 0

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1
        self.page.wait_for_timeout(100)
        at_rest(self.page)

    def open(self, title: str) -> None:
        self.click(self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True))
        expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        at_rest(self.page)

    def choose(self, label: str, option: str) -> None:
        self.click(self.page.get_by_role("combobox", name=re.compile(f"{label}$")))
        self.click(self.page.get_by_role("option", name=option, exact=True))
        self.page.keyboard.press("Escape")  # a list of several choices stays open

    def sort_by(self, name: str, header: str) -> None:
        self.click(self.table(name).get_by_role("button", name=header, exact=True))

    def table(self, name: str) -> Locator:
        return self.page.get_by_role("table", name=name, exact=True)

    def rows(self, name: str = "As a table") -> dict[str, list[str]]:
        """The cells of each row by the text of its first one."""
        at_rest(self.page)
        lines = self.table(name).get_by_role("row").all()
        cells = [[cell.inner_text() for cell in line.locator("th, td").all()] for line in lines]
        return {first: rest for first, *rest in cells}

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.lab.connect() as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def sales(self, group: str, start: datetime, end: datetime) -> dict[tuple[str, ...], float]:
        """Total sales by SQL: what was charged less what was given back, each on its day."""
        period = (f"{start:%Y-%m-%d %H:%M:%S}", f"{end:%Y-%m-%d %H:%M:%S}")
        inside = "{0} >= %s AND {0} < %s"
        parts = (
            f"SELECT o.*, o.processed_at AS moment, o.total_price AS money FROM orders AS o "
            f"WHERE {inside.format('o.processed_at')}",
            f"SELECT o.*, {AT} AS moment, -r.amount AS money FROM orders AS o, {REFUNDS} "
            f"WHERE {COUNTED} AND {inside.format(AT)}",
            f"SELECT o.*, {ENDED} AS moment, -(o.total_price - {GIVEN_BACK}) AS money FROM orders AS o "
            f"WHERE {inside.format(ENDED)}",
        )
        rows = self.sql(
            f"SELECT {group}, SUM(o.money) FROM ({' UNION ALL '.join(parts)}) AS o WHERE {USD} GROUP BY {group}",
            *period * 3,
        )
        return {tuple(row[:-1]): float(row[-1]) for row in rows}


@pytest.fixture(scope="module")
def filled(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, datetime]]:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute(WAITING)
        connection.commit()
        cursor.execute(f"SELECT {', '.join(f'CAST(`{name}` AS CHAR)' for name in COLUMNS)} FROM orders ORDER BY id")
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]
    folder = tmp_path_factory.mktemp("questions")
    rates = folder / "rates.csv"
    rates.write_text("date,currency,rate\n" + "".join(f"2000-01-01,{code},{rate}\n" for code, rate in RATES.items()))
    settings = {"SHOP_TIMEZONE": "UTC", "SHOP_CURRENCY": "USD", "RATES_FILE": str(rates)}
    with dashboard(folder, **settings) as running:
        verified_at = now()
        publish(running.cache, rows, columns=SHOP_COLUMNS, verified_at=verified_at)
        yield running, verified_at


def number(text: str) -> float:
    text = text.split("\n", maxsplit=1)[0].replace("$", "").replace(",", "").replace("+", "").replace("%", "")
    with suppress(ValueError):
        return float(text)
    return 0.0


def midnight(at: datetime, days: int = 0) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days)


def last_30_days(at: datetime) -> tuple[datetime, datetime]:
    return midnight(at, -29), midnight(at, 1)


def the_products_that_made_last_months_change(walk: Walk) -> None:
    walk.open("What changed")
    walk.click(walk.page.get_by_role("button", name=re.compile("^.*Last 30 days")))
    walk.click(walk.page.get_by_role("radiogroup", name="Period").get_by_text("Last month", exact=True))
    walk.page.keyboard.press("Escape")
    walk.choose("Figure", "Gross sales")
    expect(walk.page.get_by_role("heading", name=re.compile("^Gross sales"))).to_be_visible()
    end = midnight(walk.verified_at).replace(day=1)
    start = (end - timedelta(1)).replace(day=1)
    before = (start - timedelta(1)).replace(day=1)
    found = walk.sql(
        f"SELECT MAX(l.title), SUM(IF(o.processed_at < %s, l.price * l.quantity, 0)), "
        "SUM(IF(o.processed_at >= %s, l.price * l.quantity, 0)) "
        f"FROM orders AS o, {LINES} WHERE {USD} AND o.processed_at >= %s AND o.processed_at < %s GROUP BY l.sku",
        start,
        start,
        before,
        end,
    )
    expected = {title: (float(then), float(later)) for title, then, later in found}
    largest = sorted(expected, key=lambda title: -abs(expected[title][1] - expected[title][0]))
    rows = walk.rows("By product")
    shown = {name.split("\n")[0]: cells for name, cells in rows.items()}
    for title in largest[:8]:
        assert number(shown[title][0]) == pytest.approx(expected[title][0], abs=0.51)
        assert number(shown[title][2]) == pytest.approx(expected[title][1] - expected[title][0], abs=0.51)
    total = sum(later - then for then, later in expected.values())
    assert number(shown["Total"][2]) == pytest.approx(total, abs=0.51)


def the_share_of_returning_customers_by_country(walk: Walk) -> None:
    walk.open("Explore")
    walk.choose("Rows", "Country")
    walk.choose("Columns", "New or returning")
    country = PLACE.format("country")
    expected = walk.sales(f"{country}, {AGAIN}", *last_30_days(walk.verified_at))
    header, rows = walk.table("As a table").locator("th").all_inner_texts(), walk.rows()
    returning = [cell.split(" ")[0] for cell in header].index("Returning") - 1
    for name in {country for country, _ in expected if country}:
        whole = sum(value for (each, _), value in expected.items() if each == name)
        part = expected.get((name, "Returning customers"), 0)
        assert number(rows[name][returning]) == pytest.approx(part, abs=0.51)
        if whole > 0 and part:
            assert f"{part / whole * 100:.1f}%" in rows[name][returning]


def the_costliest_discount_codes(walk: Walk) -> None:
    walk.open("Explore")
    walk.choose("Rows", "Discount")
    walk.choose("Figures", "Discounts")
    walk.sort_by("As a table", "Discounts")
    start, end = last_30_days(walk.verified_at)
    found = walk.sql(
        f"SELECT COALESCE(o.discount_code, ''), SUM(o.total_discounts) FROM orders AS o WHERE {USD} "
        "AND o.processed_at >= %s AND o.processed_at < %s GROUP BY 1 ORDER BY 2 DESC",
        start,
        end,
    )
    place = [each.split(" ")[0] for each in walk.table("As a table").locator("th").all_inner_texts()].index("Discounts")
    rows = {name: number(cells[place - 1]) for name, cells in walk.rows().items()}
    costly = [code for code, amount in found if code and amount]
    assert [name for name in rows if name in costly] == costly
    for code, amount in found:
        assert rows[code or "No discount code"] == pytest.approx(float(amount), abs=0.51)


def the_refund_rate_by_product(walk: Walk) -> None:
    walk.open("Explore")
    walk.choose("Rows", "Product")
    walk.choose("Figures", "Refund rate")
    walk.sort_by("As a table", "Refund rate")
    start, end = last_30_days(walk.verified_at)
    found = walk.sql(
        f"SELECT MAX(l.title), COUNT(DISTINCT o.id), COUNT(DISTINCT IF({GIVEN_BACK} > 0, o.id, NULL)) "
        f"FROM orders AS o, {LINES} WHERE {USD} AND o.processed_at >= %s AND o.processed_at < %s GROUP BY l.sku",
        start,
        end,
    )
    rates = {title: 100 * back / orders for title, orders, back in found}
    header = walk.table("As a table").locator("th").all_inner_texts()
    place = next(i for i, each in enumerate(header) if each.startswith("Refund rate"))
    rows = [(name, number(cells[place - 1])) for name, cells in walk.rows().items() if name in rates]
    assert len(rows) >= 10
    assert [rate for _, rate in rows] == sorted((rate for _, rate in rows), reverse=True)
    assert rows[0][1] == pytest.approx(max(rates.values()), abs=0.06)
    for name, rate in rows:
        assert rate == pytest.approx(rates[name], abs=0.06)


def today_until_now_against_the_same_hours_of_last_week(walk: Walk) -> None:
    walk.click(walk.page.get_by_role("button", name=re.compile("^.*Last 30 days")))
    walk.click(walk.page.get_by_role("radiogroup", name="Period").get_by_text("Today", exact=True))
    walk.click(walk.page.get_by_role("radiogroup", name="Compare with").get_by_text(re.compile("weekday")).first)
    until = walk.verified_at.replace(tzinfo=None)
    counts = [
        walk.sql(
            f"SELECT COUNT(*) FROM orders AS o WHERE {USD} AND o.processed_at >= %s AND o.processed_at < %s",
            midnight(until, -days),
            until - timedelta(days) if days else midnight(until, 1),
        )[0][0]
        for days in (0, 7)
    ]
    named = walk.page.get_by_role("listitem").filter(has=walk.page.get_by_text("Orders", exact=True))
    card = named.filter(has=walk.page.locator(".value"))
    expect(card.locator(".value")).to_have_text(f"{counts[0]:,}")
    expect(card).to_contain_text(f"from {counts[1]:,}")


def sales_by_city(walk: Walk) -> None:
    walk.open("Explore")
    walk.choose("Rows", "City")
    expected = walk.sales(PLACE.format("city"), *last_30_days(walk.verified_at))
    rows = {name: number(cells[0]) for name, cells in walk.rows().items()}
    for (city,), amount in expected.items():
        assert rows[city or "No city"] == pytest.approx(amount, abs=0.51)


def orders_by_hour_and_weekday(walk: Walk) -> None:
    walk.open("Explore")
    walk.choose("Rows", "Hour of day")
    walk.choose("Columns", "Weekday")
    expect(walk.page.get_by_test_id("stVegaLiteChart")).to_be_visible()
    expected = walk.sales("HOUR(o.moment), WEEKDAY(o.moment)", *last_30_days(walk.verified_at))
    header = [each.split(" ")[0] for each in walk.table("As a table").locator("th").all_inner_texts()]
    days = {day: header.index(day) for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") if day in header}
    rows = walk.rows()
    for (hour, weekday), amount in expected.items():
        name = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[int(weekday)]
        assert number(rows[f"{int(hour):02}:00"][days[name] - 1]) == pytest.approx(amount, abs=0.51)


def the_products_that_are_bought_together(walk: Walk) -> None:
    walk.open("Products")
    walk.click(walk.page.get_by_role("radiogroup", name="View").get_by_text("Bought together", exact=True))
    walk.choose("Orders with both, at least", "2")
    walk.sort_by("Bought together", "Orders")
    period = last_30_days(walk.verified_at)
    sold = f"FROM orders AS o, {LINES} WHERE {USD} AND o.processed_at >= %s AND o.processed_at < %s"
    bought = f"SELECT o.id, l.sku, MAX(l.title) AS title {sold} GROUP BY o.id, l.sku"
    whole = walk.sql(
        f"SELECT COUNT(*) FROM orders AS o WHERE {USD} AND o.processed_at >= %s AND o.processed_at < %s", *period
    )
    alone = dict(walk.sql(f"SELECT sku, COUNT(*) FROM ({bought}) AS b GROUP BY sku", *period))
    pairs = walk.sql(
        f"SELECT a.sku, MAX(a.title), b.sku, MAX(b.title), COUNT(*) FROM ({bought}) AS a JOIN ({bought}) AS b "
        "ON a.id = b.id AND a.sku < b.sku GROUP BY a.sku, b.sku HAVING COUNT(*) >= 2",
        *period * 2,
    )
    lines = walk.table("Bought together").get_by_role("row").all()[1:]
    rows = [[cell.inner_text() for cell in line.get_by_role("cell").all()] for line in lines]
    shown = {frozenset((first, second)): numbers for first, second, *numbers in rows}
    assert len(shown) == min(len(pairs), 50)
    assert [int(row[2]) for row in rows] == sorted((both for *_, both in pairs), reverse=True)[:50]
    for sku, title, other, other_title, both in pairs:
        if found := shown.get(frozenset((title, other_title))):
            support, confidence, _, lift = map(number, found[1:])
            assert support == pytest.approx(100 * both / whole[0][0], abs=0.006)
            assert confidence == pytest.approx(100 * both / min(alone[sku], alone[other]), abs=0.06)
            assert lift == pytest.approx(both * whole[0][0] / (alone[sku] * alone[other]), abs=0.006)
    walk.click(lines[0].get_by_role("button"))
    expect(walk.page.get_by_text(re.compile(rf"(^|of ){rows[0][2]} orders"))).to_be_visible()


def the_lifetime_value_by_first_month(walk: Walk) -> None:
    walk.open("Customers")
    walk.click(walk.page.get_by_role("radiogroup", name="View").get_by_text("Lifetime value", exact=True))
    walk.click(walk.page.get_by_role("radiogroup", name="Figure").get_by_text("Total sales", exact=True))
    month = "DATE_FORMAT({}, '%%Y-%%m-01')"
    buyer = BUYER.format("o")
    firsts = (
        f"SELECT {buyer} AS buyer, MIN(o.processed_at) AS first FROM orders AS o WHERE {USD} AND {buyer} IS NOT NULL "
        "GROUP BY 1"
    )
    parts = (
        f"SELECT {buyer} AS buyer, o.processed_at AS at, o.total_price AS money FROM orders AS o WHERE {USD}",
        f"SELECT {buyer}, {AT}, -r.amount FROM orders AS o, {REFUNDS} WHERE {USD} AND {COUNTED}",
        f"SELECT {buyer}, {ENDED}, -(o.total_price - {GIVEN_BACK}) FROM orders AS o "
        f"WHERE {USD} AND {ENDED} IS NOT NULL",
    )
    of_first = month.format("f.first")
    customers = dict(walk.sql(f"SELECT {of_first}, COUNT(*) FROM ({firsts}) AS f GROUP BY 1"))
    spent = walk.sql(
        f"SELECT {of_first}, TIMESTAMPDIFF(MONTH, {of_first}, {month.format('p.at')}), SUM(p.money) "
        f"FROM ({' UNION ALL '.join(parts)}) AS p JOIN ({firsts}) AS f ON f.buyer = p.buyer GROUP BY 1, 2",
    )
    start = midnight(walk.verified_at).replace(day=1)
    newest = start.year * 12 + start.month - 1
    firsts_of = {
        index: f"{datetime(index // 12, index % 12 + 1, 1):%Y-%m-%d}" for index in range(newest - 11, newest + 1)
    }
    months = [index for index, key in firsts_of.items() if key in customers]  # a month may have no new customer yet
    totals: list[list[float]] = []
    rows = walk.rows("Lifetime value")
    for index in months:
        first, key = datetime(index // 12, index % 12 + 1, 1), firsts_of[index]
        so_far, values = 0.0, []
        for later in range(newest - index + 1):
            so_far += sum(float(money) for name, after, money in spent if (name, int(after)) == (key, later))
            values.append(so_far)
        cells = next(cells for name, cells in rows.items() if name.rstrip("*") == f"{first:%b %Y}")
        assert number(cells[0]) == customers[key]
        for cell, value in zip(cells[1:], values, strict=False):
            assert number(cell.rstrip("*")) == pytest.approx(value / customers[key], abs=0.006)
        assert cells[len(values)].endswith("*")
        totals.append(values[:-1])
    for later in range(11):
        over = [
            (each[later], customers[firsts_of[index]])
            for each, index in zip(totals, months, strict=True)
            if later < len(each)
        ]
        expected = sum(value for value, _ in over) / sum(count for _, count in over)
        assert number(rows["Average"][later + 1]) == pytest.approx(expected, abs=0.006)


def the_taxes_by_country_for_the_quarter(walk: Walk) -> None:
    walk.open("Taxes")
    walk.click(walk.page.get_by_role("button", name=re.compile("^.*Last 30 days")))
    walk.click(walk.page.get_by_role("radiogroup", name="Period").get_by_text("This quarter", exact=True))
    walk.page.keyboard.press("Escape")
    at = walk.verified_at
    period = (datetime(at.year, (at.month - 1) // 3 * 3 + 1, 1), midnight(at, 1))
    country = PLACE.format("country")
    charged, refunded = (
        dict(
            walk.sql(
                f"SELECT {country}, SUM(o.total_tax) FROM orders AS o WHERE {USD} "
                f"AND {day} >= %s AND {day} < %s GROUP BY 1",
                *period,
            )
        )
        for day in ("o.processed_at", ENDED)
    )
    expect(walk.page.get_by_text("This quarter").first).to_be_visible()
    at_rest(walk.page)
    table = walk.page.get_by_role("table", name=re.compile("^Taxes by country, "))
    rows = {
        line.get_by_role("cell").first.inner_text(): line.get_by_role("cell").all_inner_texts()[-3:]
        for line in table.get_by_role("row").all()[1:]
    }
    for name in {*charged, *refunded}:
        expected = float(charged.get(name, 0)), float(refunded.get(name, 0))
        shown = [number(cell) for cell in rows[name or "No address"]]
        assert shown == pytest.approx([*expected, expected[0] - expected[1]], abs=0.001)
    sums = [float(sum(each.values())) for each in (charged, refunded)]
    assert [number(cell) for cell in rows["Total"]] == pytest.approx([*sums, sums[0] - sums[1]], abs=0.001)


def the_orders_that_wait_for_over_three_days(walk: Walk) -> None:
    walk.open("Orders")
    queue = walk.page.get_by_role("radio", name=re.compile("^Paid, unfulfilled for more than 3 days"))
    walk.click(queue)
    expect(walk.page.get_by_text("Paid, placed more than 72 hours ago")).to_be_visible()
    end = walk.page.evaluate("Date.now()") / 1000
    waiting = (
        "FROM orders AS o WHERE o.test = 0 AND o.financial_status = 'paid' "
        f"AND {ENDED} IS NULL AND COALESCE(o.fulfillment_status, '') IN ('', 'unfulfilled') "
        "AND NULLIF(o.fulfilled_at, '0000-00-00 00:00:00') IS NULL "
        "AND o.source_name <> 'pos' AND o.processed_at < %s"
    )
    until = f"{datetime.fromtimestamp(end, UTC) - timedelta(days=3):%Y-%m-%d %H:%M:00}"
    found = walk.sql(f"SELECT o.name {waiting} ORDER BY o.processed_at, o.id DESC", until)
    totals = dict(walk.sql(f"SELECT o.currency, SUM(o.total_price) {waiting} GROUP BY 1", until))
    assert len(found) > 3
    expect(queue).to_contain_text(f" · {len(found):,}")
    listed = walk.table("Orders").locator("tbody tr td:first-child button")
    assert listed.all_inner_texts() == [name for (name,) in found][:50]
    currencies = walk.table("Sums of these orders").locator("th").all_inner_texts()
    sums = dict(zip(currencies[1:], walk.rows("Sums of these orders")["Total"], strict=True))
    assert {code: number(sums[code].lstrip("CA€£¥")) for code in totals} == pytest.approx(
        {code: float(total) for code, total in totals.items()}
    )
    walk.click(listed.first)
    expect(walk.page.get_by_role("dialog")).to_contain_text(found[0][0])


def several_currencies_in_one_total(walk: Walk) -> None:
    walk.click(walk.page.get_by_test_id("stPopoverButton").filter(has_text="USD"))
    walk.click(walk.page.get_by_role("radiogroup", name="Currency").get_by_text("All in USD", exact=True))
    walk.page.keyboard.press("Escape")
    cases = " ".join(f"WHEN '{code}' THEN {rate}" for code, rate in RATES.items())
    rounded = f"ROUND({{}} * CASE o.currency WHEN 'USD' THEN 1 {cases} END, 2)"
    start, end = last_30_days(walk.verified_at)
    period = (f"{start:%Y-%m-%d %H:%M:%S}", f"{end:%Y-%m-%d %H:%M:%S}")
    parts = (
        ("orders AS o", "o.total_price", "o.processed_at", "TRUE"),
        (f"orders AS o, {REFUNDS}", "-r.amount", AT, COUNTED),
        ("orders AS o", f"-(o.total_price - {GIVEN_BACK})", ENDED, "TRUE"),
    )
    found = [
        walk.sql(
            f"SELECT COALESCE(SUM({rounded.format(money)}), 0) FROM {tables} WHERE o.test = 0 AND {condition} "
            f"AND {day} >= %s AND {day} < %s",
            *period,
        )[0][0]
        for tables, money, day, condition in parts
    ]
    expect(walk.page.get_by_role("listitem").first).to_be_visible()
    at_rest(walk.page)
    named = walk.page.get_by_role("listitem").filter(has=walk.page.get_by_text("Total sales", exact=True))
    value = named.filter(has=walk.page.locator(".value")).locator(".value")
    # The parts of an order are rounded one by one: to a cent for each of some parts of each order.
    assert number(value.inner_text()) == pytest.approx(float(sum(found)), rel=1e-4)


QUESTIONS: Mapping[str, Callable[[Walk], None]] = {
    each.__name__: each
    for each in (
        the_products_that_made_last_months_change,
        the_share_of_returning_customers_by_country,
        the_costliest_discount_codes,
        the_refund_rate_by_product,
        today_until_now_against_the_same_hours_of_last_week,
        sales_by_city,
        orders_by_hour_and_weekday,
        the_products_that_are_bought_together,
        the_lifetime_value_by_first_month,
        the_taxes_by_country_for_the_quarter,
        the_orders_that_wait_for_over_three_days,
        several_currencies_in_one_total,
    )
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_in_six_clicks(
    lab: Lab, browser: Browser, filled: tuple[Dashboard, datetime], question: str
) -> None:
    running, verified_at = filled
    walk = Walk(visit(browser, running.url), lab, verified_at.astimezone(UTC).replace(tzinfo=None))
    QUESTIONS[question](walk)
    assert walk.clicks <= MOST_CLICKS
