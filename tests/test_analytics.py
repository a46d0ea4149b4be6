"""Figures equal an independent computation in Python, to the cent, whatever the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from cache_factory import publish
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics import ROW_KEY, Orders, Span
from cache.filters import Condition
from cache.local import LocalStore
from cache.snapshot import Column

Row = dict[str, str | None]
ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata")
SHOP_END = datetime(2025, 11, 20, 15, tzinfo=UTC)


@contextmanager
def orders(rows: Sequence[Row], timezone: str = "UTC", columns: Sequence[Column] = SHOP_COLUMNS) -> Iterator[Orders]:
    with TemporaryDirectory() as folder:
        store = LocalStore(Path(folder))
        publish(store, [{c.name: row.get(c.name) for c in columns} for row in rows], columns=columns)
        opened = Orders(store.open(), timezone)
        yield opened
        opened.close()
        store.close()


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


money = st.decimals(0, 99_999, places=2).map(str)
made = st.builds(
    lambda **values: {**values, "test": str(int(values["test"]))},
    created_at=st.datetimes(datetime(2025, 3, 28), datetime(2025, 4, 2)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
    financial_status=st.sampled_from(["paid", "pending", "refunded"]),
    currency=st.sampled_from(["USD", "EUR"]),
    taxes_included=st.sampled_from(["0", "1"]),
    subtotal_price=money,
    total_discounts=money,
    total_shipping=money,
    total_tax=money,
    total_price=money,
    total_refunded=st.just("0.00") | money,
    test=st.integers(0, 9).map(lambda n: n == 9),
)


@settings(max_examples=30, deadline=None)
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
        figures = opened.figures(span, [Condition("currency", "eq", "USD")])
        series = opened.series("1 day", span, [Condition("currency", "eq", "USD")])
        assert opened.tests == len(rows) - len(real(rows))

    goods = total("subtotal_price")
    assert figures.orders == len(counted)
    assert figures.gross_sales == goods + total("total_discounts")
    assert figures.discounts == total("total_discounts")
    assert figures.refunds == total("total_refunded")
    assert figures.shipping == total("total_shipping")
    assert figures.taxes == total("total_tax", lambda row: row["taxes_included"] == "0")
    assert figures.net_sales == goods - total("total_refunded")
    assert figures.total_sales == total("total_price") - total("total_refunded")
    assert figures.net_sales + figures.shipping + figures.taxes + (figures.other or 0) == figures.total_sales
    assert figures.average_order_value == (goods / len(counted) if counted else None)
    refunded = sum(amount(row, "total_refunded") > 0 for row in counted)
    assert figures.refund_rate == (Decimal(refunded) / len(counted) if counted else None)

    days: dict[datetime, list[Decimal]] = {}
    for row in counted:
        day = datetime.combine(local(row, timezone).date(), datetime.min.time())
        days.setdefault(day, []).append(amount(row, "total_price") - amount(row, "total_refunded"))
    assert [(p.at, p.orders, p.sales) for p in series] == [(d, len(v), sum(v)) for d, v in sorted(days.items())]


def test_total_sales_of_a_real_shop_is_what_it_adds_up_to(opened: Orders) -> None:
    figures = opened.figures(None, [Condition("currency", "eq", "EUR")])
    assert figures.orders > 0
    assert figures.other == 0


def test_a_breakdown_splits_the_same_total_and_ignores_its_own_filter(opened: Orders) -> None:
    usd = [Condition("currency", "eq", "USD")]
    whole = opened.figures(None, usd).total_sales
    for by in ("status", "fulfilment", "channel", "country"):
        assert sum((s.sales or Decimal(0) for s in opened.breakdown(by, None, usd)), Decimal(0)) == whole
    paid = [*usd, Condition("status", "eq", "paid")]
    assert opened.breakdown("status", None, paid) == opened.breakdown("status", None, usd)
    assert opened.breakdown("channel", None, paid) != opened.breakdown("channel", None, usd)


def test_currencies_are_told_apart_the_most_frequent_first(rows: list[Row], opened: Orders) -> None:
    counts = {code: sum(r["currency"] == code for r in real(rows)) for code in {r["currency"] for r in real(rows)}}
    found = opened.currencies()
    assert {part.value: part.orders for part in found} == counts
    assert [part.orders for part in found] == sorted(counts.values(), reverse=True)


def test_countries_come_from_the_address_that_is_encoded_twice(rows: list[Row], opened: Orders) -> None:
    addresses = [json.loads(json.loads(r["destination"] or '"{}"')) for r in real(rows)]
    assert opened.countries == {a["country_code"]: a["country"] for a in addresses if a}
    counted = {part.value: part.orders for part in opened.breakdown("country", None)}
    assert counted == {code: sum(a.get("country_code", "") == code for a in addresses) for code in counted}


def test_weeks_and_months_count_from_the_start_of_the_period(opened: Orders, rows: list[Row]) -> None:
    span = Span(datetime(2025, 1, 15), datetime(2025, 11, 21))
    weeks = opened.series("7 days", span)
    assert all((point.at - span.start).days % 7 == 0 for point in weeks)
    months = opened.series("1 month", span)
    assert months[0].at == datetime(2025, 1, 1)
    inside = [row for row in real(rows) if span.start <= local(row, "Europe/Berlin") < span.end]
    assert sum(p.orders for p in weeks) == sum(p.orders for p in months) == len(inside)


def test_pages_go_through_every_order_once_the_newest_first(opened: Orders, rows: list[Row]) -> None:
    keys: list[str] = []
    while len(page := opened.page(None, limit=70, offset=len(keys)).rows):
        keys += [row[ROW_KEY] for row in page]
    expected = sorted(real(rows), key=lambda row: (row["created_at"] or "", int(row["id"] or 0)), reverse=True)
    assert keys == [row["id"] for row in expected]


@pytest.mark.parametrize("search", ["ZOË", "#1042", "example.COM", "' OR 1=1 --", "%"])
def test_search_finds_number_name_and_mail_in_any_case(opened: Orders, rows: list[Row], search: str) -> None:
    texts = [[row[name] or "" for name in ("id", "name", "email", "customer_name")] for row in real(rows)]
    expected = sum(any(search.lower() in text.lower() for text in row) for row in texts)
    assert opened.page(None, search=search).count == expected


def test_an_order_is_read_whole_by_its_key(opened: Orders, rows: list[Row]) -> None:
    row = real(rows)[5]
    found = opened.order(row["id"] or "")
    assert found is not None
    assert found["total_price"] == amount(row, "total_price")
    assert found["created_at"] == local(row, "Europe/Berlin")
    assert found["note"] == row["note"]
    assert opened.order("nope") is None


def test_every_single_column_can_be_missing(rows: list[Row]) -> None:
    for missing in SHOP_COLUMNS[1:]:
        columns = [column for column in SHOP_COLUMNS if column is not missing]
        with orders(rows[:20], columns=columns) as opened:
            figures = opened.figures(None)
            assert figures.orders == (20 if missing.name == "test" else len(real(rows[:20])))
            assert opened.page(None, search="x").count >= 0
            opened.breakdown("country", None)
            for sentence in opened.missing.values():
                assert missing.name in sentence


def test_a_figure_that_the_table_cannot_tell_is_none_and_says_why(rows: list[Row]) -> None:
    with orders(rows[:20], columns=[c for c in SHOP_COLUMNS if c.name != "total_refunded"]) as opened:
        figures = opened.figures(None)
        assert opened.missing == {"refunds": "No refunds: the table has no column total_refunded of a fitting type."}
    assert figures.refunds is None
    assert figures.refund_rate is None
    assert figures.net_sales is None
    assert figures.gross_sales is not None


def test_a_table_of_anything_else_is_told_as_missing_everything() -> None:
    columns = (
        Column(name="id", type="int", kind="integer", nullable=False),
        Column(name="created_at", type="blob", kind="bytes", nullable=True),
        Column(name="total_price", type="date", kind="date", nullable=True),
    )
    with orders([{"id": "1"}, {"id": "2"}], columns=columns) as opened:
        assert opened.figures(None).orders == 2
        assert opened.figures(None).total_sales is None
        assert len(opened.page(None).rows) == 2  # without a key, a row is named by its place
        assert "dates" in opened.missing


def test_no_rows_at_all_are_no_error() -> None:
    with orders([]) as opened:
        assert opened.extent() is None
        assert opened.figures(None).orders == 0
        assert opened.figures(None).total_sales == 0
        assert opened.figures(None).average_order_value is None
        assert opened.page(None).rows == []
        assert opened.series("1 day", Span(datetime(2025, 1, 1), datetime(2025, 1, 2))) == []


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
