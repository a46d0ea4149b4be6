"""Figures equal an independent computation in Python, to the cent, whatever the rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from cache_factory import cache_in, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_corpus import FOLDER, load
from schema_orders import schema_orders
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics import fact_tables
from cache.analytics.dimensions.catalogue import DIMENSIONS
from cache.analytics.figures import Figures
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.order_lookup import ROW_KEY
from cache.analytics.orders import Orders
from cache.analytics.products import product_page, sold_products
from cache.analytics.rankings import cohorts, customers, repeats
from cache.analytics.values import Absent
from cache.calendar.periods import Span, Unit, unit_start
from cache.calendar.steps import STEPS
from cache.query.filters import Condition
from cache.schema import Column
from cache.settings import WeekStart
from cache.table_setup import NO_SETUP, Setup
from lab.data.table import ZERO_DATE

Row = dict[str, str | None]
ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata")
SHOP_END = datetime(2025, 11, 20, 15, tzinfo=UTC)


@contextmanager
def orders(
    rows: Sequence[Row], timezone: str = "UTC", columns: Sequence[Column] = SHOP_COLUMNS, setup: Setup = NO_SETUP
) -> Iterator[Orders]:
    with TemporaryDirectory() as folder:
        cache = cache_in(folder)
        publish(cache, [{c.name: row.get(c.name) for c in columns} for row in rows], columns=columns)
        opened = Orders(cache.snapshots.open(), timezone, setup)
        yield opened
        opened.close()
        cache.close()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return shop(400, SHOP_END)


@pytest.fixture(scope="module")
def opened(rows: list[Row]) -> Iterator[Orders]:
    with orders(rows, "Europe/Berlin") as found:
        yield found


def amount(row: Row, name: str) -> Decimal:
    return Decimal(row[name] or "0")


def local(row: Row, timezone: str) -> datetime:
    placed = datetime.fromisoformat(row["created_at"] or "").replace(tzinfo=UTC)
    return placed.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def real(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["test"] == "0"]


def cancelled(row: Row) -> bool:
    return row["cancelled_at"] not in (None, ZERO_DATE)


USD = [Condition("currency", "eq", "USD")]
money = st.decimals(0, 99_999, places=2).map(str)
made = st.builds(
    lambda **values: {**values, "test": str(int(values["test"]))},
    created_at=st.datetimes(datetime(2025, 3, 28), datetime(2025, 4, 2)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
    financial_status=st.sampled_from(["paid", "pending", "refunded"]),
    currency=st.sampled_from(["USD", "EUR"]),
    taxes_included=st.just("0"),
    subtotal_price=money,
    total_discounts=money,
    total_shipping=money,
    total_tax=money,
    total_price=money,
    total_refunded=st.just("0.00") | money,
    test=st.integers(0, 9).map(lambda n: n == 9),
)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(made, max_size=12), st.sampled_from(ZONES), st.dates(date(2025, 3, 28), date(2025, 4, 1)))
def test_every_figure_equals_an_independent_sum_over_the_shops_days(
    made: list[Row], timezone: str, first: date
) -> None:
    rows = [{"name": f"#{i}", "line_items": "[]", "refunds": "[]", **row, "id": str(i)} for i, row in enumerate(made)]
    span = Span(
        datetime.combine(first, datetime.min.time()), datetime.combine(first, datetime.min.time()) + timedelta(2)
    )
    counted = [r for r in real(rows) if r["currency"] == "USD" and span.start <= local(r, timezone) < span.end]

    def total(name: str, which: Callable[[Row], bool] = lambda row: True) -> Decimal:
        return sum((amount(row, name) for row in counted if which(row)), Decimal(0))

    with orders(rows, timezone) as opened:
        figures = opened.figures(span, USD, "ordered")
        series = opened.groups((), "day", span, USD, "ordered")
        assert opened.left_out.get("test", 0) == len(rows) - len(real(rows))

    goods = total("subtotal_price")
    assert figures.orders == len(counted)
    assert figures.gross_sales == goods + total("total_discounts")
    assert figures.discounts == total("total_discounts")
    assert figures.returns == total("total_refunded")
    assert figures.shipping == total("total_shipping")
    assert figures.taxes == total("total_tax")
    assert figures.net_sales == goods - total("total_refunded")
    assert figures.total_sales == figures.net_sales + total("total_shipping") + total("total_tax")
    assert figures.charged == total("total_price")
    assert figures.average_order_value == (goods / len(counted) if counted else Absent.UNDEFINED)
    refunded = sum(amount(row, "total_refunded") > 0 for row in counted)
    assert figures.refund_rate == (Decimal(refunded) / len(counted) if counted else Absent.UNDEFINED)

    days: dict[datetime, list[Decimal]] = {}
    for row in counted:
        day = datetime.combine(local(row, timezone).date(), datetime.min.time())
        days.setdefault(day, []).append(amount(row, "subtotal_price") - amount(row, "total_refunded"))
    assert [(g.at, g.figures.orders, g.figures.net_sales) for g in series] == [
        (d, len(v), sum(v)) for d, v in sorted(days.items())
    ]


def test_total_sales_of_a_real_shop_is_what_was_paid_and_not_given_back(opened: Orders, rows: list[Row]) -> None:
    figures = opened.figures(None, USD)
    kept = [row for row in real(rows) if row["currency"] == "USD" and not cancelled(row)]
    assert figures.orders > len(kept) > 0
    assert figures.total_sales == sum(amount(row, "total_price") - amount(row, "total_refunded") for row in kept)


def test_groups_split_the_same_total(opened: Orders) -> None:
    whole = opened.figures(None, USD).total_sales
    for by in (name for name, each in DIMENSIONS.items() if each.level == "order"):
        assert sum((g.figures.total_sales for g in opened.groups([by], None, None, USD)), Decimal(0)) == whole
    paid = [*USD, Condition("status", "eq", "paid")]
    (only,) = opened.groups(["status"], None, None, paid)
    assert (only.values, only.figures.orders) == (("paid",), opened.figures(None, paid).orders)
    months = opened.groups(["channel", "country"], "month", None, USD)
    assert sum((g.figures.total_sales for g in months), Decimal(0)) == whole
    assert [g.at for g in months] == sorted(g.at for g in months if g.at)


def test_currencies_are_told_apart_the_most_frequent_first(rows: list[Row], opened: Orders) -> None:
    counts = {code: sum(r["currency"] == code for r in real(rows)) for code in {r["currency"] for r in real(rows)}}
    found = opened.currencies()
    assert dict(found) == counts
    assert [count for _, count in found] == sorted(counts.values(), reverse=True)


def test_countries_come_from_the_address_that_is_encoded_twice(rows: list[Row], opened: Orders) -> None:
    addresses = [json.loads(json.loads(r["destination"] or '"{}"')) for r in real(rows)]
    assert opened.countries == {a["country_code"]: a["country"] for a in addresses if a}
    counted = {group.values[0]: group.figures.orders for group in opened.groups(["country"], returns="ordered")}
    assert counted == {code: sum(a.get("country_code", "") == code for a in addresses) for code in counted}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("week_start", ["monday", "sunday"])
def test_groups_by_time_are_those_of_the_calendar(
    opened: Orders, rows: list[Row], step: Unit, week_start: WeekStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "week_start", week_start)
    span = Span(datetime(2025, 1, 15), datetime(2025, 11, 21))
    inside = [at for row in real(rows) if span.start <= (at := local(row, "Europe/Berlin")) < span.end]
    expected = Counter(unit_start(step, at, week_start) for at in inside)
    groups = opened.groups((), step, span, returns="ordered")  # some have a cancellation and no order
    assert {group.at: group.figures.orders for group in groups if group.figures.orders} == expected


def test_pages_go_through_every_order_once_the_newest_first(opened: Orders, rows: list[Row]) -> None:
    keys: list[str] = []
    while len(page := opened.page(None, limit=70, offset=len(keys)).rows):
        keys += [row[ROW_KEY] for row in page]
    expected = sorted(real(rows), key=lambda row: (row["created_at"] or "", int(row["id"] or 0)), reverse=True)
    assert keys == [row["id"] for row in expected]


@pytest.mark.parametrize("search", ["ZOË", "#1042", "42", "example.COM", "' OR 1=1 --", "%"])
def test_search_finds_number_name_and_mail_in_any_case(opened: Orders, rows: list[Row], search: str) -> None:
    texts = [[row[name] or "" for name in ("id", "name", "email", "customer_name")] for row in real(rows)]
    expected = sum(any(search.lower() in text.lower() for text in row) for row in texts)
    assert opened.page(None, search=search).count == expected


def test_pages_of_searches_in_turn_hold_the_orders_of_each(opened: Orders) -> None:
    searches = ["ZOË", "example.COM"]
    whole = {text: [row[ROW_KEY] for row in opened.page(None, search=text, limit=10**6).rows] for text in searches}
    pages: dict[str, list[str]] = {text: [] for text in searches}
    for offset in range(0, max(map(len, whole.values())), 40):
        for text in searches:
            pages[text] += [row[ROW_KEY] for row in opened.page(None, search=text, limit=40, offset=offset).rows]
    assert pages == whole
    assert 0 < len(whole["ZOË"]) < len(whole["example.COM"])


def test_an_order_is_read_whole_by_its_key(opened: Orders, rows: list[Row]) -> None:
    row = real(rows)[5]
    found = opened.order(row["id"] or "")
    assert found is not None
    assert found["total_price"] == amount(row, "total_price")
    assert found["created_at"] == local(row, "Europe/Berlin")
    assert found["note"] == row["note"]
    assert opened.order("nope") is None


@pytest.mark.slow
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_every_single_column_can_be_missing(rows: list[Row], every: int) -> None:
    for missing in SHOP_COLUMNS[1::every]:
        columns = [column for column in SHOP_COLUMNS if column is not missing]
        with orders(rows[:20], columns=columns) as opened:
            figures = opened.figures(None)
            assert figures.orders == (20 if missing.name == "test" else len(real(rows[:20])))
            assert opened.page(None, search="x").count >= 0
            opened.groups(
                DIMENSIONS, "day", Span(datetime(2025, 1, 1), datetime(2025, 3, 1)), customers=True, units=True
            )
            sold_products(opened, None), customers(opened, None), cohorts(opened, datetime(2025, 3, 1))
            assert all(sentence.startswith("No ") for sentence in opened.missing.values())


def test_a_figure_without_its_column_is_absent_and_names_the_column(rows: list[Row]) -> None:
    with orders(rows[:20], columns=[c for c in SHOP_COLUMNS if c.name != "total_tax"]) as opened:
        figures = opened.figures(None)
        assert opened.missing["taxes"] == "No taxes: the table has no column for the tax or the taxes as JSON."
    assert figures.taxes == Absent.NO_COLUMN
    assert isinstance(figures.net_sales, Decimal)


def test_what_was_not_requested_differs_from_what_cannot_be_computed(opened: Orders) -> None:
    (group,) = opened.groups((), None, None, USD)
    assert (group.figures.customers, group.figures.units) == (Absent.NOT_REQUESTED, Absent.NOT_REQUESTED)
    (group,) = opened.groups((), None, None, USD, customers=True, units=True)
    assert isinstance(group.figures.customers, int) and isinstance(group.figures.units, int)
    assert isinstance(group.figures.returning_customer_rate, Decimal)
    assert Figures().returning_customer_rate is Absent.UNDEFINED


@pytest.fixture(scope="module")
def further() -> Iterator[Orders]:
    """A shop with what few shops have."""
    with schema_orders(load(FOLDER / "tips_duties_fees")) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_has_a_value_once_what_it_names_is_counted(opened: Orders, further: Orders, metric: Metric) -> None:
    able = [orders for orders in (opened, further) if metric.available(orders.missing)]
    assert able
    for orders in able:
        group = orders.groups((), None, None, (), customers=metric.customers, units=metric.units)[0]
        assert not isinstance(metric.value(group.figures), Absent)


def test_a_table_of_anything_else_is_told_as_missing_everything() -> None:
    columns = (
        Column(name="id", type="int", kind="integer", nullable=False),
        Column(name="created_at", type="blob", kind="bytes", nullable=True),
        Column(name="total_price", type="date", kind="date", nullable=True),
    )
    with orders([{"id": "1"}, {"id": "2"}], columns=columns) as opened:
        assert opened.figures(None).orders == 2
        assert opened.figures(None).total_sales is Absent.NO_COLUMN
        assert len(opened.page(None).rows) == 2  # without a key, a row is named by its place
        assert "dates" in opened.missing


def test_no_rows_at_all_are_no_error() -> None:
    with orders([]) as opened:
        assert opened.extent() is None
        assert opened.figures(None).orders == 0
        assert opened.figures(None).total_sales == 0
        assert opened.figures(None).average_order_value is Absent.UNDEFINED
        assert opened.page(None).rows == []
        assert opened.groups((), "day", Span(datetime(2025, 1, 1), datetime(2025, 1, 2))) == []
        assert (
            sold_products(opened, None).num_rows,
            customers(opened, None),
            cohorts(opened, datetime(2025, 3, 1)),
        ) == (0, [], [])


def test_amounts_and_dates_in_texts_are_read_where_they_parse() -> None:
    columns = (
        Column(name="id", type="int", kind="integer", nullable=False, key=1),
        Column(name="created_at", type="varchar(40)", kind="text", nullable=True),
        Column(name="total_price", type="varchar(20)", kind="text", nullable=True),
    )
    rows = [
        {"id": "1", "created_at": "2025-05-01T10:00:00+02:00", "total_price": "598.94"},
        {"id": "2", "created_at": "soon", "total_price": "a lot"},
    ]
    with orders(rows, columns=columns) as opened:
        assert opened.figures(None).total_sales == Decimal("598.94")
        assert opened.extent() == Span(datetime(2025, 5, 1, 8), datetime(2025, 5, 1, 8))


def test_returns_count_on_the_day_of_the_refund_or_of_the_order(rows: list[Row], opened: Orders) -> None:
    """The switch moves returns in time; over all time both sums are the same."""
    span = Span(datetime(2025, 10, 1), datetime(2025, 11, 1))
    sums = {"returned": Decimal(0), "ordered": Decimal(0)}
    for row in real(rows):
        ordered = span.start <= local(row, "Europe/Berlin") < span.end
        for refund in json.loads(row["refunds"] or "[]"):
            at = local({"created_at": refund["created_at"].removesuffix("Z")}, "Europe/Berlin")
            sums["returned"] += Decimal(refund["amount"]) if span.start <= at < span.end else 0
            sums["ordered"] += Decimal(refund["amount"]) if ordered else 0
    assert sums["returned"] != sums["ordered"]
    assert opened.figures(span, (), "returned").returns == sums["returned"]
    assert opened.figures(span, (), "ordered").returns == sums["ordered"]
    assert opened.figures(None, (), "returned").returns == opened.figures(None, (), "ordered").returns


def test_a_period_with_returns_alone_has_figures(rows: list[Row]) -> None:
    row = dict(
        real(rows)[0],
        created_at="2025-01-01 10:00:00",
        total_refunded="5.00",
        refunds='[{"created_at": "2025-02-01T10:00:00Z", "amount": "5.00"}]',
    )
    with orders([row]) as opened:
        figures = opened.figures(Span(datetime(2025, 2, 1), datetime(2025, 2, 2)))
        assert (figures.orders, figures.returns, figures.total_sales) == (0, Decimal(5), Decimal(-5))
        assert (figures.average_order_value, figures.refund_rate) == (Absent.UNDEFINED, Absent.UNDEFINED)


@pytest.mark.slow
def test_a_customer_is_new_once_and_returning_from_the_second_order_on() -> None:
    def order(i: int, day: int, customer: str | None, email: str | None = None) -> Row:
        return {
            **shop(1)[0],
            "id": str(i),
            "created_at": f"2025-03-{day:02d} 10:00:00",
            "processed_at": None,
            "customer_id": customer,
            "email": email,
            "test": "0",
        }

    made = [
        order(1, 1, "7"),
        order(2, 10, "7"),
        order(3, 10, "8"),
        order(4, 11, "8"),
        order(5, 12, None, "A@b.c"),
        order(6, 13, None, "a@B.C"),
        order(7, 13, None, None),
        order(8, 14, "7"),
    ]
    with orders(made) as opened:
        found = opened.figures(Span(datetime(2025, 3, 10), datetime(2025, 3, 15)))
        assert (found.orders, found.customers, found.new_customers, found.returning_customers) == (7, 3, 2, 3)
        assert found.returning_customer_rate == 1
        (cohort,) = cohorts(opened, datetime(2025, 3, 1))
        assert (cohort.first, cohort.customers, cohort.ordered) == (datetime(2025, 3, 1), 3, [3])
        assert repeats(opened, None) == {2: 2, 3: 1}
        assert repeats(opened, None, limit=2) == {2: 3}
        best = customers(opened, None)
        assert sorted((customer.orders, customer.key) for customer in best) == [(2, "4"), (2, "6"), (3, "8")]


def test_products_and_units_come_from_the_line_items(rows: list[Row], opened: Orders) -> None:
    sold: dict[str, tuple[int, Decimal]] = {}
    for row in real(rows):
        if row["currency"] == "USD":
            for item in json.loads(row["line_items"] or "[]"):
                units, sales = sold.get(item["sku"], (0, Decimal(0)))
                amount = item["quantity"] * Decimal(item["price"])
                sold[item["sku"]] = (units + item["quantity"], sales + amount)
    found = product_page(opened, sold_products(opened, None, USD), limit=10_000).products
    assert {product.sku: (product.units, product.sales) for product in found} == sold
    assert [product.sales for product in found] == sorted((product.sales for product in found), reverse=True)
    assert opened.figures(None, USD, units=True).units == sum(units for units, _ in sold.values())
    assert opened.products(10_000).keys() == {
        item["sku"] for row in real(rows) for item in json.loads(row["line_items"] or "[]")
    }


@pytest.mark.slow
def test_a_new_generation_goes_on_from_the_one_before(rows: list[Row], tmp_path: Path) -> None:
    """Rows of segments that are the same are not read again, and the figures are those of a fresh look."""
    cache = cache_in(tmp_path)
    publish(cache, rows, columns=SHOP_COLUMNS, segments=8)
    before = Orders(cache.snapshots.open(), "Europe/Berlin")
    changed = [dict(row) for row in rows[:-30]]
    changed[5]["total_price"] = "77.77"
    publish(cache, changed, columns=SHOP_COLUMNS, segments=8)
    grown, fresh = (
        Orders(cache.snapshots.open(), "Europe/Berlin", before=before),
        Orders(cache.snapshots.open(), "Europe/Berlin"),
    )
    assert before.figures(None) != fresh.figures(None)
    before.close()
    for by in DIMENSIONS:
        assert grown.groups([by], customers=True, units=True) == fresh.groups([by], customers=True, units=True)
    assert grown.page(None) == fresh.page(None)
    cache.close()


@pytest.mark.slow
def test_where_memory_is_short_the_figures_are_the_same(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment is then read in parts, also that of a new generation."""
    with closing(cache_in(tmp_path)) as cache:
        publish(cache, rows[:-30], columns=SHOP_COLUMNS, segments=2)
        first = cache.snapshots.open()
        publish(cache, rows, columns=SHOP_COLUMNS, segments=2)
        usual = Orders(cache.snapshots.open(), "Europe/Berlin")
        monkeypatch.setattr(fact_tables, "is_small", lambda: True)
        small = Orders(cache.snapshots.open(), "Europe/Berlin", before=Orders(first, "Europe/Berlin"))
        for by in DIMENSIONS:
            assert small.groups([by], customers=True, units=True) == usual.groups([by], customers=True, units=True)
        assert small.page(None) == usual.page(None)
        assert (small.left_out, small.unread) == (usual.left_out, usual.unread)


