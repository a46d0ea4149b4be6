"""Bodies of figures: one Pydantic model each, as in response_models.py."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from api.contract.response_models import Body, Count, Freshness, Iso, key
from cache.analytics.dimensions.catalogue import Level
from cache.analytics.figures import Kind, Line
from cache.analytics.metrics import Unit


class Mark(Body):
    """A check over the data that fails where a figure is concerned."""

    check: str = key("total")
    orders: Count = key(500, "Orders that fail it.")
    difference: str | None = key("61725.00", "By how much the figure may be wrong; null where that is not known.")
    message: str = key("500 orders have a total that is not the sum of its parts.")


class FigureMetric(Body):
    """A metric, and whether the table can tell it."""

    label: str = key("Net sales")
    unit: Unit = key("money", "`rate`: 1 is 100 %; `duration`: seconds.")
    formula: str = key("Gross sales − discounts − returns.")
    reason: str | None = key(None, "Why the table cannot tell it: its values are null.")


class MarkedMetric(FigureMetric):
    """A metric of a response."""

    note: str | None = key(None, "What is not known of it, such as `returns not known` or `62% of orders fulfilled`.")
    marked: Mark | None = key(None, "The check that fails, if one does.")


class Days(Body):
    """Days on the shop's clock, both included."""

    first: date = key("2026-07-01", alias="from")
    last: date = key("2026-09-30", alias="to")


FigureValues = Annotated[
    dict[str, str | int | None],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "integer", "null"]}}),
]


class ComparedDays(Days):
    """The compared period."""

    totals: FigureValues = key({"net_sales": "79120.00", "orders": 590})


_FIGURE_ROW = {"country": "DE", "step": "2026-07-01", "partial": False, "net_sales": "51200.10", "orders": 388}
FigureItem = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "step": {"type": "string", "description": "The begin of the hour, day or longer unit."},
                "partial": {"type": "boolean", "description": "Whether it is not over, or cut by the period."},
                "compared": {"type": "object", "additionalProperties": {"type": ["string", "integer", "null"]}},
            },
            "additionalProperties": {"type": ["string", "integer", "null"]},
            "examples": [_FIGURE_ROW],
        }
    ),
]


_KNOWN = {"formula": "…", "reason": None, "note": None, "marked": None}


class _Selected(Body):
    """Of which orders figures are, and how they are read."""

    status: Literal["success"]
    reading: Literal["confirmed", "open"] = key("confirmed", "`open`: a question about the columns is not decided.")
    currency: str | None = key("EUR", "Of all amounts; `all` if rows name it; null if the table has none.")
    converted: bool = key(False, "Whether amounts in other currencies are converted to it.")
    excluded: dict[str, Count] = key(
        {"test": 3, "other_currency": 40},
        "How many rows of the table count in no figure, by reason: `test`, `deleted`, `draft`, `cancelled`, "
        "`other_currency`, `no_rate`.",
    )
    period: Days | None = Field(description="Null if the table has no dates.")


class FiguresHead(_Selected):
    """The body of figures without its rows."""

    compared: ComparedDays | None = Field(description="Null if nothing is compared.")
    metrics: dict[str, MarkedMetric] = key(
        {
            "net_sales": {"label": "Net sales", "unit": "money", **_KNOWN},
            "orders": {"label": "Orders", "unit": "count", **_KNOWN},
        },
        "The metrics of the rows.",
    )
    count: Count = key(1, "Number of rows in `data`.")
    total_count: Count = key(1, "Number of rows on all pages.")
    totals: FigureValues = key({"net_sales": "81300.10", "orders": 602})
    unattributed: FigureValues | None = key(
        None,
        "With a dimension of line items: what belongs to none of them, such as shipping. The rows and this add up to "
        "`totals`. Null for what is not a sum.",
    )
    overlapping: bool = key(False, "Whether an order may count in several rows: it has several tags, or line items.")
    next: str | None = key(None, "The `after` of the next page; null on the last one.")


class Figures(Freshness, FiguresHead):
    """Figures, as the dashboard shows them. Decimals are strings, counts are numbers."""

    data: tuple[FigureItem, ...] = Field(
        description="A row for each group. With a comparison it has `compared`: the same metrics of the other period."
    )


Amount = str | int | None
_EVENT = {
    "at": "2026-07-02T08:10:00Z",
    "order": "5400152023179",
    "name": "#6000",
    "kind": "sale",
    "line": "product",
    "amount": "100.00",
}


class FigureEvent(Body):
    """What changes a figure."""

    at: Iso | None = key("2026-07-02T08:10:00Z", "When it counts, in UTC.")
    order: str | None = key("5400152023179", "Key of the order; null if the table has none, or it is hidden.")
    name: str | None = key("#6000", "Number of the order.")
    kind: Kind = key("sale", "`order` and `customer` are counted; of a customer, this is the first order that counts.")
    line: Line = key("product", "What it is about.")
    amount: Amount = key("100.00", "What it adds to the figure. Null if it adds to the divisor.")
    divisor: int | None = key(None, "What it adds to the divisor, where there is one.", default=None)


class FigureEventsHead(_Selected):
    """The body of events without its rows."""

    metric: str = key("net_sales")
    metrics: dict[str, MarkedMetric] = key(
        {"net_sales": {"label": "Net sales", "unit": "money", **_KNOWN}}, "The metric, as in figures."
    )
    total: Amount = key("86915.10", "The figure: the sum of all amounts, by the divisor if there is one.")
    amount: Amount = key("86915.10", "The sum of all amounts, on all pages.")
    divisor: Count | None = key(None, "What rates and averages divide by: the sum of all divisors, on all pages.")
    count: Count = key(1, "Number of rows in `data`.")
    total_count: Count = key(1, "Number of rows on all pages.")
    next: str | None = key(None, "The `after` of the next page; null on the last one.")


class FigureEvents(Freshness, FigureEventsHead):
    """The events that sum to a figure, in order of time."""

    data: tuple[FigureEvent, ...] = key([_EVENT])


class ListedMetric(FigureMetric):
    """A metric that can be asked for."""

    id: str = key("net_sales")
    available: bool = key(True, "Whether the table can tell it.")


class ListedDimension(Body):
    """What figures can be grouped or filtered by."""

    id: str = key("country", "`column:NAME` is a column of the table, `json:NAME.PATH` a value inside its JSON.")
    label: str = key("Country")
    level: Level = key(
        "order",
        "What has a value of it: an `order`, a `line` of it, a part of its `tax`, a `row`; of a `list`, several.",
    )
    personal: bool = key(False, "Whether it comes from a column with personal data, which masked keys may not use.")
    available: bool = key(True, "Whether the table has it.")
    reason: str | None = key(None, "Why not.")


class FigureMetrics(Body):
    """The metrics and dimensions of figures."""

    status: Literal["success"]
    metrics: tuple[ListedMetric, ...]
    dimensions: tuple[ListedDimension, ...]


FIGURE_BODIES = (Figures, FigureEvents, FigureMetrics)  # and what they refer to
