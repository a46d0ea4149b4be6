"""Orders in detail: from when and by whom to every column, consistent to the cent and to the second."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lab.data.catalogue import POPULARITY, PRODUCTS, STEP, converted, share
from lab.data.people import person
from lab.data.table import NOTES, ZERO_DATE, Row, money, refund, stamp

Ints = NDArray[np.int64]
T = TypeVar("T")

DAY = 86_400
FIRST_CUSTOMER = 6_900_000_000_000
_CUSTOMER_STEP = 4096
# What becomes of an order, in thousandths.
_FATES = {"paid": 872, "pending": 25, "authorized": 10, "part refund": 40, "refund": 25, "voided": 12, "called off": 16}
_CHANNELS = {
    "web": 600,
    "iphone": 110,
    "android": 80,
    "pos": 110,
    "shopify_draft_order": 50,
    "instagram": 30,
    "amazon": 20,
}
# A code and its percent off the goods; an empty code is a discount without one.
_DISCOUNTS: dict[tuple[str | None, int], int] = {
    (None, 0): 800,
    ("WELCOME10", 10): 80,
    ("SUMMER15", 15): 40,
    ("VIP20", 20): 30,
    ("", 5): 30,
    ("NULL", 10): 10,
    ("½PREIS", 50): 7,
    ("STAFF100", 100): 3,
}
_TAGS = {"": 700, "vip": 80, "gift": 80, "wholesale, net30": 50, "pre-order": 50, 'needs "care", fragile': 40}
_REASONS = ("damaged", "wrong size", None, "didn't like it", "lost in the post 📦")
_SHIPPING = {0: 150, 595: 500, 995: 250, 1495: 100}  # US cents: share
_json = json.JSONEncoder(ensure_ascii=False).encode


# The parts of each product's JSON that are the same in every order.
_ITEMS = [
    ('{"id": ', f', {_json({"product_id": each.id, "title": each.title, "sku": each.sku})[1:-1]}, "price": "')
    for each in PRODUCTS
]


def customer_id(number: int) -> int:
    """The id of the shop's n-th customer."""
    return FIRST_CUSTOMER + _CUSTOMER_STEP * number


def customer_number(identifier: int) -> int:
    """The inverse of `customer_id`."""
    return (identifier - FIRST_CUSTOMER) // _CUSTOMER_STEP


