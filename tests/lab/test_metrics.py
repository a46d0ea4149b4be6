"""Every metric equals an independent computation in SQL on MariaDB, over the lab's shop, to the cent."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

import pytest
from cache_factory import cache_in, publish
from shop_factory import SHOP_COLUMNS

from cache.analytics.dimensions.catalogue import PRODUCT
from cache.analytics.figures import Returns
from cache.analytics.orders import Orders
from cache.analytics.values import Absent
from cache.calendar.periods import Span
from cache.query.filters import Condition
from cache.settings import CancelledOrders
from lab import Lab
from lab.data.catalogue import PRODUCTS
from lab.data.table import COLUMNS

ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles")
CURRENCIES = {"USD": False, "CAD": False, "EUR": True, "JPY": True}
"""Whether prices in a currency include tax."""
_CHOICES = {
    "status": ("financial_status", ("paid", "pending", "refunded", "partially_refunded", "voided")),
    "channel": ("source_name", ("web", "iphone", "pos", "amazon")),
    "discount": ("COALESCE(discount_code, '')", ("WELCOME10", "NULL", "", "½PREIS")),
    "fulfilment": ("COALESCE(fulfillment_status, '')", ("fulfilled", "restocked", "")),
    "country": ("COALESCE(JSON_VALUE(JSON_UNQUOTE(destination), '$.country_code'), '')", ("DE", "US", "GB", "")),
    "product": (
        "(SELECT JSON_ARRAYAGG(l.sku) FROM JSON_TABLE(line_items, '$[*]' COLUMNS (sku TEXT PATH '$.sku')) AS l)",
        tuple(product.sku for product in PRODUCTS[:60:20]),
    ),
}


@pytest.fixture(scope="module")
def opened(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, CancelledOrders], Orders]]:
    """The lab's orders, read by a direct connection and published; by time zone and CANCELLED_ORDERS."""
    with lab.connect() as connection, connection.cursor() as cursor:
        listed = ", ".join(f"CAST(`{name}` AS CHAR)" for name in COLUMNS)
        cursor.execute(f"SELECT {listed} FROM orders ORDER BY id")
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, rows, columns=SHOP_COLUMNS, segments=5)
    found = {
        (zone, cancelled): Orders(cache.snapshots.open(), zone, cancelled_orders=cancelled)
        for zone, cancelled in product(ZONES, get_args(CancelledOrders))
    }
    yield found
    for orders in found.values():
        orders.close()
    cache.close()


def utc(local: datetime, zone: str) -> str:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


class Question(NamedTuple):
    """Which figures: one case for each combination of the first four."""

    zone: str
    returns: Returns
    cancelled: CancelledOrders
    currency: str
    span: Span
    filters: dict[str, str]

    def __str__(self) -> str:
        return " ".join(self[:4])


def question(number: int, zone: str, returns: Returns, cancelled: CancelledOrders, currency: str) -> Question:
    """A period (half of them over a change of summer time) and filters for a combination."""
    rng = random.Random(number)
    change = rng.choice([datetime(2026, 3, 8), datetime(2026, 3, 29), datetime(2025, 10, 26), datetime(2025, 11, 2)])
    other = datetime(2024, 1, 1) + timedelta(rng.randrange(600))
    start = rng.choice([change - timedelta(rng.randrange(3)), other])
    span = Span(start, start + timedelta(rng.choice([1, 2, 30, 200, 400])))
    chosen = rng.sample(sorted(_CHOICES), rng.choice([0, 0, 1, 1, 2]))
    filters = {name: rng.choice(_CHOICES[name][1]) for name in chosen}
    return Question(zone, returns, cancelled, currency, span, {"currency": currency, **filters})


