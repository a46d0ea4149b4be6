"""Figures by product: rows and what belongs to none of them add up to the total, to the last decimal."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cache_factory import cache_in, publish

from cache.analytics.breakdowns import pivot as pivot_table
from cache.analytics.breakdowns.pivot import PivotQuery, pivot
from cache.analytics.figure_query import FigureQuery
from cache.analytics.figure_table import compute
from cache.analytics.figures import Figures
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, or_zero
from cache.calendar.periods import ShopCalendar
from cache.query.filters import Condition
from cache.schema import Column

START = datetime(2025, 3, 1, 12)
CENT = Fraction(1, 100)
ADDED = (
    "gross_sales",
    "discounts",
    "returns",
    "cancellations",
    "net_sales",
    "shipping",
    "taxes",
    "total_sales",
    "units",
)
_NAMES = {
    "id": "unsigned",
    "created_at": "datetime",
    "cancelled_at": "datetime",
    "currency": "text",
    "taxes_included": "boolean",
    "subtotal_price": "decimal",
    "total_discounts": "decimal",
    "total_shipping": "decimal",
    "total_tax": "decimal",
    "total_price": "decimal",
    "line_items": "json",
    "refunds": "json",
    "tags": "text",
    "destination": "json",
    "email": "text",
}
COLUMNS = tuple(
    Column(
        name=name,
        type=kind,
        kind=kind,  # type: ignore[arg-type]
        nullable=True,
        key=int(name == "id"),
        digits=12 if kind == "decimal" else 0,
        decimals=2 if kind == "decimal" else 0,
    )
    for name, kind in _NAMES.items()
)


def text(amount: Fraction) -> str:
    return f"{Decimal(round(amount * 100)) / 100:.2f}"


def order(chance: random.Random, number: int) -> dict[str, str | None]:
    """An order: tax in prices or beside them, discounts of lines or of the whole, refunds with lines or without."""
    included = chance.random() < 0.5
    lines = [
        {
            "id": number * 10 + i,
            "sku": f"S{chance.randrange(6)}",
            "title": "Thing",
            "vendor": chance.choice(["Acme", "Bolt"]),
            "variant_title": chance.choice(["red", "blue", ""]),
            "price": text(Fraction(chance.randrange(1, 20_000), 100)),
            "quantity": chance.randrange(1, 4),
        }
        for i in range(chance.randrange(1, 5))
    ]
    goods = sum(Fraction(line["price"]) * line["quantity"] for line in lines)
    discount = Fraction(0)
    how = chance.choice(["none", "lines", "order"])
    if how == "lines":
        for line in lines:
            off = Fraction(chance.randrange(0, round(Fraction(line["price"]) * 100)), 100)
            line["discount_allocations"] = [{"amount": text(off)}]
            discount += off
    elif how == "order":
        discount = Fraction(chance.randrange(0, round(goods * 50)), 100)
    shipping = Fraction(chance.choice([0, 595, 995]), 100)
    tax = Fraction(round((goods - discount + shipping) * (19 if included else 8)), 119 if included else 100)
    tax = Fraction(round(tax * 100), 100)
    placed = START + timedelta(hours=number * 7)
    refunds: list[dict[str, Any]] = []
    for i in range(chance.choice([0, 0, 0, 1, 2])):
        at = (placed + timedelta(days=3 + i)).isoformat() + "Z"
        refund: dict[str, Any] = {"id": number * 10 + i, "created_at": at, "amount": text(goods / 20)}
        if chance.random() < 0.7:
            line = chance.choice(lines)
            refund["refund_line_items"] = [
                {"line_item_id": line["id"], "quantity": 1, "subtotal": line["price"], "total_tax": "0.37"}
            ]
        refunds.append(refund)
    return {
        "id": str(number),
        "created_at": str(placed),
        "cancelled_at": str(placed + timedelta(days=4)) if chance.random() < 0.1 else None,
        "currency": "EUR",
        "taxes_included": str(int(included)),
        "subtotal_price": text(goods - discount),
        "total_discounts": text(discount),
        "total_shipping": text(shipping),
        "total_tax": text(tax),
        "total_price": text(goods - discount + shipping + (0 if included else tax)),
        "line_items": json.dumps(lines),
        "refunds": json.dumps(refunds),
        "tags": chance.choice(["", "vip", "vip, gift", "b2b"]),
        "destination": json.dumps({"country_code": "US", "province": chance.choice(["Oregon", "Texas"]), "city": "X"}),
        "email": f"c{number % 40}@example.com",
    }


ROWS = [order(random.Random(number), number) for number in range(1, 300)]


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, ROWS, columns=COLUMNS, segments=3)
    opened = Orders(cache.snapshots.open(), "UTC")
    yield opened
    opened.close()
    cache.close()


def known(figures: Figures) -> dict[str, Decimal | int]:
    return {name: or_zero(METRICS[name].value(figures)) for name in ADDED}


def added(parts: list[Figures]) -> dict[str, Decimal | int]:
    return {name: sum(or_zero(METRICS[name].value(part)) for part in parts) for name in ADDED}


@pytest.mark.parametrize(
    "by", [("product",), ("vendor",), ("variant", "sku"), ("product", "region"), ("sku", "weekday")]
)
@pytest.mark.parametrize("returns", ["returned", "ordered"])
def test_rows_and_what_belongs_to_none_are_the_total(orders: Orders, by: tuple[str, ...], returns: str) -> None:
    calendar = ShopCalendar.at(START, "UTC", START, START, "monday")
    query = FigureQuery(by=by, metrics=ADDED, returns=returns)  # type: ignore[arg-type]
    table = compute(orders, query, calendar)
    assert table.unattributed is not None
    assert table.is_overlapping
    assert added([*(row.figures for row in table.rows), table.unattributed]) == known(table.totals)
    assert table.unattributed.orders is Absent.UNDEFINED
    assert or_zero(table.unattributed.gross_sales) == 0  # every piece sold belongs to a line
    assert table.unattributed.units == 0


def test_gross_sales_and_returns_of_products_are_worked_out_by_hand(orders: Orders) -> None:
    gross: dict[str, Fraction] = defaultdict(Fraction)
    returned: dict[str, Fraction] = defaultdict(Fraction)
    bought: dict[str, set[str]] = defaultdict(set)
    for row in ROWS:
        lines = json.loads(row["line_items"] or "")
        goods = sum(Fraction(line["price"]) * line["quantity"] for line in lines)
        included = row["taxes_included"] == "1"
        off, tax, sent = (Fraction(row[name] or "") for name in ("total_discounts", "total_tax", "total_shipping"))
        net = goods - off
        if included and net + sent:
            net -= tax - Fraction(round(tax * sent / (net + sent) * 100), 100)
        bare_off = Fraction(round(off * net / (goods - off) * 100), 100) if included and goods != off else off
        for line in lines:
            gross[line["sku"]] += Fraction(line["price"]) * line["quantity"] * (net + bare_off) / goods
            bought[line["sku"]].add(row["id"] or "")
        for refund in json.loads(row["refunds"] or ""):
            if row["cancelled_at"] and refund["created_at"][:19] >= row["cancelled_at"].replace(" ", "T"):
                continue
            for back in refund.get("refund_line_items", []):
                sku = next(line["sku"] for line in lines if line["id"] == back["line_item_id"])
                returned[sku] += Fraction(back["subtotal"]) - (Fraction(back["total_tax"]) if included else 0)
    groups = {group.values[0]: group.figures for group in orders.groups(["product"])}
    assert groups.keys() == gross.keys()
    for sku, figures in groups.items():
        assert abs(Fraction(or_zero(figures.gross_sales)) - gross[sku]) < CENT
        assert Fraction(or_zero(figures.returns)) == returned[sku]
        assert figures.orders == len(bought[sku])


def test_a_pivot_of_products_has_totals_of_the_whole(orders: Orders) -> None:
    metrics = (METRICS["net_sales"], METRICS["orders"], METRICS["average_order_value"], METRICS["customers"])
    query = PivotQuery(metrics, "product", "region", top=2)
    table = pivot(orders, query, None)
    assert [line.value for line in table.lines[:2]] == [
        group.values[0] for group in sorted(orders.groups(["product"]), key=lambda g: -or_zero(g.figures.net_sales))[:2]
    ]
    assert table.row_count == 6
    assert table.unattributed
    for column in table.columns:
        parts = [line.cells[column] for line in (*table.lines, table.unattributed)]
        assert added(parts) == known(table.total.cells[column])
    assert table.total.total.orders == len(ROWS)
    whole = orders.figures(None)
    for metric in metrics:  # also averages and customers, which are no sums
        assert metric.value(table.total.total) == metric.value(whole)
    others = table.lines[-1].total
    assert others.orders < sum(g.figures.orders for g in orders.groups(["product"]))  # each order once


@pytest.mark.parametrize("metric", ["net_sales", "average_order_value", "customers", "refund_rate", "units", "orders"])
@pytest.mark.parametrize("rows", ["product", "customer", "month"])
def test_the_largest_of_too_many_values_are_found_by_sql(
    orders: Orders, rows: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for descending in (True, False):
        query = PivotQuery((METRICS[metric],), rows, top=4, sort="total", descending=descending)
        expected = pivot(orders, query, None)
        with monkeypatch.context() as few:
            few.setattr(pivot_table, "MAX_GROUPS", 1)
            found = pivot(orders, query, None)
        values = [[METRICS[metric].value(line.total) for line in each.lines] for each in (found, expected)]
        assert values[0] == values[1]
        assert found.row_count == expected.row_count


def test_tags_count_in_each_and_the_total_only_once(orders: Orders) -> None:
    table = pivot(orders, PivotQuery((METRICS["orders"],), "tag", top=10), None)
    counts = {line.value: line.total.orders for line in table.lines}
    assert counts == {
        tag: sum(tag in [part.strip() for part in (row["tags"] or "").split(",")] for row in ROWS)
        for tag in ("", "vip", "gift", "b2b")
    }
    assert (table.total.total.orders, table.is_overlapping, table.unattributed) == (len(ROWS), True, None)


def test_lines_of_one_product_are_told_apart_inside_it(orders: Orders) -> None:
    whole = {group.values: group.figures for group in orders.groups(["sku", "variant"])}
    inside = pivot(orders, PivotQuery((METRICS["gross_sales"],), "variant", within=("sku", "S1")), None)
    assert {line.value: line.total.gross_sales for line in inside.lines} == {
        variant: figures.gross_sales for (sku, variant), figures in whole.items() if sku == "S1"
    }


@pytest.mark.parametrize("sort", ["", "name", "@Texas"])
def test_rows_are_sorted_by_total_name_or_any_column(orders: Orders, sort: str) -> None:
    table = pivot(orders, PivotQuery((METRICS["gross_sales"],), "sku", "region", sort=sort, top=4), None)
    shown = [line for line in table.lines if isinstance(line.value, str)]
    keys = {
        "": [line.total.gross_sales for line in shown],
        "name": [line.value for line in shown],
        "@Texas": [line.cells["Texas"].gross_sales for line in shown],
    }[sort]
    assert keys == sorted(keys, reverse=True)  # type: ignore[type-var]
    assert len(shown) == 4


@pytest.mark.slow
def test_filters_on_every_dimension_select_the_orders_of_its_row(orders: Orders) -> None:
    names = ("region", "city", "tag", "customer_type", "customer", "vendor", "sku", "weekday", "hour_of_day", "month")
    for name in (*names, "column:taxes_included", "json:destination.province"):
        for group in orders.groups([name])[:4]:
            figures = orders.figures(None, [Condition(name, "eq", group.values[0])])
            assert figures.orders == group.figures.orders, (name, group.values)
            assert orders.page(None, [Condition(name, "eq", group.values[0])]).count == figures.orders


def test_numbers_are_filtered_by_their_own_text_alone(orders: Orders) -> None:
    (customer, *_), *_ = (group.values for group in orders.groups(["customer"]))
    count = orders.count(None, [Condition("customer", "eq", customer)])
    assert count > 1
    for value in (f"0{customer}", f" {customer}", f"{customer}.0", "x", "", "9" * 30):
        assert orders.count(None, [Condition("customer", "eq", value)]) == 0
        assert orders.count(None, [Condition("customer", "in", (value, customer))]) == count
    assert orders.count(None, [Condition("customer", "ne", customer)]) == len(ROWS) - count


def test_two_columns_of_the_source_are_rows_and_columns(orders: Orders) -> None:
    table = pivot(orders, PivotQuery((METRICS["orders"],), "column:taxes_included", "json:destination.province"), None)
    cells = {(line.value, column): figures.orders for line in table.lines for column, figures in line.cells.items()}
    assert cells == Counter((row["taxes_included"], json.loads(row["destination"] or "")["province"]) for row in ROWS)


def test_columns_and_json_with_few_values_are_found(orders: Orders) -> None:
    assert [dimension.id for dimension in orders.row_dimensions()] == ["column:taxes_included"]


@pytest.mark.parametrize("rows", [0, 3])
def test_a_table_without_texts_or_without_rows_has_no_further_dimensions(tmp_path: Path, rows: int) -> None:
    columns = (
        Column(name="id", type="bigint", kind="integer", nullable=False, key=True),
        Column(name="created_at", type="datetime", kind="datetime", nullable=True),
    )
    texts = (Column(name="store", type="varchar(9)", kind="text", nullable=True),) if not rows else ()
    with closing(cache_in(tmp_path)) as cache:
        publish(
            cache, [{"id": f"{i}", "created_at": "2026-01-02 03:04:05"} for i in range(rows)], columns=columns + texts
        )
        with closing(Orders(cache.snapshots.open(), "UTC")) as opened:
            assert opened.row_dimensions() == []
