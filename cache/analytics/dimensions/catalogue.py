"""The dimensions: what figures are grouped and filtered by, one object each.

Those of these lists are known before a table is read. Beside them, each column of the table with few values is a
dimension (`column:NAME`), and each value inside its JSON (`json:NAME.PATH`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from cache.access.masking import Mask
from cache.interpretation.requirements import Requirement, roles_of
from cache.reading import Reading
from cache.schema import Column, Kind

DimensionId = str
"""A name of `DIMENSIONS`, or `column:NAME` or `json:NAME.PATH`."""
Level = Literal["order", "line", "list", "row", "tax", "return"]
"""What has a value of a dimension: each order; each line item of it; an order has several; a row of the source; each
part of the taxes of an order; or each return of it."""

REFUNDED = "refunded"
"""By whether goods of an order came back, at any time: `yes` or `no`."""
PRODUCT = "product"
BOUGHT_WITH = "bought_with"
"""A second product, so that orders can be filtered that have both."""
TAX_RATE = "tax_rate"
CUSTOMER_TYPE = "customer_type"
TOTAL, UNITS, PLACED_AT, RETURNED_AT, HANDED_OVER = "total", "units", "placed_at", "returned_at", "handed_over"
PRODUCT_SQL = "coalesce(nullif(l.sku, ''), l.title)"
"""What identifies the product of a line item `l`: its SKU, without one its title."""
COLUMN_PREFIX, JSON_PREFIX = "column:", "json:"


@dataclass(frozen=True)
class Dimension:
    """What orders can be grouped or filtered by.

    Attributes:
        id: Its name.
        label: What it is called on its own.
        noun: What it is called in a sentence.
        sql: SQL of its value, over an order `o`, a line item `l` or a part of its taxes `t`. Of a list: SQL of texts.
        needs: What it needs of the table (`Orders.missing`); None: nothing.
        level: What has a value of it.
        role: The role of the column that holds its values as they are (cache/roles.py); "" where they are computed.
        ordered: Whether its values have an order of their own, such as that of time.
        is_number: Whether they are whole numbers in SQL, NULL for '': these are compared faster than texts.
        is_neutral: Whether its values tell nothing of what they are computed from, so that no mask hides them.
        column: For a row: the column of the source.
        path: For a row: the keys that lead to the value inside the JSON of the column; empty for the column itself.
        kind: What kind its values are of. Only texts can be grouped by.
    """

    id: DimensionId
    label: str
    noun: str
    sql: str = ""
    needs: Requirement | None = None
    level: Level = "order"
    role: str = ""
    ordered: bool = False
    is_number: bool = False
    is_neutral: bool = False
    column: str = ""
    path: tuple[str, ...] = ()
    kind: Kind = "text"

    @property
    def is_overlapping(self) -> bool:
        """Whether an order may have several of its values, and counts in each."""
        return self.level in ("line", "list", "tax")

    @property
    def as_column(self) -> Column:
        """It as a column, for conditions."""
        return Column(name=self.id, type=self.kind, kind=self.kind, nullable=False)

    def available(self, missing: Collection[Requirement]) -> bool:
        """Whether a table has it. `missing` is what the table does not have."""
        return self.needs not in missing

    def is_hidden(self, reading: Reading, mask: Mask) -> bool:
        """Whether its values come from a column of which a mask hides something."""
        if self.level == "row":
            return self.column in mask.columns
        if self.needs is None or self.is_neutral:
            return False
        roles = roles_of(self.needs)
        return any(mask.hides_one_of({reading.roles.get(role, ""), reading.fallbacks.get(role, "")}) for role in roles)


_DIMENSIONS = (
    Dimension("status", "Payment", "payment status", "o.status", "payment status", role="financial_status"),
    Dimension("fulfilment", "Fulfilment", "fulfilment", "o.fulfilment", "fulfilment status", role="fulfillment_status"),
    Dimension("channel", "Channel", "channel", "o.channel", "channel", role="channel"),
    Dimension("country", "Country", "country", "o.country", "country"),
    Dimension("region", "Region", "region", "o.region", "region"),
    Dimension("city", "City", "city", "o.city", "city"),
    Dimension(TAX_RATE, "Tax rate", "tax rate", "t.rate", "tax rates", level="tax"),
    Dimension("currency", "Currency", "currency", "o.currency", "currency", role="currency"),
    Dimension("discount", "Discount", "discount code", "o.discount", "discount code", role="discount_code"),
    Dimension("tag", "Tag", "tag", "o.tags", "tags", level="list"),
    Dimension(REFUNDED, "Refunded", "refunds", f"o.{REFUNDED}", "returns"),
    Dimension(
        CUSTOMER_TYPE,
        "New or returning",
        "new and returning customers",
        "CASE WHEN o.customer IS NULL THEN '' WHEN o.again THEN 'returning' ELSE 'new' END",
        "customers",
        is_neutral=True,
    ),
    Dimension("customer", "Customer", "customer", "o.customer", "customers", is_number=True),
    Dimension(PRODUCT, "Product", "product", PRODUCT_SQL, "products", level="line"),
    Dimension("product_title", "Product title", "product title", "l.title", "products", level="line"),
    Dimension("variant", "Variant", "variant", "l.variant", "variants", level="line"),
    Dimension("sku", "SKU", "SKU", "l.sku", "products", level="line"),
    Dimension("vendor", "Vendor", "vendor", "l.vendor", "vendors", level="line"),
    Dimension("hour_of_day", "Hour of day", "hour of the day", "hour(o.local)", "dates", ordered=True, is_number=True),
    Dimension("weekday", "Weekday", "weekday", "isodow(o.local)", "dates", ordered=True, is_number=True),
    Dimension("month", "Month", "month", "left(date_trunc('month', o.local)::VARCHAR, 7)", "dates", ordered=True),
)
DIMENSIONS: Mapping[DimensionId, Dimension] = {dimension.id: dimension for dimension in _DIMENSIONS}
"""What figures can be grouped by, beside the columns of a table."""

_FILTERS_ALONE = (Dimension(BOUGHT_WITH, "Bought with", "second product", PRODUCT_SQL, "products", level="line"),)
FILTERS: Mapping[DimensionId, Dimension] = {
    each.id: each for each in (*_DIMENSIONS, *_FILTERS_ALONE) if each.id != "currency"
}
"""What figures can be filtered by, beside the columns of a table. A filter on line items selects the orders that have
such an item."""

_FILTER_ONLY = (
    Dimension(TOTAL, "Total", "total", "o.total", "total sales", role="total", kind="decimal"),
    Dimension(UNITS, "Items", "number of items", "coalesce(o.pieces, 0)", "products", is_neutral=True, kind="integer"),
    Dimension(PLACED_AT, "Placed", "time of the order", "o.placed_at", "dates", role="created_at", kind="datetime"),
    Dimension(RETURNED_AT, "Returned", "time of a refund", "r.moment", "dates of returns", "return", kind="datetime"),
    Dimension(HANDED_OVER, "Handed over", "fulfilment", "coalesce(o.handed_over, '')"),
)
FILTER_ONLY: Mapping[DimensionId, Dimension] = {dimension.id: dimension for dimension in _FILTER_ONLY}
"""What figures can be filtered by, and not grouped by."""

ROW_PATTERN = "(column:.+|json:[^.]+[.].+)"
"""The names of dimensions out of columns of the source, as a regular expression."""


def is_row_dimension(name: str) -> bool:
    """Whether a name is that of a dimension out of a column of the source."""
    return re.fullmatch(ROW_PATTERN, name, re.DOTALL) is not None


def row_dimension(name: DimensionId) -> Dimension:
    """The dimension out of a column of the source, by its name, such as `column:store` or `json:destination.zip`."""
    if name.startswith(COLUMN_PREFIX):
        column = name.removeprefix(COLUMN_PREFIX)
        return Dimension(name, column, column, level="row", column=column)
    column, *path = name.removeprefix(JSON_PREFIX).split(".")
    label = ".".join((column, *path))
    return Dimension(name, label, label, level="row", column=column, path=tuple(path))


def find_dimension(name: DimensionId) -> Dimension | None:
    """A dimension by its name; None where there is none. Whether a table has it, `Orders.dimension` says."""
    return row_dimension(name) if is_row_dimension(name) else DIMENSIONS.get(name) or FILTERS.get(name)


def find_filter(name: DimensionId) -> Dimension | None:
    """The same for what orders are filtered by."""
    return FILTER_ONLY.get(name) or find_dimension(name)