def batch(
    rng: np.random.Generator,
    ids: Ints,
    numbers: Sequence[int],
    created: Ints,
    customers: Ints,
    now: int,
    zero_date: int | None = None,
) -> list[Row]:
    """Orders as the shop knows them at an instant.

    Args:
        rng: decides all that the other arguments leave open.
        ids: the orders' ids.
        numbers: the orders' numbers; 1001 gives the name #1001.
        created: when each was placed, in seconds since the epoch.
        customers: the number of each one's customer; -1 for none.
        now: in seconds since the epoch; nothing later has happened yet.
        zero_date: the number of the order that is cancelled at 0000-00-00, which is no date, and so not at all.
    """
    size = len(ids)
    fates = _dealt(rng, _FATES, size)
    channels = _dealt(rng, _CHANNELS, size)
    discounts = _dealt(rng, _DISCOUNTS, size)
    tags = _dealt(rng, _TAGS, size)
    shipping = _dealt(rng, _SHIPPING, size)
    tests = (rng.random(size) < 0.01).tolist()
    ends = np.cumsum(rng.choice([1, 2, 3, 4, 5, 6], size, p=[0.5, 0.25, 0.12, 0.07, 0.04, 0.02])).tolist()
    products = rng.choice(len(PRODUCTS), ends[-1] if ends else 0, p=POPULARITY).tolist()
    quantities = rng.choice([1, 2, 3, 4], len(products), p=[0.8, 0.14, 0.04, 0.02]).tolist()
    packing = rng.exponential(1.5 * DAY, size).astype(np.int64).tolist()
    regret = (3 * DAY + rng.exponential(9 * DAY, size)).astype(np.int64).tolist()
    lots = rng.integers(0, 1 << 30, size).tolist()  # for the rare choices

    orders: list[Row] = []
    placings = zip(ids.tolist(), numbers, created.tolist(), customers.tolist(), pairwise([0, *ends]), strict=True)
    for i, (identifier, number, placed, buyer, (low, high)) in enumerate(placings):
        channel, lot = channels[i], lots[i]
        who = person(buyer if buyer >= 0 else lot % 1000)
        country, known, sent = who.country, buyer >= 0, channel != "pos"
        step = STEP[country.currency]

        items, gross = _items(identifier, products[low:high], quantities[low:high], country.currency)
        code, percent = discounts[i]
        discount = share(gross, percent, 100, step)
        subtotal = gross - discount
        carriage = converted(shipping[i], country.currency) if sent else 0
        tax = share(subtotal + carriage, country.tax, 1000 + country.tax * country.taxes_included, step)
        total = subtotal + carriage + (0 if country.taxes_included else tax)

        life = _life(
            "paid" if number == zero_date else fates[i],
            total,
            step,
            placed=placed,
            packed=placed + (3600 + packing[i] if sent else 0),
            regretted=placed + regret[i],
            now=now,
            lot=lot,
        )
        refunds = [refund(8 * identifier + k, at, amount, life.reason) for k, (at, amount) in enumerate(life.refunds)]
        orders.append(
            (
                identifier,
                f"#{number}",
                who.email if known else ("" if lot % 2 else None),
                stamp(placed),
                stamp(min(life.last + lot % 90, now)),
                stamp(min(placed + lot % 7, now)),
                ZERO_DATE if number == zero_date else _stamp(life.cancelled),
                life.financial_status,
                life.fulfillment_status,
                _stamp(life.fulfilled),
                country.currency,
                int(country.taxes_included),
                money(subtotal),
                money(discount),
                money(carriage),
                money(tax),
                money(total),
                money(sum(amount for _, amount in life.refunds)),
                _json(refunds) if refunds else "[]",
                code,
                channel,
                customer_id(buyer) if known else None,
                who.name if known else None,
                tags[i],
                NOTES[number // 13 % len(NOTES)] if number % 13 == 0 else None,
                items,
                who.destination if sent else None,
                int(tests[i]),
            )
        )
    return orders


class _Life(NamedTuple):
    financial_status: str
    fulfillment_status: str | None
    fulfilled: int | None
    cancelled: int | None
    refunds: list[tuple[int, int]]  # when, how much
    reason: str | None
    last: int  # when something last happened


def _life(fate: str, total: int, step: int, *, placed: int, packed: int, regretted: int, now: int, lot: int) -> _Life:
    """What has become of an order by now, of what its fate has in store."""
    if fate in ("part refund", "refund") and (regretted > now or total == 0):
        fate = "paid"
    if fate == "authorized" and now - placed > 7 * DAY:
        fate = "paid"  # a card is charged within a week, or never

    reason = _REASONS[lot % len(_REASONS)]
    if fate in ("voided", "called off"):
        at = min(placed + (packed - placed) // 4, now)
        back = [(at, total)] if fate == "called off" and total else []
        return _Life("refunded" if back else "voided", "restocked", None, at, back, reason, at)

    left = packed if packed <= now and fate not in ("pending", "authorized") else None
    shipped = None if left is None else "partial" if lot % 40 == 0 else "fulfilled"
    portion = max(share(total, 10 + lot % 80, 100, step), step)
    refunds, status = [], fate
    if fate == "part refund" and portion < total:
        refunds, status = [(regretted, portion)], "partially_refunded"
    elif fate in ("part refund", "refund"):
        refunds, status = [(regretted, total)], "refunded"
        if lot % 3 == 0 and portion < total:
            refunds = [((placed + regretted) // 2, portion), (regretted, total - portion)]
    last = max(placed, left or 0, *(at for at, _ in refunds))
    return _Life(status, shipped, left, None, refunds, reason, last)


def _items(order: int, products: Sequence[int], quantities: Sequence[int], currency: str) -> tuple[str, int]:
    """The line items as JSON, and what they cost together."""
    gross, items = 0, []
    for position, (index, quantity) in enumerate(zip(products, quantities, strict=True)):
        price = PRODUCTS[index].prices[currency]
        gross += price * quantity
        start, between = _ITEMS[index]
        items.append(f'{start}{8 * order + position}{between}{money(price)}", "quantity": {quantity}}}')
    return f"[{', '.join(items)}]", gross


def _stamp(seconds: int | None) -> str | None:
    return None if seconds is None else stamp(seconds)


def _dealt(rng: np.random.Generator, shares: Mapping[T, int], size: int) -> list[T]:
    deck = [each for each, count in shares.items() for _ in range(count)]
    return [deck[card] for card in rng.integers(0, len(deck), size).tolist()]
