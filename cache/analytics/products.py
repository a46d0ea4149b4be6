"""What sold: products ranked, searched and paged. Each is one by its SKU, those without a SKU by their title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import pyarrow as pa

from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition

ProductSort = Literal["title", "sku", "units", "orders", "sales", "change"]
SORTS: Mapping[ProductSort, str] = {
    "title": "lower(title)",
    "sku": "nullif(lower(sku), '')",
    "units": "units",
    "orders": "orders",
    "sales": "sales",
    "change": "CASE WHEN before > 0 THEN (sales / before)::DOUBLE END",
}
"""What products can be sorted by, and its SQL."""
_COLUMNS = "sku, title, units, orders, sales, before"


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
    """

    sku: str
    title: str
    units: int
    orders: int
    sales: Decimal
    before: Decimal = Decimal(0)

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
    """

    products: Sequence[Product]
    count: int
    sales: Decimal
    highest: Decimal
    units: int


def sold_products(
    orders: Orders,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    compared_span: Span | None = None,
    count_orders: bool = True,
) -> pa.Table:
    """All products with sales in a period, for `product_page`. It is quick to search and sort; to make it is not.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        compared_span: The compared period; None where nothing is compared.
        count_orders: Whether to count the orders of each product, which takes longest.

    Returns:
        A row for each product, with the columns of `Product`.
    """
    clause, parameters = orders.order_filter(None, conditions)
    (now, days), (before, earlier) = _within(span), _within(compared_span) if compared_span else ("false", [])
    lines = (
        "SELECT l.key, l.sku, CASE WHEN l.sku = '' THEN l.title END AS untold, l.title, l.quantity, l.amount, "
        f"o.created_at, {now} AS now, {before} AS earlier FROM {orders.facts.lines} AS l "
        f"JOIN {orders.facts.orders} AS o USING (key) WHERE {clause} AND (now OR earlier)"
    )
    title = "coalesce(arg_max(nullif(title, ''), created_at) FILTER (now), max(title) FILTER (now), '')"
    counted = "count(DISTINCT key) FILTER (now)" if count_orders else "0"
    sql = (
        f"SELECT sku, {title} AS title, (sum(quantity) FILTER (now))::BIGINT AS units, "
        f"{counted} AS orders, coalesce(sum(amount) FILTER (now), 0) AS sales, "
        f"coalesce(sum(amount) FILTER (earlier), 0) AS before FROM ({lines}) "
        "GROUP BY sku, untold HAVING count(*) FILTER (now) > 0"
    )
    return orders.facts.arrow(sql, [*days, *earlier, *parameters])


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
    sums = "coalesce(sum(sales), 0), coalesce(max(sales), 0), coalesce(sum(units), 0)"
    ((sales, highest, units),) = query(f"SELECT {sums} FROM sold", (), tables)
    return ProductPage([Product(*row) for row in rows], count, sales, highest, int(units))


def _within(span: Span | None) -> tuple[str, list[object]]:
    """SQL of whether an order `o` is of a period, and its parameters."""
    return ("o.local >= ? AND o.local < ?", list(span)) if span else ("true", [])
