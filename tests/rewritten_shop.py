"""The lab's shop as other tables store it: other grains, names, styles of amounts and dates, shapes of JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from column_styles import AMOUNTS, CODES, DECOYS, FLAGS, INSTANTS, NAMES
from schema_corpus import Schema, SchemaColumn, Truth
from schema_orders import Row
from shop_factory import shop

from cache.reading import Grain

ZONES = ("America/New_York", "Asia/Tokyo", "Europe/Berlin")
"""The zone of each shop, by its number."""
SHOPS = range(len(ZONES))
CURRENCIES = ("", "EUR", "USD")  # "": all five

AMOUNT_FIELDS = ("subtotal", "discounts", "shipping", "tax", "total", "refunded", "line_price")
INSTANT_FIELDS = ("date", "row_date", "updated", "cancelled", "fulfilled")
LINE_FIELDS = ("line_sku", "line_title", "line_quantity", "line_price")
LIST_FIELDS = ("items", "refunds", "shipping_lines", "tax_lines")
_CHARGES = ("discounts", "shipping", "tax", "refunded")
_DELETED = "deleted_at"
OPTIONAL_FIELDS = (
    "name",
    "subtotal",
    "shipping",
    "included",
    "row_date",
    "fulfilled",
    "customer",
    "items",
    "refunds",
    "refunded",
    "id",
)


@dataclass(frozen=True)
class Rewriting:
    """How a shop is stored.

    Attributes:
        shop: The number of the shop.
        currency: The currency of its orders; "" for all. A table without `included` has one.
        names: The names of its columns, a key of NAMES.
        grain: What one row is.
        follow_up: What the columns of an order hold in its second and later line rows: `repeated`, `blank` or `zero`.
        amounts: The style of amounts, a key of AMOUNTS.
        instants: The style of instants, a key of INSTANTS.
        flags: How yes and no are written, a key of FLAGS.
        codes: How currencies are written, a key of CODES.
        nothing: How a missing date, an empty list and a charge of 0 are written: `null`, `blank` or `zero`.
        minus: Whether discounts are negative.
        deleted: Whether every tenth order is there once more, in rows that are marked as deleted.
        two_shops: Whether every other order is of another shop, which has the same order numbers.
        lists: The shape of JSON lists: `rest`, `numbers` (prices are numbers), `edges` or `nodes`.
        encoded_twice: Whether JSON lists are encoded twice.
        key: What the primary key is: the `order`, a number of the `row`, or `none`.
        itemized: Whether shipping and tax are JSON lists.
        left_out: Fields that it does not store.
        decoys: Columns of other meaning.
        seed: What decides the order of its rows.
    """

    shop: int
    currency: str
    names: str
    grain: Grain
    follow_up: str
    amounts: str
    instants: str
    flags: str
    codes: str
    nothing: str
    minus: bool
    deleted: bool
    two_shops: bool
    lists: str
    encoded_twice: bool
    key: str
    itemized: bool
    left_out: frozenset[str]
    decoys: frozenset[str]
    seed: int

    @property
    def fields(self) -> dict[str, str]:
        """Field -> column, for the fields that are stored."""
        columns = dict(NAMES[self.names])
        dropped = set(self.left_out)
        dropped |= {"items"} if self.grain == "line" else set(LINE_FIELDS)
        dropped |= {"shipping_lines"} if "shipping" in dropped else set()
        dropped |= {"shipping", "tax"} if self.itemized and "tax_lines" in columns else {"shipping_lines", "tax_lines"}
        dropped -= {"name"} if self.two_shops or "id" in dropped else set()
        fields = {field: column for field, column in columns.items() if field not in dropped}
        return {**fields, "shop": "Shop"} if self.two_shops else fields

    def stored(self) -> Schema:
        """The table."""
        fields = self.fields
        types = {column: self._type(field) for field, column in fields.items()}
        types |= {_DELETED: "timestamp"} if self.deleted else {}
        types |= {name: DECOYS[name][0] for name in self._decoys()}
        listed = orders(self.shop, self.currency)
        if self.two_shops:
            listed = tuple(
                {**order, "name": f"#{1001 + place // 2}", "shop": ("north", "south")[place % 2]}
                for place, order in enumerate(listed)
            )
        rows = [row for order in listed for row in self._rows(order)]
        random.Random(self.seed).shuffle(rows)
        if self.key == "row":
            rows = [{"row_id": str(number), **row} for number, row in enumerate(rows, 1)]
            types = {"row_id": "bigint unsigned", **types}
        keys = {"row": ["row_id"], "none": []}.get(self.key) or []
        if self.key == "order" and self.grain == "order" and "id" in fields:
            keys = [fields["id"]]
        columns = tuple(
            SchemaColumn(name, type, nullable=name not in keys, key=int(name in keys)) for name, type in types.items()
        )
        truth = Truth.model_construct(timezone=ZONES[self.shop], source_timezone="UTC")
        return Schema(self.names, "", columns, tuple(rows), truth)

    def _decoys(self) -> list[str]:
        """The columns of other meaning. MySQL tells names apart without their case."""
        taken = {column.casefold() for column in self.fields.values()}
        return sorted(self.decoys - taken)

    def _type(self, field: str) -> str:
        if field in AMOUNT_FIELDS:
            return AMOUNTS[self.amounts][0]
        if field in INSTANT_FIELDS:
            return INSTANTS[self.instants][0]
        if field in LIST_FIELDS:
            return "longtext"
        return {"id": "bigint unsigned", "included": FLAGS[self.flags][0], "line_quantity": "int"}.get(
            field, "varchar(255)"
        )

    def _rows(self, order: Mapping[str, Any]) -> list[Row]:
        """The rows of one order, the first one first."""
        if self.deleted:
            rows = replace(self, deleted=False)._rows(order)
            kept: list[Row] = [{**row, _DELETED: None} for row in rows]
            dropped: list[Row] = [{**row, _DELETED: "2025-06-15 08:00:00"} for row in rows]
            return [*kept, *dropped] if order["id"] % 10 == 0 else kept
        fields = self.fields
        if self.grain == "version":
            return [self._row({**order, **version}) for version in _versions(order)]
        if self.grain == "order":
            return [self._row(order)]
        rows: list[Row] = []
        for place, item in enumerate(order["items"]):
            row = self._row({**order, **item})
            for field, column in fields.items() if place else ():
                if field not in (*LINE_FIELDS, "name", "shop") and ("name" in fields or field != "id"):
                    row[column] = self._followed_up(field, row[column])
            rows.append(row)
        return rows

    def _followed_up(self, field: str, value: str | None) -> str | None:
        """What a follow-up row holds in place of the value of its order."""
        if self.follow_up == "repeated":
            return value
        if self.follow_up == "zero" and field in AMOUNT_FIELDS:
            return AMOUNTS[self.amounts][1](Decimal(0), "USD")
        return "" if self._type(field).startswith("varchar") else None

    def _row(self, order: Mapping[str, Any]) -> Row:
        row = {column: self._written(field, order[field], order["currency"]) for field, column in self.fields.items()}
        return {**row, **{name: DECOYS[name][1](order) for name in self._decoys()}}

    def _written(self, field: str, value: Any, currency: str) -> str | None:
        if value is None or (not value and field in (*LIST_FIELDS, *_CHARGES)):
            return self._nothing(field, currency)
        if field == "included":
            return FLAGS[self.flags][1][value == "1"]
        if field == "currency":
            return CODES[self.codes](value)
        if field in AMOUNT_FIELDS:
            return AMOUNTS[self.amounts][1](-value if self.minus and field == "discounts" else value, currency)
        if field in INSTANT_FIELDS:
            return INSTANTS[self.instants][1](value, ZoneInfo(ZONES[self.shop]))
        if field in LIST_FIELDS:
            text = json.dumps(_listed(field, value, self.lists, currency), ensure_ascii=False)
            return json.dumps(text) if self.encoded_twice and value else text
        return str(value)

    def _nothing(self, field: str, currency: str) -> str | None:
        """What a column holds where an order has no value."""
        text = self._type(field).startswith(("varchar", "longtext"))
        if self.nothing == "null" or (self.nothing == "blank" and not text):
            return None
        if self.nothing == "blank":
            return ""
        if field in INSTANT_FIELDS:
            return "0000-00-00 00:00:00" if text or self.instants == "datetime" else None
        if field in AMOUNT_FIELDS:
            return AMOUNTS[self.amounts][1](Decimal(0), currency)
        return "[]" if field in LIST_FIELDS else None


def _versions(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs in the versions of an order, the newest last."""
    count = order["id"] % 3 + 1
    early = {"status": "pending", "refunds": [], "refunded": Decimal(0), "cancelled": None, "fulfilled": None}
    last = max(order["updated"], order["date"] + timedelta(days=count))
    return [{**early, "updated": order["date"] + timedelta(days=number)} for number in range(1, count)] + [
        {"updated": last}
    ]


