"""Products that are bought together: in how many orders, and how much more often than by chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import pyarrow as pa

from cache.analytics.dimensions.catalogue import PRODUCT_SQL
from cache.analytics.orders import Orders
from cache.analytics.values import ratio
from cache.calendar.periods import Span
from cache.query.filters import Condition

PairSort = Literal["orders", "support", "confidence", "lift"]
PAIR_SORTS: Mapping[PairSort, str] = {
    "orders": "orders",
    "support": "orders",  # of the same orders
    "confidence": "orders / least(first_orders, second_orders)",
    "lift": "orders / first_orders / second_orders",
}
"""What pairs can be sorted by, and its SQL."""
MAX_PAIRS = 20_000  # the ones in most orders


@dataclass(frozen=True)
class Pair:
    """Two products, and the orders that hold both.

    Attributes:
        first: The product that is in more orders, as the dimension `product` names it.
        second: The other one.
        orders: How many orders hold both.
        first_orders: How many hold the first.
        second_orders: How many hold the second.
        all_orders: How many orders there are.
    """

    first: str
    second: str
    orders: int
    first_orders: int
    second_orders: int
    all_orders: int

    @property
    def support(self) -> Decimal:
        """The share of all orders that hold both."""
        return _share(self.orders, self.all_orders)

    @property
    def of_first(self) -> Decimal:
        """The confidence that who buys the first buys the second: the share of its orders that hold both."""
        return _share(self.orders, self.first_orders)

    @property
    def of_second(self) -> Decimal:
        """The same for the second."""
        return _share(self.orders, self.second_orders)

    @property
    def lift(self) -> Decimal:
        """How many times as often they are in one order as by chance: 1 if neither has to do with the other."""
        return Decimal(self.orders * self.all_orders) / (self.first_orders * self.second_orders)


@dataclass(frozen=True)
class PairPage:
    """A page of pairs.

    Attributes:
        pairs: The pairs.
        count: How many there are on all pages.
        titles: Product -> its title in the order with the greatest key.
    """

    pairs: Sequence[Pair]
    count: int
    titles: Mapping[str, str]


def bought_together(
    orders: Orders,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    products: Sequence[str] = (),
    least: int = 2,
) -> pa.Table:
    """All pairs of products that are in one order, for `pair_page`.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions.
        products: Only pairs with one of these products; empty for all.
        least: How many orders hold both, at least.

    Returns:
        A row for each pair, with the columns of `Pair`.
    """
    clause, parameters = orders.order_filter(span, conditions)
    count = orders.count(span, conditions)
    # Products as small numbers: they are compared for each pair of lines of an order.
    numbered = (
        f"SELECT product, row_number() OVER ()::INTEGER AS id FROM (SELECT DISTINCT {PRODUCT_SQL} AS product "
        f"FROM {orders.facts.lines} AS l) WHERE product <> ''"
    )
    bought = (
        f"SELECT DISTINCT l.key, p.id FROM {orders.facts.lines} AS l JOIN products AS p ON p.product = {PRODUCT_SQL} "
        f"WHERE l.quantity > 0 AND l.key IN (SELECT o.key FROM {orders.facts.orders} AS o WHERE {clause})"
    )
    chosen = "WHERE list_contains(?, p.product) OR list_contains(?, q.product)" if products else ""
    sql = (
        f"WITH products AS MATERIALIZED ({numbered}), bought AS MATERIALIZED ({bought}), "
        "counts AS (SELECT id, count(*) AS orders FROM bought GROUP BY id), "
        "pairs AS (SELECT a.id AS first, b.id AS second, count(*) AS orders FROM bought AS a JOIN bought AS b "
        f"ON a.key = b.key AND a.id < b.id GROUP BY 1, 2 HAVING count(*) >= {int(least)}), "
        "named AS (SELECT p.product AS a, q.product AS b, pairs.orders, m.orders AS a_orders, n.orders AS b_orders "
        "FROM pairs JOIN counts AS m ON m.id = first JOIN counts AS n ON n.id = second "
        f"JOIN products AS p ON p.id = first JOIN products AS q ON q.id = second {chosen}) "
        "SELECT CASE WHEN more THEN a ELSE b END AS first, CASE WHEN more THEN b ELSE a END AS second, orders, "
        "greatest(a_orders, b_orders) AS first_orders, least(a_orders, b_orders) AS second_orders, "
        f"{count}::BIGINT AS all_orders "
        "FROM (SELECT *, a_orders > b_orders OR (a_orders = b_orders AND a < b) AS more FROM named) "
        f"ORDER BY orders DESC, first, second LIMIT {MAX_PAIRS}"
    )
    return orders.facts.arrow(sql, [*parameters, *([list(products)] * 2 if products else [])])


def pair_page(
    orders: Orders,
    pairs: pa.Table,
    sort: PairSort = "lift",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> PairPage:
    """Some of the pairs.

    Args:
        orders: The orders.
        pairs: The pairs, by `bought_together`.
        sort: What they are sorted by; equal ones by their orders.
        descending: Whether the largest comes first.
        limit: How many pairs.
        offset: How many pairs to skip.
    """
    order = f"{PAIR_SORTS[sort]} {'DESC' if descending else 'ASC'}, orders DESC, first, second"
    tables = {"pairs": pairs}
    query = orders.facts.query
    rows = query(f"SELECT * FROM pairs ORDER BY {order} LIMIT ? OFFSET ?", [limit, offset], tables)
    found = [Pair(*row) for row in rows]
    return PairPage(
        found, pairs.num_rows, _titles(orders, {each for pair in found for each in (pair.first, pair.second)})
    )


def _titles(orders: Orders, products: Collection[str]) -> dict[str, str]:
    sql = (
        f"SELECT {PRODUCT_SQL} AS product, arg_max(nullif(l.title, ''), l.key) FROM {orders.facts.lines} AS l "
        "WHERE product IN (SELECT unnest(?)) GROUP BY 1"
    )
    return {product: title or product for product, title in orders.facts.query(sql, [list(products)])}


def _share(part: int, whole: int) -> Decimal:
    share = ratio(part, whole)
    assert isinstance(share, Decimal)
    return share
