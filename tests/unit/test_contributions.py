"""What changed: parts sum to the change, gained and lost ones included, and effects to each part, to the cent."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from cache_factory import cache_in, publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.breakdowns.contributions import EFFECTS, contributions
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.analytics.values import or_zero
from cache.calendar.periods import Span
from cache.query.filters import Condition

USD = (Condition("currency", "eq", "USD"),)
ROWS = shop(600, datetime(2025, 11, 20, 15))
END = datetime(2025, 11, 20)
SPANS = Span(END - timedelta(60), END), Span(END - timedelta(150), END - timedelta(60))


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, ROWS, columns=SHOP_COLUMNS, segments=2)
    opened = Orders(cache.snapshots.open(), "UTC")
    yield opened
    opened.close()
    cache.close()


@pytest.mark.parametrize("metric", ["gross_sales", "net_sales", "total_sales", "units", "orders", "returns"])
@pytest.mark.parametrize("by", ["product", "channel", "country", "discount", "customer_type", "weekday"])
def test_parts_sum_to_the_change(orders: Orders, metric: str, by: str) -> None:
    found = contributions(orders, METRICS[metric], by, SPANS, USD)
    whole = [METRICS[metric].value(orders.figures(span, USD, units=True)) for span in SPANS]
    assert [found.now, found.before] == [Decimal(or_zero(value)) for value in whole]
    if not found.is_overlapping:
        assert sum(each.change for each in found.contributions) == found.change
        assert sum(each.now for each in found.contributions) == found.now
    assert [abs(each.change) for each in found.contributions] == sorted(
        (abs(each.change) for each in found.contributions), reverse=True
    )


def test_volume_price_and_mix_are_worked_out_by_hand(orders: Orders) -> None:
    found = contributions(orders, METRICS["gross_sales"], "product", SPANS, USD)
    sold: list[dict[str, list[Decimal]]] = [defaultdict(lambda: [Decimal(0), Decimal(0)]) for _ in SPANS]
    for row in ROWS:
        at = datetime.fromisoformat(row["processed_at"] or row["created_at"] or "")
        for span, groups in zip(SPANS, sold, strict=True):
            if row["test"] == "0" and row["currency"] == "USD" and span.start <= at < span.end:
                for line in json.loads(row["line_items"] or ""):
                    groups[line["sku"]][0] += Decimal(line["price"]) * line["quantity"]
                    groups[line["sku"]][1] += line["quantity"]
    now, before = sold
    usual = sum(amount for amount, _ in before.values()) / sum(units for _, units in before.values())
    assert {each.value for each in found.contributions} == {*now, *before}
    fates = set()
    for each in found.contributions:
        assert each.value
        (amount, units), (amount_before, units_before) = now[each.value], before[each.value]
        assert (each.now, each.before) == (amount, amount_before)
        volume = (units - units_before) * usual
        price = amount - amount_before / units_before * units if units and units_before else Decimal(0)
        assert abs(each.effects["volume"] - volume) <= Decimal("0.005")
        assert abs(each.effects["price"] - price) <= Decimal("0.005")
        assert sum(each.effects.values()) == each.change
        fates.add(each.fate)
    assert fates == {"", "gained", "lost"}
    assert sum(found.effects[name] for name in EFFECTS) == found.change


def test_random_periods_have_parts_that_sum(orders: Orders) -> None:
    chance = random.Random(3)
    for _ in range(12):
        start, length = END - timedelta(chance.randrange(30, 700)), timedelta(chance.randrange(1, 60))
        spans = Span(start, start + length), Span(start - length, start)
        found = contributions(orders, METRICS["gross_sales"], chance.choice(["product", "sku"]), spans, USD)
        assert sum(each.change for each in found.contributions) == found.change
        if found.effects:
            assert sum(found.effects.values()) == found.change
