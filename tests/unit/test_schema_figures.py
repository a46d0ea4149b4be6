"""Each schema of the corpus is read rightly, and its figures equal those worked out by hand, to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from schema_corpus import Figures, Schema, corpus
from schema_orders import months_of, schema_orders

from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.products import product_page, sold_products
from cache.analytics.values import Absent
from cache.calendar.periods import Span
from cache.query.filters import Condition

pytestmark = pytest.mark.slow

SCHEMAS = corpus()


@pytest.fixture(scope="module", params=SCHEMAS, ids=[schema.name for schema in SCHEMAS])
def schema(request: pytest.FixtureRequest) -> Schema:
    chosen: Schema = request.param
    return chosen


@pytest.fixture(scope="module")
def orders(schema: Schema) -> Iterator[Orders]:
    with schema_orders(schema) as opened:
        yield opened


def days(figures: Figures) -> Span | None:
    """The period of figures."""
    if figures.period == "all":
        return None
    first, last = (datetime.combine(day, datetime.min.time()) for day in figures.period)
    return Span(first, last + timedelta(days=1))


def conditions(figures: Figures) -> tuple[Condition, ...]:
    return (Condition("currency", "eq", figures.currency),)


def told(orders: Orders, wanted: Figures) -> dict[str, Any]:
    """The product's figures that `wanted` states, rounded as there."""
    figures = orders.figures(days(wanted), conditions(wanted), units=True)
    found: dict[str, Any] = {}
    for name, value in stated(wanted).items():
        figure = METRICS[name].value(figures)
        exact = isinstance(figure, Absent) or not isinstance(value, Decimal)
        found[name] = figure if exact else Decimal(figure).quantize(value)
    return found


def stated(figures: Figures) -> dict[str, Any]:
    return {name: value for name, value in figures.model_dump(exclude_none=True).items() if name in METRICS}


def test_rows_and_columns_mean_what_they_should(orders: Orders, schema: Schema) -> None:
    truth = schema.truth
    assert orders.reading.grain == truth.grain
    assert {role: orders.reading.roles.get(role) for role in truth.roles} == truth.roles
    assert orders.left_out == {why: count for why, count in truth.left_out.model_dump().items() if count}


def test_every_value_can_be_read(orders: Orders) -> None:
    assert orders.unread == {}


def test_figures_are_those_worked_out_by_hand(orders: Orders, schema: Schema) -> None:
    for wanted in schema.truth.figures:
        assert told(orders, wanted) == stated(wanted), (wanted.period, wanted.currency)


def test_no_figure_of_an_undamaged_table_carries_a_mark(orders: Orders) -> None:
    """Whatever happens in a healthy shop: free shipping, gift cards, edits, exchanges, imports, cancellations."""
    for currency, _ in orders.currencies():
        for span in (None, *months_of(orders)):
            assert orders.marks(span, (Condition("currency", "eq", currency),)) == {}


def test_what_a_table_cannot_tell_is_absent(orders: Orders, schema: Schema) -> None:
    figures = orders.figures(None, units=True)
    assert [name for name in schema.truth.cannot_tell if METRICS[name].available(orders.missing)] == []
    values = {name: METRICS[name].value(figures) for name in schema.truth.cannot_tell}
    assert {name: value for name, value in values.items() if not isinstance(value, Absent)} == {}


def test_a_reading_is_confirmed_where_the_data_decides_it(orders: Orders, schema: Schema) -> None:
    assert set(orders.reading.questions) == set(schema.truth.questions)
    assert orders.reading.confirmed == (schema.truth.reading == "confirmed")


def test_products_are_those_worked_out_by_hand(orders: Orders, schema: Schema) -> None:
    truth = schema.truth
    ranked = product_page(orders, sold_products(orders, None, conditions(truth.figures[0])), limit=1000).products
    sold = {product.key: product for product in ranked}
    units = {key: wanted.units for key, wanted in truth.products.items() if wanted.units is not None}
    assert {key: sold[key].units for key in units} == units
    sales = {key: wanted.gross_sales for key, wanted in truth.products.items() if wanted.gross_sales is not None}
    assert {key: sold[key].sales for key in sales} == sales


def test_customers_are_those_worked_out_by_hand(orders: Orders, schema: Schema) -> None:
    wanted = schema.truth.customers
    if wanted is None:
        assert schema.truth.figures
        return
    figures = orders.figures(None)
    stated = wanted.model_dump(exclude_none=True)
    found = {name: METRICS[name].value(figures) for name in stated}
    assert {name: round(value, 4) for name, value in found.items()} == stated


def test_refunds_count_on_their_days(orders: Orders, schema: Schema) -> None:
    listed = orders.facts.query(
        f"SELECT o.key, r.local::DATE, r.returns FROM {orders.facts.reversals} AS r "
        f"JOIN {orders.facts.orders} AS o USING (key) WHERE r.kind = 'return' AND r.returns <> 0"
    )
    names = {key: orders.lookup.by_keys([key])[0] for key, _, _ in listed}
    found = {(orders.lookup.text(names[key], "name"), on, amount) for key, on, amount in listed}
    assert {(each.order, each.on, each.amount) for each in schema.truth.refunds if each.amount} <= found
