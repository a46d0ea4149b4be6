"""A table is read by its data: what each column means, how values are written, and what one row is."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from schema_corpus import Schema, corpus
from schema_orders import in_key_order, schema_orders

from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from cache.query.filters import Condition
from cache.roles import ROLES
from cache.table_setup import Setup

SCHEMAS = corpus()
BY_NAME = {schema.name: schema for schema in SCHEMAS}


@pytest.fixture(params=SCHEMAS, ids=[schema.name for schema in SCHEMAS])
def schema(request: pytest.FixtureRequest) -> Schema:
    chosen: Schema = request.param
    return chosen


def counted(orders: Orders, schema: Schema) -> list[int]:
    """The orders of each period of the truth."""
    found = []
    for figures in schema.truth.figures:
        span = None
        if figures.period != "all":
            first, last = (datetime.combine(day, datetime.min.time()) for day in figures.period)
            span = Span(first, last + timedelta(days=1))
        found.append(orders.figures(span, (Condition("currency", "eq", figures.currency),)).orders)
    return found


def test_orders_are_counted_on_their_days(schema: Schema) -> None:
    truth = schema.truth
    with schema_orders(schema) as orders:
        assert orders.reading.grain == truth.grain
        assert orders.left_out == {why: count for why, count in truth.left_out.model_dump().items() if count}
        stated = [(n, figures.orders) for n, figures in zip(counted(orders, schema), truth.figures, strict=True)]
        assert [n for n, wanted in stated if wanted is not None] == [
            wanted for _, wanted in stated if wanted is not None
        ]


def test_columns_play_their_roles(schema: Schema) -> None:
    with schema_orders(schema) as orders:
        roles = {role: name for role, name in schema.truth.roles.items() if role in ROLES}
        assert {role: orders.reading.roles.get(role) for role in roles} == roles


@pytest.mark.parametrize("name", ["shopify_export", "export_spreadsheet", "line_rows", "versions"])
def test_the_order_of_rows_changes_no_figure(name: str) -> None:
    schema = BY_NAME[name]
    rows = in_key_order(schema)
    shuffled = random.Random(name).sample(rows, len(rows))
    with schema_orders(schema, rows) as one, schema_orders(schema, shuffled) as other:
        assert one.figures(None, units=True) == other.figures(None, units=True)
        assert one.groups(("currency", "status"), "month") == other.groups(("currency", "status"), "month")


def test_days_and_months_that_cannot_be_told_apart_are_a_question() -> None:
    schema = BY_NAME["ambiguous_dates"]
    truth = schema.truth
    with schema_orders(schema) as orders:
        assert orders.reading.questions == ("dates",)
        assert not orders.reading.confirmed
    setup = Setup(timezone=truth.timezone, source_timezone=truth.source_timezone, instants={"created_at": "day_first"})
    with schema_orders(schema, setup=setup) as orders:
        assert orders.reading.confirmed


def test_an_odd_repeat_does_not_turn_orders_into_lines() -> None:
    schema = BY_NAME["prisma"]
    rows = in_key_order(schema)
    with schema_orders(schema, [*rows, {**rows[0], "id": "999999"}]) as orders:
        assert orders.reading.grain == "order"
        assert orders.figures(None).orders + sum(orders.left_out.values()) == len(rows) + 1


def test_few_orders_confirm_nothing() -> None:
    with schema_orders(BY_NAME["few_orders"]) as orders:
        assert not orders.reading.confirmed