EXPORT = (
    Column(name="row", type="int", kind="integer", nullable=False, key=1),
    *(
        Column(name=name, type="varchar(255)", kind="text", nullable=True)
        for name in (
            "Name",
            "Email",
            "Financial Status",
            "Currency",
            "Subtotal",
            "Shipping",
            "Taxes",
            "Total",
            "Discount Amount",
            "Created at",
            "Lineitem quantity",
            "Lineitem name",
            "Lineitem price",
            "Lineitem sku",
            "Refunded Amount",
            "Shipping Country",
        )
    ),
)


@pytest.mark.slow
def test_a_table_with_a_row_for_each_line_is_counted_by_order() -> None:
    """As Shopify exports orders: what belongs to the order stands in its first row alone."""

    made: list[Row] = []

    def line(name: str, quantity: str, price: str, **own: str) -> None:
        item = {"Lineitem quantity": quantity, "Lineitem name": f"P{price}", "Lineitem price": price}
        made.append(
            {"row": str(len(made) + 1), "Name": name, "Email": "a@b.c", **item, "Lineitem sku": f"S{price}", **own}
        )

    first = {
        "Financial Status": "paid",
        "Currency": "EUR",
        "Subtotal": "50.00",
        "Shipping": "5.00",
        "Taxes": "1.00",
        "Total": "56.00",
        "Discount Amount": "10.00",
        "Created at": "2025-05-01 10:00:00 +0200",
        "Refunded Amount": "6.00",
        "Shipping Country": "DE",
    }
    second = {**first, "Total": "12.00", "Subtotal": "12.00", "Discount Amount": "0.00", "Refunded Amount": "0.00"}
    line("#1", "2", "20.00", **first)
    line("#1", "1", "20.00")
    line("#2", "1", "12.00", **second)
    with orders(made, columns=EXPORT) as opened:
        figures = opened.figures(None, units=True)
        assert (figures.orders, figures.units, figures.gross_sales) == (2, 4, Decimal(72))
        assert (figures.charged, figures.returns, figures.customers) == (Decimal(68), Decimal(6), 1)
        found = product_page(opened, sold_products(opened, None)).products
        assert [(p.sku, p.units, p.orders, p.sales) for p in found] == [
            ("S20.00", 3, 1, Decimal(60)),
            ("S12.00", 1, 1, Decimal(12)),
        ]
        assert opened.extent() == Span(datetime(2025, 5, 1, 8), datetime(2025, 5, 1, 8))
        page = opened.page(None, search="#2")
        assert (page.count, page.rows[0]["Total"]) == (1, "12.00")
        assert [row["Name"] for row in opened.page(None, search="s20.0").rows] == ["#1"]
        assert [(item["title"], item["quantity"], item["price"]) for item in opened.lookup.lines("#1")] == [
            ("P20.00", 2, Decimal(20)),
            ("P20.00", 1, Decimal(20)),
        ]
        assert opened.groups(["country"])[0].values == ("DE",)


