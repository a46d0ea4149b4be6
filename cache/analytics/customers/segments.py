"""Segments of customers by RFM: how recently they ordered, how frequently, and how much money they spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.analytics.order_lookup import ROW_KEY
from cache.analytics.orders import Orders
from cache.analytics.rankings import CUSTOMER_ROLES, Customer
from cache.query.filters import Condition

SCORES = 5
DEFINITION = (
    "Each customer has three scores from 1 to 5: recency (R, the time of the last order), frequency (F, the number of "
    "orders) and money (M, totals of the orders less what was given back). A score is 1 + 5 × the share of the other "
    "customers who are below, rounded down, at most 5; equal customers have equal scores. FM is the mean of F and M, "
    "halves rounded up."
)
"""How customers are scored, for pages and docs."""


class Segment(NamedTuple):
    """Customers who are alike.

    Attributes:
        label: What they are called.
        rule: Which scores they have, in words.
        sql: The same as SQL over `r` and `fm`, of those whom no earlier segment has.
        meaning: Who they are.
    """

    label: str
    rule: str
    sql: str
    meaning: str


SEGMENTS: Mapping[str, Segment] = {
    "champions": Segment("Champions", "R 4–5, FM 4–5", "r >= 4 AND fm >= 4", "Bought lately, often and for much."),
    "loyal": Segment("Loyal", "R 3–5, FM 3–5", "r >= 3 AND fm >= 3", "Come back, and not long ago."),
    "recent": Segment("Recent", "R 4–5, FM 1–2", "r >= 4", "Bought lately, and little so far: new customers."),
    "attention": Segment("Need attention", "R 3, FM 1–2", "r = 3", "Bought little, and some time ago."),
    "at_risk": Segment("At risk", "R 1–2, FM 3–5", "fm >= 3", "Bought often or for much; the last order is long ago."),
    "lapsed": Segment("Lapsed", "R 1–2, FM 1–2", "true", "Bought little, long ago."),
}
"""The segments. The first whose scores a customer has is the one of the customer."""
_CASES = " ".join(f"WHEN {each.sql} THEN '{name}'" for name, each in SEGMENTS.items())
_SEGMENT = f"CASE {_CASES} END"
_SCORED_BY = {"r": "last", "f": "orders", "m": "spent"}
_ABOVE_LEAST = range(2, SCORES + 1)


@dataclass(frozen=True)
class SegmentFigures:
    """A segment in figures.

    Attributes:
        segment: Its name in SEGMENTS.
        customers: How many customers it has.
        orders: Their orders.
        spent: Totals of their orders less what they got back.
        last: Their last order, in the middle: half of them ordered later.
    """

    segment: str
    customers: int
    orders: int
    spent: Decimal
    last: datetime


class ScoreBounds(NamedTuple):
    """What the scores above 1 begin at, in their order; None for a score that nobody has."""

    recency: tuple[datetime | None, ...]
    frequency: tuple[int | None, ...]
    money: tuple[Decimal | None, ...]


class Scores(NamedTuple):
    """The scores of one customer, and the segment that they make."""

    recency: int
    frequency: int
    money: int
    segment: str


def segment_figures(
    orders: Orders, until: datetime | None, conditions: Sequence[Condition] = ()
) -> list[SegmentFigures]:
    """All segments that have customers, in the order of SEGMENTS.

    Args:
        orders: The orders.
        until: Only what was placed, and given back, before this instant on the shop's clock; None: everything.
        conditions: Conditions on dimensions.
    """
    scored, parameters = _scored(orders, until, conditions)
    sql = (
        f"SELECT segment, count(*), sum(orders)::BIGINT, sum(spent), quantile_disc(last, 0.5) FROM ({scored}) "
        "GROUP BY segment"
    )
    found = {row[0]: SegmentFigures(*row) for row in orders.facts.query(sql, parameters)}
    return [found[name] for name in SEGMENTS if name in found]


def customers_of(
    orders: Orders,
    segment: str,
    until: datetime | None,
    conditions: Sequence[Condition] = (),
    limit: int = 50,
    mask: Mask = NOTHING_HIDDEN,
) -> list[Customer]:
    """The customers of a segment who spent most. For the arguments see `segment_figures`.

    Args:
        orders: The orders.
        segment: Its name in SEGMENTS.
        until: As there.
        conditions: As there.
        limit: How many customers at most.
        mask: What is hidden.
    """
    scored, parameters = _scored(orders, until, conditions)
    sql = (
        f"SELECT newest, orders, spent, first, last, customer FROM ({scored}) WHERE segment = ? "
        "ORDER BY 3 DESC, 1 LIMIT ?"
    )
    ranked = orders.facts.query(sql, [*parameters, segment, limit])
    rows = orders.lookup.by_keys([key for key, *_ in ranked], mask, CUSTOMER_ROLES)
    text = orders.lookup.text
    return [
        Customer(row[ROW_KEY], count, spent, first, last, text(row, "customer_name"), text(row, "email"), str(customer))
        for (_, count, spent, first, last, customer), row in zip(ranked, rows, strict=True)
    ]


def score_bounds(orders: Orders, until: datetime | None, conditions: Sequence[Condition] = ()) -> ScoreBounds:
    """What the scores of all customers begin at. For the arguments see `segment_figures`."""
    scored, parameters = _scored(orders, until, conditions)
    least = (f"min({by}) FILTER ({name} = {score})" for name, by in _SCORED_BY.items() for score in _ABOVE_LEAST)
    (row,) = orders.facts.query(f"SELECT {', '.join(least)} FROM ({scored})", parameters)
    count = len(_ABOVE_LEAST)
    return ScoreBounds(*(row[i * count : (i + 1) * count] for i in range(len(_SCORED_BY))))


def scores_of(
    orders: Orders, customer: str, until: datetime | None, conditions: Sequence[Condition], bounds: ScoreBounds
) -> Scores | None:
    """The scores of a customer.

    Args:
        orders: The orders.
        customer: The value of the dimension `customer`.
        until: As in `segment_figures`.
        conditions: As there.
        bounds: The bounds of the same orders.

    Returns:
        None for a customer without orders in that time.
    """
    spent, parameters = _spent(orders, until, [*conditions, Condition("customer", "eq", customer)])
    rows = orders.facts.query(f"SELECT {', '.join(_SCORED_BY.values())} FROM ({spent})", parameters)
    if not rows:
        return None
    recency, frequency, money = (_score(value, least) for value, least in zip(rows[0], bounds, strict=True))
    both = f"SELECT {recency} AS r, {_mean(frequency, money)} AS fm"
    ((segment,),) = orders.facts.query(f"SELECT {_SEGMENT} FROM ({both})")
    return Scores(recency, frequency, money, segment)


def _score(value: Any, bounds: Sequence[Any]) -> int:
    return max(
        (score for score, least in zip(_ABOVE_LEAST, bounds, strict=True) if least is not None and value >= least),
        default=1,
    )


def _mean(frequency: object, money: object) -> str:
    """SQL of FM."""
    return f"({frequency} + {money} + 1) // 2"


def _scored(orders: Orders, until: datetime | None, conditions: Sequence[Condition]) -> tuple[str, list[object]]:
    """SQL of a row for each customer with scores and segment, and its parameters."""
    spent, parameters = _spent(orders, until, conditions)
    scores = ", ".join(
        f"least(1 + floor({SCORES} * percent_rank() OVER (ORDER BY {by})), {SCORES})::INTEGER AS {name}"
        for name, by in _SCORED_BY.items()
    )
    means = f"SELECT *, {_mean('f', 'm')} AS fm FROM (SELECT *, {scores} FROM ({spent}))"
    return f"SELECT *, {_SEGMENT} AS segment FROM ({means})", parameters


def _spent(orders: Orders, until: datetime | None, conditions: Sequence[Condition]) -> tuple[str, list[object]]:
    """SQL of a row for each customer with what scores are of, and its parameters."""
    clause, parameters = orders.order_filter(None, conditions)
    facts = orders.facts
    placed, back = (f" AND {table}.local < ?" if until else "" for table in ("o", "r"))
    given_back = (
        f"SELECT o.customer, sum(r.given_back) AS back FROM {facts.reversals} AS r "
        f"JOIN {facts.orders} AS o USING (key) WHERE {clause} AND o.customer IS NOT NULL{placed}{back} GROUP BY 1"
    )
    each = (
        "SELECT o.customer, count(*) AS orders, min(o.local) AS first, max(o.local) AS last, "
        "coalesce(sum(o.charged), 0) AS charged, arg_max(o.key, o.created_at) AS newest "
        f"FROM {facts.orders} AS o WHERE {clause} AND o.customer IS NOT NULL AND o.local IS NOT NULL{placed} GROUP BY 1"
    )
    spent = (
        f"SELECT e.*, e.charged - coalesce(b.back, 0) AS spent FROM ({each}) AS e "
        f"LEFT JOIN ({given_back}) AS b USING (customer)"
    )
    instants = [until] if until else []
    return spent, [*parameters, *instants, *parameters, *instants, *instants]
