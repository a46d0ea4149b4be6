"""The same shop gives the same figures to the cent, however its table is written; or the reading says what is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import pytest
from column_styles import AMOUNTS, CODES, DECOYS, FLAGS, INSTANTS, NAMES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rewritten_shop import CURRENCIES, OPTIONAL_FIELDS, SHOPS, ZONES, Rewriting, shop_rows
from schema_orders import Row, schema_orders, table_orders
from shop_factory import SHOP_COLUMNS

from cache.analytics.figures import Returns
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Value
from cache.reading import Grain
from cache.table_setup import Setup

pytestmark = pytest.mark.slow

COMPARED = (
    "orders",
    "gross_sales",
    "discounts",
    "returns",
    "cancellations",
    "net_sales",
    "shipping",
    "taxes",
    "total_sales",
    "units",
    "customers",
)
SAME_SHARE = 0.95

Key = tuple[str, datetime | None, str]  # currency, month, metric


class Outcome(NamedTuple):
    """What came of a rewriting: figures that differ, and what is open by the reading; "" where it is sure."""

    differences: Mapping[Key, tuple[Value, Value]]
    open: str


@st.composite
def rewritings(draw: st.DrawFn) -> Rewriting:
    chance = draw(st.randoms(use_true_random=True))  # all choices are equally likely

    def some(of: Iterable[str]) -> frozenset[str]:
        listed = sorted(of)
        return frozenset(chance.sample(listed, chance.randrange(4)))

    names = chance.choice(sorted(NAMES))
    left_out = some(OPTIONAL_FIELDS)
    versions: list[Grain] = ["version"] if "updated" in NAMES[names] else []
    grain: Grain = chance.choice(["order", "line", *versions])
    one_currency = "included" in left_out or "included" not in NAMES[names]
    return Rewriting(
        shop=chance.choice(SHOPS),
        currency=chance.choice(CURRENCIES[1:] if one_currency else CURRENCIES),
        names=names,
        grain=grain,
        follow_up=chance.choice(["repeated", "blank", "zero"]),
        amounts=chance.choice(sorted(AMOUNTS)),
        instants=chance.choice(sorted(INSTANTS)),
        flags=chance.choice(sorted(FLAGS)),
        codes=chance.choice(sorted(CODES)),
        nothing=chance.choice(["null", "blank", "zero"]),
        minus=chance.random() < 0.1,
        deleted=grain != "version" and chance.random() < 0.1,
        two_shops=chance.random() < 0.2,
        lists=chance.choice(["rest", "numbers", "edges", "nodes"]),
        encoded_twice=chance.random() < 0.3,
        key=chance.choice(["order", "row", "none"]),
        itemized=chance.random() < 0.3,
        left_out=left_out,
        decoys=some(DECOYS),
        seed=chance.randrange(1000),
    )


def figures(orders: Orders, returns: Returns) -> dict[Key, Value]:
    """The figures of all time and of each month, by currency."""
    groups = orders.groups(("currency",), None, returns=returns, customers=True, units=True)
    groups += orders.groups(("currency",), "month", returns=returns, units=True)
    return {
        (*group.values, group.at, name): METRICS[name].value(group.figures)
        for group in groups
        for name in COMPARED
        if group.at is None or name != "customers"
    }


@cache
def true_figures(shop: int, currency: str, returns: Returns) -> Mapping[Key, Value]:
    """The figures of the shop as the lab stores it, which equal SQL on MariaDB (tests/lab/test_metrics.py)."""
    rows: list[Row] = list(shop_rows(shop, currency))
    with table_orders(SHOP_COLUMNS, rows, Setup(timezone=ZONES[shop], source_timezone="UTC")) as orders:
        return figures(orders, returns)


def outcome(rewriting: Rewriting) -> Outcome:
    """Reads a rewritten shop, and compares what the table stores."""
    fields = rewriting.fields
    returns: Returns = "returned" if "refunds" in fields else "ordered"
    untold = {
        "returns": not fields.keys() & {"refunds", "refunded"},
        "units": not fields.keys() & {"items", "line_quantity"},
    }
    if not fields.keys() & {"shipping", "shipping_lines"}:
        untold |= {"shipping": True}
        if not fields.keys() & {"subtotal", "items", "line_price"}:
            untold |= dict.fromkeys(("gross_sales", "cancellations", "net_sales"), True)
    schema = rewriting.stored()
    setup = Setup(timezone=ZONES[rewriting.shop], source_timezone="UTC")
    with schema_orders(schema, setup=setup) as orders:
        told = figures(orders, returns)
        questions = orders.reading.questions
        reasons = [*questions, *(() if orders.reading.confirmed or questions else ["few"]), *orders.unread]
    right = true_figures(rewriting.shop, rewriting.currency, returns)
    if untold["returns"]:
        untold |= {"net_sales": True, "total_sales": True}
    differences = {
        key: (value, told.get(key, Absent.UNDEFINED))
        for key, value in right.items()
        if value and not untold.get(key[2]) and told.get(key) != value
    }
    if differences and all(value is Absent.NO_COLUMN for _, value in differences.values()):
        reasons += sorted({metric for _, _, metric in differences})
    return Outcome(differences, " ".join(reasons))


def outcomes(examples: int) -> list[tuple[Rewriting, Outcome]]:
    """Rewrites the shops at random, always in the same way, and reads them."""
    found: list[tuple[Rewriting, Outcome]] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(rewritings())
    def read(rewriting: Rewriting) -> None:
        found.append((rewriting, outcome(rewriting)))

    read()
    return found


PLAIN = Rewriting(
    shop=2,
    currency="",
    names="rest",
    grain="order",
    follow_up="repeated",
    amounts="decimal",
    instants="datetime",
    flags="number",
    codes="capitals",
    nothing="null",
    minus=False,
    deleted=False,
    two_shops=False,
    lists="rest",
    encoded_twice=False,
    key="order",
    itemized=False,
    left_out=frozenset(),
    decoys=frozenset(),
    seed=1,
)
"""The shop nearly as the lab stores it."""

MISREAD = {
    "a shipping list in the shape of GraphQL": {"lists": "edges", "itemized": True},
    "deleted line rows of orders that are there": {"grain": "line", "deleted": True},
    "zero dates beside dates with the day first": {"instants": "german", "nothing": "zero"},
    "days without a time": {"instants": "day in text"},
    "gross sales from a total and lists": {"itemized": True, "left_out": {"subtotal", "items"}},
    "line rows whose orders have an id and no number": {"names": "camel", "grain": "line", "left_out": {"name"}},
    "two shops with the same order numbers": {"grain": "line", "two_shops": True},
    "a total of goods beside the total": {"names": "headers", "decoys": {"total"}},
    "prices with tax and no shipping": {"currency": "EUR", "left_out": {"shipping"}},
}


@pytest.mark.parametrize("changes", MISREAD.values(), ids=MISREAD)
def test_tables_that_were_misread_are_read(changes: dict[str, Any]) -> None:
    named = {name: frozenset(value) if isinstance(value, set) else value for name, value in changes.items()}
    assert outcome(replace(PLAIN, **named)) == Outcome({}, "")


def test_nothing_that_shows_whether_tax_is_included_is_a_question() -> None:
    bare = replace(
        PLAIN, currency="EUR", names="woocommerce", left_out=frozenset({"items"}), decoys=frozenset({"price"})
    )
    assert outcome(bare).open == "tax"


def test_without_the_goods_a_cancellation_cannot_be_told() -> None:
    total = replace(PLAIN, left_out=frozenset({"shipping", "subtotal", "items"})).stored()
    with schema_orders(total, setup=Setup(timezone=ZONES[PLAIN.shop], source_timezone="UTC")) as orders:
        assert orders.missing["cancellations"].startswith("No cancellations: the table has no column for")


@pytest.mark.parametrize("examples", [3, pytest.param(80, marks=pytest.mark.soak)])
def test_figures_stay_the_same_however_a_shop_is_stored(examples: int) -> None:
    found = outcomes(examples)
    silent = [(rewriting, result.differences) for rewriting, result in found if result.differences and not result.open]
    assert silent == []
    same = Counter(not result.differences for _, result in found)
    assert same[True] >= SAME_SHARE * len(found), [rewriting for rewriting, result in found if result.differences]