@pytest.mark.slow
def test_a_setup_says_what_columns_mean_and_how_times_and_taxes_are_read(rows: list[Row]) -> None:
    said = Setup(
        columns={"total": "subtotal_price", "country": "", "address": ""},
        source_timezone="Asia/Tokyo",
        timezone="UTC",
        taxes_included=True,
    )
    columns = [column for column in SHOP_COLUMNS if column.name != "taxes_included"]
    with orders(rows, "Europe/Berlin", columns, said) as opened, orders(rows, "UTC", columns) as plain:
        assert opened.figures(None).charged == sum(amount(row, "subtotal_price") for row in real(rows))
        kept = sum(amount(row, "total_tax") for row in real(rows) if not cancelled(row))
        assert opened.figures(None).taxes == plain.figures(None).taxes == kept
        assert opened.figures(None).gross_sales < plain.figures(None).gross_sales
        assert "country" in opened.missing
        then, now = plain.extent(), opened.extent()
        assert then and now
        assert then.start - now.start == timedelta(hours=9)


def test_a_customer_number_of_0_is_a_guest_who_is_known_by_mail() -> None:
    def order(i: int, customer: str, email: str | None) -> Row:
        at = f"2025-03-{i:02d} 10:00:00"
        named = {"customer_id": customer, "email": email, "test": "0"}
        return {**shop(1)[0], "id": str(i), "created_at": at, "processed_at": None, **named}

    made = [order(1, "0", "a@b.c"), order(2, "0", "d@e.f"), order(3, "0", "A@B.C"), order(4, "0", None)]
    with orders([*made, order(5, "10", "a@b.c")]) as opened:
        found = opened.figures(None)
        assert (found.orders, found.customers, found.returning_customers) == (5, 3, 1)


def test_cohorts_end_with_the_month_that_is_known() -> None:
    def order(i: int, month: str, customer: str) -> Row:
        at = f"{month}-10 10:00:00"
        return {
            **shop(1)[0],
            "id": str(i),
            "created_at": at,
            "processed_at": None,
            "customer_id": customer,
            "test": "0",
        }

    made = [order(1, "2025-01", "7"), order(2, "2025-02", "7"), order(3, "2026-02", "7"), order(4, "2026-02", "8")]
    with orders(made) as opened:
        assert [(each.first, each.ordered) for each in cohorts(opened, datetime(2025, 3, 1))] == [
            (datetime(2025, 1, 1), [1, 1, 0])  # nobody in March, and what is dated later has not come
        ]