def _listed(field: str, values: Sequence[Mapping[str, Any]], shape: str, currency: str) -> Any:
    """A list as JSON."""
    graphql = shape in ("edges", "nodes")
    write = {"items": _item, "refunds": _refund, "shipping_lines": _charge, "tax_lines": _charge}[field]
    listed = [write(value, shape, currency) for value in values]
    if not graphql or field in ("refunds", "tax_lines"):  # lists in GraphQL too
        return listed
    return {"edges": [{"node": node} for node in listed]} if shape == "edges" else {"nodes": listed}


def _money(amount: Decimal, currency: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{amount:.2f}", "currencyCode": currency}}


def _item(item: Mapping[str, Any], shape: str, currency: str) -> dict[str, Any]:
    own = {"sku": item["line_sku"], "title": item["line_title"], "quantity": item["line_quantity"]}
    price: Decimal = item["line_price"]
    if shape in ("edges", "nodes"):
        return {**own, "originalUnitPriceSet": _money(price, currency)}
    return {**own, "price": float(price) if shape == "numbers" else f"{price:.2f}"}


def _refund(refund: Mapping[str, Any], shape: str, currency: str) -> dict[str, Any]:
    at, amount = refund["at"], refund["amount"]
    if shape in ("edges", "nodes"):
        transaction = {"kind": "REFUND", "status": "SUCCESS", "amountSet": _money(amount, currency)}
        listed = [transaction] if shape == "nodes" else [{"node": transaction}]
        return {"createdAt": at, "refundLineItems": {shape: []}, "transactions": {shape: listed}}
    if shape == "numbers":
        return {"created_at": at, "amount": float(amount)}
    paid = {"kind": "refund", "status": "success", "amount": f"{amount:.2f}", "currency": currency}
    return {"created_at": at, "processed_at": at, "refund_line_items": [], "transactions": [paid]}


def _charge(charge: Mapping[str, Any], shape: str, currency: str) -> dict[str, Any]:
    amount: Decimal = charge["amount"]
    if shape in ("edges", "nodes"):
        money = _money(amount, currency)
        return {"title": "Standard", "priceSet": money, "originalPriceSet": money, "discountedPriceSet": money}
    price = float(amount) if shape == "numbers" else f"{amount:.2f}"
    return {"title": "Standard", "price": price, "discounted_price": price}


@cache
def shop_rows(number: int, currency: str) -> tuple[Row, ...]:
    """Rows of a shop as the lab stores them, without test orders."""
    rows = shop(500 if currency else 130, until=datetime(2025, 6, 1, tzinfo=UTC), seed=number)
    return tuple(row for row in rows if row["test"] == "0" and (not currency or row["currency"] == currency))


@cache
def orders(number: int, currency: str) -> tuple[Mapping[str, Any], ...]:
    """The orders of a shop by field."""
    return tuple(map(_order, shop_rows(number, currency)))


def _order(row: Row) -> dict[str, Any]:
    def at(name: str) -> datetime | None:
        text = row[name] or "0000"
        return None if text.startswith("0000") else datetime.fromisoformat(text).replace(tzinfo=UTC)

    def amount(name: str) -> Decimal:
        return Decimal(row[name] or 0)

    items = [
        {
            "line_sku": item["sku"],
            "line_title": item["title"],
            "line_quantity": item["quantity"],
            "line_price": Decimal(item["price"]),
        }
        for item in json.loads(row["line_items"] or "[]")
    ]
    refunds = [
        {"at": refund["created_at"], "amount": Decimal(refund["amount"])} for refund in json.loads(row["refunds"] or "")
    ]
    shipping, tax = amount("total_shipping"), amount("total_tax")
    return {
        "id": int(row["id"] or 0),
        "name": row["name"],
        "email": row["email"] or None,
        "date": at("processed_at"),
        "row_date": datetime(2025, 7, 1, tzinfo=UTC),
        "updated": at("updated_at"),
        "cancelled": at("cancelled_at"),
        "fulfilled": at("fulfilled_at"),
        "status": row["financial_status"],
        "currency": row["currency"],
        "included": row["taxes_included"],
        "subtotal": amount("subtotal_price"),
        "discounts": amount("total_discounts"),
        "shipping": shipping,
        "tax": tax,
        "total": amount("total_price"),
        "refunded": amount("total_refunded"),
        "customer": row["customer_id"],
        "shop": None,
        "items": items,
        "refunds": refunds,
        "shipping_lines": [{"amount": shipping}] if shipping else [],
        "tax_lines": [{"amount": tax}] if tax else [],
    }