QUESTIONS = [
    question(number, *combination)
    for number, combination in enumerate(product(ZONES, get_args(Returns), get_args(CancelledOrders), CURRENCIES))
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_metrics_are_those_of_mariadb(
    lab: Lab, opened: dict[tuple[str, CancelledOrders], Orders], question: Question
) -> None:
    conditions = [Condition(name, "eq", value) for name, value in question.filters.items()]
    orders = opened[question.zone, question.cancelled]
    figures = orders.figures(question.span, conditions, question.returns, units=True)
    expected = computed(lab, question)
    assert {name: getattr(figures, name) for name in expected} == expected


def test_prices_of_the_shop_include_tax_in_some_currencies_only(lab: Lab) -> None:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT currency, taxes_included FROM orders")
        included = {currency: bool(flag) for currency, flag in cursor.fetchall()}
    assert included.items() >= CURRENCIES.items()


def computed(lab: Lab, question: Question) -> dict[str, Any]:
    """The figures by MariaDB, in SQL that shares nothing with the product's.

    Prices of some orders include tax. The tax of their shipping is its share of the whole, rounded to cents.
    """
    start, end = (utc(bound, question.zone) for bound in question.span)
    ended = "NULLIF(cancelled_at, '0000-00-00 00:00:00')"
    is_order = f"test = 0 AND {ended} IS NULL" if question.cancelled == "excluded" else "test = 0"
    where, values = " AND ".join([is_order, *map(_holds, question.filters)]), list(question.filters.values())
    goods = (
        "(SELECT SUM(l.price * l.quantity) FROM JSON_TABLE(line_items, '$[*]' COLUMNS "
        "(price DECIMAL(12,2) PATH '$.price', quantity INT PATH '$.quantity')) AS l)"
    )
    pieces = (
        "(SELECT SUM(l.quantity) FROM JSON_TABLE(line_items, '$[*]' COLUMNS (quantity INT PATH '$.quantity')) AS l)"
    )
    buyer = "COALESCE(CAST(customer_id AS CHAR), NULLIF(LOWER(email), ''))"
    earlier = (
        f"EXISTS (SELECT 1 FROM orders AS e WHERE {_of('e', is_order)} AND {_of('e', buyer)} = {_of('o', buyer)} "
        "AND (e.processed_at, e.id) < (o.processed_at, o.id))"
    )
    priced = f"SELECT o.*, {goods} AS goods, {pieces} AS pieces, {earlier} AS again, {ended} AS ended FROM orders AS o"
    taxed = (
        "SELECT p.*, IF(taxes_included, COALESCE(ROUND(total_tax * total_shipping / "
        f"NULLIF(goods - total_discounts + total_shipping, 0), 2), 0), 0) AS sent_tax FROM ({priced}) AS p"
    )
    net = (
        "SELECT t.*, goods - total_discounts - IF(taxes_included, total_tax - sent_tax, 0) AS net, "
        f"total_shipping - sent_tax AS sent FROM ({taxed}) AS t"
    )
    sold = (
        "SELECT n.*, IF(taxes_included AND goods <> total_discounts, "
        f"ROUND(total_discounts * net / (goods - total_discounts), 2), total_discounts) AS off FROM ({net}) AS n"
    )
    at = "REPLACE(REPLACE(r.at, 'T', ' '), 'Z', '')"
    refunds = (
        "JSON_TABLE(o.refunds, '$[*]' COLUMNS (at CHAR(20) PATH '$.created_at', amount DECIMAL(12,2) PATH "
        "'$.amount')) AS r"
    )
    counted = f"(o.ended IS NULL OR {at} < o.ended)"
    given_back = f"(SELECT COALESCE(SUM(r.amount), 0) FROM {refunds} WHERE {counted})"
    day = at if question.returns == "returned" else "o.processed_at"

    def inside(moment: str) -> str:
        return f"{moment} >= '{start}' AND {moment} < '{end}'"

    taken = "TIMESTAMPDIFF(SECOND, processed_at, fulfilled_at)"
    later = f"({taken} > 60 AND source_name <> 'pos')"
    at_counter = f"({taken} <= 60 OR {taken} IS NOT NULL AND source_name = 'pos')"
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*), SUM(net + off), SUM(off), SUM(sent), SUM(total_tax), SUM(total_price), "
            f"SUM({later}), SUM(IF({later}, {taken}, 0)), SUM({at_counter}), SUM(pieces), "
            f"COUNT(DISTINCT {buyer}), COUNT(DISTINCT IF(again, {buyer}, NULL)), "
            f"COUNT(DISTINCT IF(again, NULL, {buyer})), SUM({given_back} > 0) "
            f"FROM ({sold}) AS o WHERE {where} AND {inside('processed_at')}",
            values,
        )
        placed = [value or 0 for value in cursor.fetchone()]
        (
            orders,
            gross,
            discounts,
            sent,
            tax,
            charged,
            fulfilled,
            seconds,
            at_once,
            units,
            customers,
            again,
            first,
            back,
        ) = placed
        cursor.execute(
            f"SELECT SUM(r.amount) FROM ({sold}) AS o, {refunds} WHERE {where} AND {counted} AND {inside(day)}", values
        )
        (returned,) = (value or 0 for value in cursor.fetchone())
        cursor.execute(
            f"SELECT SUM(net - {given_back}), SUM(sent), SUM(total_tax) FROM ({sold}) AS o "
            f"WHERE {where} AND {inside('ended')}",
            values,
        )
        cancelled, cancelled_sent, cancelled_tax = (value or 0 for value in cursor.fetchone())
    shipping, taxes = sent - cancelled_sent, tax - cancelled_tax
    sales = gross - discounts - returned - cancelled
    return {
        "orders": orders,
        "gross_sales": gross,
        "discounts": discounts,
        "returns": returned,
        "cancellations": cancelled,
        "net_sales": sales,
        "shipping": shipping,
        "taxes": taxes,
        "charged": charged,
        "total_sales": sales + shipping + taxes,
        "units": units,
        "returned_orders": back,
        "average_order_value": (gross - discounts) / orders if orders else Absent.UNDEFINED,
        "refund_rate": Decimal(back) / orders if orders else Absent.UNDEFINED,
        "customers": customers,
        "new_customers": first,
        "returning_customers": again,
        "returning_customer_rate": Decimal(again) / customers if customers else Absent.UNDEFINED,
        "fulfilled_at_once": at_once,
        "time_to_fulfil": Decimal(seconds) / fulfilled if fulfilled else Absent.UNDEFINED,
    }


def _holds(name: str) -> str:
    told = _CHOICES[name][0] if name in _CHOICES else name
    return f"JSON_CONTAINS({told}, JSON_QUOTE(%s))" if name == PRODUCT else f"{told} = BINARY %s"


def _of(table: str, expression: str) -> str:
    for name in ("customer_id", "email", "test", "cancelled_at"):
        expression = expression.replace(name, f"{table}.{name}")
    return expression
