"""What sold: products ranked, searched and paged. Each is one by its SKU, those without a SKU by their title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import pyarrow as pa

from cache.analytics.figures import Returns
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition

ProductSort = Literal["title", "sku", "units", "orders", "sales", "discounts", "returns", "net", "change"]
SORTS: Mapping[ProductSort, str] = {
    "title": "lower(title)",
    "sku": "nullif(lower(sku), '')",
    "units": "units",
    "orders": "orders",
    "sales": "sales",
    "discounts": "discounts",
    "returns": "returns",
    "net": "net",
    "change": "CASE WHEN before > 0 THEN (sales / before)::DOUBLE END",
}
"""What products can be sorted by, and its SQL."""
_COLUMNS = "sku, title, units, orders, sales, before, discounts, returns, net"


@dataclass(frozen=True)
class Product:
    """A product with sales in the period.

    Attributes:
        sku: Its SKU; "" where it has none.
        title: Its title in the newest order of the period.
        units: Pieces sold.
        orders: Orders that contain it; 0 where they are not counted.
        sales: Price × quantity, before discounts and returns.
        before: Its sales in the compared period.
        discounts: Discounts that name its line items.
        returns: Value of its pieces that came back, as far as refunds name line items.
        net: Its sales less these discounts and returns, and less cancellations.
    """

    sku: str
    title: str
    units: int
    orders: int
    sales: Decimal
    before: Decimal = Decimal(0)
    discounts: Decimal = Decimal(0)
    returns: Decimal = Decimal(0)
    net: Decimal = Decimal(0)

    @property
    def key(self) -> str:
        """The value of the filter by products; "" where it has neither SKU nor title."""
        return self.sku or self.title


@dataclass(frozen=True)
class ProductPage:
    """A page of products.

    Attributes:
        products: The products.
        count: How many products match the search, on all pages.
        sales: Sales of all products of the period, whatever the search.
        highest: Sales of the product that sold most.
        units: Units of all products of the period, whatever the search.
        discounts: Discounts of all products likewise.
        returns: Returns of all products likewise.
        net: Net sales of all products likewise.
    """

    products: Sequence[Product]
    count: int
    sales: Decimal
    highest: Decimal
    units: int
    discounts: Decimal = Decimal(0)
    returns: Decimal = Decimal(0)
    net: Decimal = Decimal(0)


def sold_products(
    orders: Orders,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    compared_span: Span | None = None,
    count_orders: bool = True,
    returns: Returns = "returned",
) -> pa.Table:
    """All products with sales or returns in a period, for `product_page`, which is quick; to make this is not.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        compared_span: The compared period; None where nothing is compared.
        count_orders: Whether to count the orders of each product, which takes longest.
        returns: The date that refunds count on.

    Returns:
        A row for each product, with the columns of `Product`.
    """
    clause, parameters = orders.order_filter(None, conditions)
    (now, days), (before, earlier) = _within(span), _within(compared_span) if compared_span else ("false", [])
    facts = orders.facts
    own_day = "true" if returns == "returned" else "l.kind <> 'return'"
    day = f"CASE WHEN {own_day} THEN l.local ELSE o.local END"
    told = "l.sku, CASE WHEN l.sku = '' THEN l.title END AS untold, l.title, o.created_at"
    sold = (
        f"SELECT l.key, {told}, l.quantity, l.amount, l.discount, NULL AS returned, NULL AS taken_back, "
        f"{now.format('o.local')} AS now, {before.format('o.local')} AS earlier FROM {facts.lines} AS l "
        f"JOIN {facts.orders} AS o USING (key) WHERE {clause} AND (now OR earlier)"
    )
    came_back = (
        f"SELECT NULL, {told}, NULL, NULL, NULL, l.returns, l.cancellations, {now.format(day)} AS now, false "
        f"FROM {facts.line_reversals} AS l JOIN {facts.orders} AS o USING (key) WHERE {clause} AND now"
    )
    title = "coalesce(arg_max(nullif(title, ''), created_at) FILTER (now), max(title) FILTER (now), '')"
    counted = "count(DISTINCT key) FILTER (now)" if count_orders else "0"
    sums = {"sales": "amount", "discounts": "discount", "returns": "returned", "cancellations": "taken_back"}
    added = ", ".join(f"coalesce(sum({column}) FILTER (now), 0) AS {name}" for name, column in sums.items())
    sql = (
        f"SELECT sku, {title} AS title, coalesce((sum(quantity) FILTER (now))::BIGINT, 0) AS units, "
        f"{counted} AS orders, {added}, sales - discounts - returns - cancellations AS net, "
        f"coalesce(sum(amount) FILTER (earlier), 0) AS before FROM ({sold} UNION ALL {came_back}) "
        "GROUP BY sku, untold HAVING count(*) FILTER (now) > 0"
    )
    return facts.arrow(sql, [*days, *earlier, *parameters, *days, *parameters])


def product_page(
    orders: Orders,
    sold: pa.Table,
    search: str = "",
    sort: ProductSort = "sales",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> ProductPage:
    """Some of the products that were sold.

    Args:
        orders: The orders.
        sold: The products, by `sold_products`.
        search: Text to find in title and SKU, in any case.
        sort: What they are sorted by; equal ones by sales.
        descending: Whether the largest comes first. Products without a value come last in any case.
        limit: How many products.
        offset: How many products to skip.
    """
    direction = "DESC" if descending else "ASC"
    order = f"{SORTS[sort]} {direction} NULLS LAST, sales DESC, units DESC, sku, title"
    found = "FROM sold WHERE contains(lower(title), lower(?)) OR contains(lower(sku), lower(?))"
    sought, tables = [search.strip()] * 2, {"sold": sold}
    query = orders.facts.query
    rows = query(f"SELECT {_COLUMNS} {found} ORDER BY {order} LIMIT ? OFFSET ?", [*sought, limit, offset], tables)
    ((count,),) = query(f"SELECT count(*) {found}", sought, tables)
    summed = ", ".join(f"coalesce(sum({name}), 0)" for name in ("units", "sales", "discounts", "returns", "net"))
    ((highest, units, sales, *others),) = query(f"SELECT coalesce(max(sales), 0), {summed} FROM sold", (), tables)
    return ProductPage([Product(*row) for row in rows], count, sales, highest, int(units), *others)


def _within(span: Span | None) -> tuple[str, list[object]]:
    """SQL of whether something is of a period, with {0} for its time, and its parameters."""
    return ("{0} BETWEEN ? AND ? - INTERVAL 1 MICROSECOND", list(span)) if span else ("true", [])
