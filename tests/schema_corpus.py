"""The corpus `tests/schemas`: ways in which shops store Shopify orders in MySQL, with figures worked out by hand.

A folder holds `table.sql` (one MariaDB table), `rows.csv` (its rows; `\\N` is NULL) and `truth.json` (what the rows
mean). No figure in `truth.json` comes from the product.
"""

from __future__ import annotations

import csv
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from paths import ROOT
from pydantic import BaseModel, ConfigDict, Field

FOLDER = ROOT / "tests" / "schemas"

NULL = "\\N"
"""What `rows.csv` has in place of NULL."""

Money = Annotated[Decimal, Field(decimal_places=4)]
Metric = Literal[
    "orders",
    "gross_sales",
    "discounts",
    "returns",
    "cancellations",
    "adjustments",
    "gift_cards_sold",
    "net_sales",
    "shipping",
    "taxes",
    "duties",
    "tips",
    "fees",
    "total_sales",
    "average_order_value",
    "units",
    "customers",
    "new_customers",
    "returning_customers",
    "returning_customer_rate",
    "refund_rate",
    "time_to_fulfil",
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Customers(_Model):
    """The customers of all orders. `returning_customer_rate` is a share from 0 to 1."""

    customers: int | None = None
    new_customers: int | None = None
    returning_customers: int | None = None
    returning_customer_rate: Money | None = None


class Figures(Customers):
    """The figures of a period in one currency. A metric that is None is not stated.

    Attributes:
        period: `all`, or the first and the last day on the shop's clock, both included.
        currency: Its ISO code; empty where the table has none.
        refund_rate: A share from 0 to 1.
        time_to_fulfil: The average in seconds.
    """

    period: Literal["all"] | tuple[date, date]
    currency: str
    orders: int | None = None
    gross_sales: Money | None = None
    discounts: Money | None = None
    returns: Money | None = None
    cancellations: Money | None = None
    adjustments: Money | None = None
    gift_cards_sold: Money | None = None
    net_sales: Money | None = None
    shipping: Money | None = None
    taxes: Money | None = None
    duties: Money | None = None
    tips: Money | None = None
    fees: Money | None = None
    total_sales: Money | None = None
    average_order_value: Money | None = None
    units: int | None = None
    refund_rate: Money | None = None
    time_to_fulfil: Money | None = None


class Product(_Model):
    """The sales of a product over all orders in the currency of the first figures. Units are those ordered."""

    units: int | None = None
    gross_sales: Money | None = None


class Refund(_Model):
    """One refund: the order's number, the day on the shop's clock, and the value of the returned goods without tax."""

    order: str
    on: date
    amount: Money


class LeftOut(_Model):
    """Rows that are no orders, by kind."""

    test: int = 0
    deleted: int = 0
    draft: int = 0


class Truth(_Model):
    """What the rows of a table mean.

    Attributes:
        about: What is special about this way of storing orders.
        definitions: Addresses of the pages that define what is counted.
        timezone: The shop's time zone.
        source_timezone: The time zone of the table's times that name none.
        settings: Settings of the product that the figures need, by name.
        reading: `confirmed` where the data decides what each column means, `open` where a question has to stay.
        questions: What has to stay open.
        grain: What one row is.
        roles: Role -> the column that plays it, for the roles that are easily confused.
        how: The sums, worked out by hand.
        figures: Figures by period and currency.
        products: Sales by SKU, or by title where the table has no SKU.
        customers: The customers of all orders.
        refunds: Some or all refunds, or none where they are not of interest.
        left_out: Rows that are no orders.
        cannot_tell: Metrics that the table cannot tell.
    """

    about: str
    definitions: tuple[str, ...] = Field(min_length=1)
    timezone: str
    source_timezone: str
    settings: dict[str, str] = {}
    reading: Literal["confirmed", "open"]
    questions: tuple[Literal["grain", "dates", "amounts", "tax", "total"], ...] = ()
    grain: Literal["order", "line", "version"]
    roles: dict[str, str] = {}
    how: str
    figures: tuple[Figures, ...] = Field(min_length=1)
    products: dict[str, Product] = {}
    customers: Customers | None = None
    refunds: tuple[Refund, ...] = ()
    left_out: LeftOut = LeftOut()
    cannot_tell: tuple[Metric, ...] = ()


class SchemaColumn(NamedTuple):
    """A column as `table.sql` declares it. `key` is its place in the primary key, from 1; 0 outside the key."""

    name: str
    type: str
    nullable: bool
    key: int


class Schema(NamedTuple):
    """A folder of the corpus. `ddl` is its CREATE TABLE statement; a value of a row is text, or None for NULL."""

    name: str
    ddl: str
    columns: tuple[SchemaColumn, ...]
    rows: tuple[dict[str, str | None], ...]
    truth: Truth


def corpus() -> list[Schema]:
    """All folders of the corpus, by name."""
    return [load(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def load(folder: Path) -> Schema:
    """Read one folder.

    Args:
        folder: The folder, with `table.sql`, `rows.csv` and `truth.json`.

    Returns:
        The schema, named as the folder.

    Raises:
        ValueError: A file is not in the format of the corpus.
    """
    ddl = (folder / "table.sql").read_text("utf-8")
    columns = parse_columns(ddl)
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file, strict=True)
    if header != [column.name for column in columns]:
        raise ValueError(f"{folder.name}: the header of rows.csv differs from the columns of table.sql")
    rows = tuple(
        {name: None if text == NULL else text for name, text in zip(header, line, strict=True)} for line in lines
    )
    truth = Truth.model_validate_json((folder / "truth.json").read_text("utf-8"))
    return Schema(folder.name, ddl, columns, rows, truth)


_NAMED = re.compile(r"\s*(?:`([^`]+)`|(\w+))\s+([a-z]+(?:\([^)]*\))?(?: unsigned)?)(.*)")
_KEY = re.compile(r"\s*PRIMARY KEY \((.+)\)")


def parse_columns(ddl: str) -> tuple[SchemaColumn, ...]:
    """The columns of a CREATE TABLE statement with one column a line and types in lower case."""
    body = ddl[ddl.index("(") + 1 : ddl.rindex(")")]
    lines = [line.rstrip(",") for line in body.splitlines()]
    keys = [match[1] for line in lines if (match := _KEY.match(line))]
    key = [name.strip(" `") for name in keys[0].split(",")] if keys else []
    return tuple(
        SchemaColumn(
            name := match[1] or match[2],
            match[3],
            nullable="NOT NULL" not in match[4] and name not in key,
            key=key.index(name) + 1 if name in key else 0,
        )
        for line in lines
        if (match := _NAMED.match(line))
    )
