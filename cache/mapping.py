"""What the columns of an orders table mean: which one plays which role, and the SQL that reads it.

Columns are recognised by name: Shopify's REST names (`total_price`), the headers of its export (`Lineitem quantity`),
and common variants; capitals, spaces and signs do not matter. A set-up can say otherwise. A column that the table
lacks makes what needs it go away; `missing` says in a sentence why.
REST: https://shopify.dev/docs/api/admin-rest/latest/resources/order
Export: https://help.shopify.com/en/manual/fulfillment/managing-orders/exporting-orders
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cache.filters import quoted
from cache.setup import OPEN, Setup
from cache.snapshot import Column, Kind

_AMOUNT: tuple[Kind, ...] = ("decimal", "integer", "unsigned", "float", "double", "text")
_INSTANT: tuple[Kind, ...] = ("datetime", "timestamp", "date", "text")
_TEXT: tuple[Kind, ...] = ("text",)
_NAME: tuple[Kind, ...] = ("text", "integer", "unsigned")
_FLAG: tuple[Kind, ...] = ("boolean", "integer", "unsigned", "text")
_NESTED: tuple[Kind, ...] = ("json", "text")


class Role(NamedTuple):
    """What a column can mean: in words, the kinds that fit, and the names that tell it."""

    words: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]


ROLES: Mapping[str, Role] = {
    "name": Role("the order's number", _NAME, ("name", "ordername", "ordernumber", "orderid", "id")),
    "created_at": Role(
        "the date of the order", _INSTANT, ("createdat", "created", "orderdate", "datecreated", "placedat")
    ),
    "updated_at": Role("the date of the last change", _INSTANT, ("updatedat", "updated", "modifiedat")),
    "cancelled_at": Role("the date of cancellation", _INSTANT, ("cancelledat", "canceledat")),
    "fulfilled_at": Role("the date of fulfilment", _INSTANT, ("fulfilledat", "shippedat", "fulfillmentdate")),
    "financial_status": Role("the payment status", _TEXT, ("financialstatus", "paymentstatus")),
    "fulfillment_status": Role(
        "the fulfilment status", _TEXT, ("fulfillmentstatus", "fulfilmentstatus", "shippingstatus")
    ),
    "currency": Role("the currency", _TEXT, ("currency", "currencycode")),
    "taxes_included": Role("whether prices hold tax", _FLAG, ("taxesincluded", "taxincluded")),
    "subtotal": Role("the subtotal after discounts", _AMOUNT, ("subtotalprice", "subtotal")),
    "discounts": Role("the discounts", _AMOUNT, ("totaldiscounts", "discountamount", "totaldiscount", "discounts")),
    "shipping": Role(
        "the shipping", _AMOUNT, ("totalshipping", "shipping", "totalshippingprice", "shippingprice", "shippingtotal")
    ),
    "tax": Role("the tax", _AMOUNT, ("totaltax", "taxes", "tax", "totaltaxes")),
    "total": Role("the total", _AMOUNT, ("totalprice", "total", "ordertotal", "grandtotal", "totalamount")),
    "refunded": Role("the amount refunded", _AMOUNT, ("totalrefunded", "refundedamount", "amountrefunded")),
    "refunds": Role("the refunds, each with its date", _NESTED, ("refunds",)),
    "discount_code": Role("the discount code", _TEXT, ("discountcode", "discountcodes", "couponcode")),
    "channel": Role("the sales channel", _TEXT, ("sourcename", "source", "channel", "saleschannel")),
    "customer_id": Role("the customer's number", _NAME, ("customerid",)),
    "email": Role("the customer's e-mail", _TEXT, ("email", "customeremail", "contactemail")),
    "customer_name": Role("the customer's name", _TEXT, ("customername", "billingname", "shippingname")),
    "address": Role("the address as JSON", _NESTED, ("destination", "shippingaddress", "deliveryaddress")),
    "country": Role("the country", _TEXT, ("shippingcountry", "country", "countrycode", "shippingcountrycode")),
    "line_items": Role("the line items as JSON", _NESTED, ("lineitems", "items")),
    "test": Role("whether it is a test", _FLAG, ("test", "istest")),
    "line_title": Role("the product of a line", _TEXT, ("lineitemname", "producttitle", "itemname")),
    "line_sku": Role("the SKU of a line", _TEXT, ("lineitemsku", "itemsku")),
    "line_quantity": Role("the quantity of a line", _AMOUNT, ("lineitemquantity", "itemquantity")),
    "line_price": Role("the price of a line", _AMOUNT, ("lineitemprice", "itemprice")),
}

# The roles that each figure needs; where there are several lists, any one of them will do.
_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "gross sales": (("subtotal", "discounts"),),
    "discounts": (("discounts",),),
    "shipping": (("shipping",),),
    "taxes": (("tax",),),
    "total sales": (("total",),),
    "returns": (("refunded",), ("refunds",)),
    "dates of returns": (("refunds",),),
    "dates": (("created_at",),),
    "payment status": (("financial_status",),),
    "fulfilment status": (("fulfillment_status",),),
    "fulfilment time": (("fulfilled_at", "created_at"),),
    "channel": (("channel",),),
    "country": (("address",), ("country",)),
    "currency": (("currency",),),
    "discount code": (("discount_code",),),
    "customers": (("customer_id",), ("email",)),
    "products": (("line_items",), ("line_title", "line_quantity", "line_price")),
}


def recognised(columns: Iterable[Column], setup: Setup = OPEN) -> dict[str, Column]:
    """Role -> the column that plays it: as the set-up says, else by the first of the role's names that is there."""
    listed = list(columns)
    by_name = {column.name: column for column in listed}
    by_plain: dict[str, Column] = {}
    for column in listed:
        by_plain.setdefault(re.sub(r"[^a-z0-9]", "", column.name.casefold()), column)
    found: dict[str, Column] = {}
    for role, (_, kinds, names) in ROLES.items():
        if role in setup.columns:
            candidates: list[Column | None] = [by_name.get(setup.columns[role])]
        else:
            candidates = [by_plain.get(name) for name in names]
        fitting = [column for column in candidates if column is not None and column.kind in kinds]
        if fitting:
            found[role] = fitting[0]
    return found


class Mapped:
    """The columns of one table, as figures see them.

    Parameters: `timezone` is the IANA zone of the shop's clock, `source_timezone` the one that DATETIME columns were
    read by. `by_line` tells that the table has one row a line item, as Shopify's export does: it is counted by order,
    and an order's own values stand in the first of its rows that has one.
    """

    def __init__(self, columns: Sequence[Column], timezone: str, source_timezone: str, setup: Setup = OPEN) -> None:
        self.columns = columns
        self.roles = recognised(columns, setup)
        self.timezone = timezone
        self._read_as, self._meant = source_timezone, setup.source_timezone or source_timezone
        self._taxes_included = bool(setup.taxes_included)
        self.by_line = "name" in self.roles and "line_quantity" in self.roles and "line_items" not in self.roles

    def missing(self) -> dict[str, str]:
        """Figure -> why this table cannot tell it."""
        missing = {}
        for figure, choices in _NEEDED.items():
            if not any(all(role in self.roles for role in roles) for roles in choices):
                wanted = " or ".join(
                    " and ".join(ROLES[role].words for role in roles if role not in self.roles) for roles in choices
                )
                missing[figure] = f"No {figure}: the table has no column for {wanted}."
        if "returns" in missing:
            del missing["dates of returns"]
        return missing

    def facts(self) -> dict[str, str]:
        """The SQL of each column of the table of facts, by name; NULL, or an empty text, where there is none."""
        discounts = self._amount("discounts")
        included = self._flag("taxes_included") if "taxes_included" in self.roles else str(self._taxes_included)
        return {
            "created_at": self.instant("created_at"),
            "local": f"timezone('{self.timezone}', {self.instant('created_at')})",
            "status": self._text("financial_status"),
            "fulfilment": self._text("fulfillment_status"),
            "channel": self._text("channel"),
            "country": self._country(),
            "currency": self._text("currency"),
            "discount": self._text("discount_code"),
            "customer": self._customer(),
            "gross": f"{self._amount('subtotal')} + {discounts}",
            "discounts": discounts,
            "shipping": self._amount("shipping"),
            "tax": f"CASE WHEN {included} THEN 0 ELSE {self._amount('tax')} END",
            "total": self._amount("total"),
            "returned": self._returned(),
            "fulfilling": f"epoch({self.instant('fulfilled_at')} - {self.instant('created_at')})::BIGINT",
        }

    @property
    def test(self) -> str:
        """SQL that tells a test order."""
        return self._flag("test")

    def refunds(self) -> str | None:
        """SQL of the refunds of a row: a list of (local: on the shop's clock, amount)."""
        if "refunds" not in self.roles:
            return None
        local = f"timezone('{self.timezone}', try_cast(r.created_at AS TIMESTAMPTZ))"
        each = f"struct_pack(local := {local}, amount := {_ONE})"
        return f"list_transform({self._refund_list()}, lambda r: {each})"

    def lines(self) -> str | None:
        """SQL of the line items of a row: a list of (sku, title, quantity, price)."""
        if self.by_line:
            one = (
                f"struct_pack(sku := {self._text('line_sku')}, title := {self._text('line_title')}, "
                f"quantity := try_cast({self._column('line_quantity')} AS BIGINT), "
                f"price := {self._amount('line_price')}::DECIMAL(18, 4))"
            )
            return f"[{one}]"
        if "line_items" not in self.roles:
            return None
        shape = '[{"sku":"VARCHAR","title":"VARCHAR","name":"VARCHAR","quantity":"VARCHAR","price":"VARCHAR"}]'
        one = (
            "struct_pack(sku := coalesce(l.sku, ''), title := coalesce(l.title, l.name, ''), "
            "quantity := try_cast(l.quantity AS BIGINT), price := try_cast(l.price AS DECIMAL(18, 4)))"
        )
        return f"list_transform({self._nested('line_items', shape)}, lambda l: {one})"

    @property
    def country_name(self) -> str:
        return self._in_address("country") if "address" in self.roles else self._country()

    def instant(self, role: str) -> str:
        """SQL of an instant."""
        if role not in self.roles:
            return "NULL::TIMESTAMPTZ"
        column = self.roles[role]
        if column.kind == "date":
            return f"timezone('{self.timezone}', {quoted(column.name)}::TIMESTAMP)"
        if column.kind != "text":
            return f"try_cast({self.meant(column)} AS TIMESTAMPTZ)"
        text = f"regexp_replace({quoted(column.name)}, '{_OFFSET}', '\\1:\\2')"
        clock = f"timezone('{self._meant}', try_cast({text} AS TIMESTAMP))"
        zoned = f"regexp_matches({text}, '(Z|[+-]\\d\\d:\\d\\d)$')"
        return f"CASE WHEN {zoned} THEN try_cast({text} AS TIMESTAMPTZ) ELSE {clock} END"

    def meant(self, column: Column) -> str:
        """SQL of a column's values as the set-up takes them."""
        name = quoted(column.name)
        if column.kind == "datetime" and self._meant != self._read_as:
            return f"timezone('{self._meant}', timezone('{self._read_as}', {name}))"
        return name

    # -- values

    def _column(self, role: str) -> str:
        return quoted(self.roles[role].name)

    def _text(self, role: str) -> str:
        return f"coalesce({self._column(role)}, '')" if role in self.roles else "''"

    def _flag(self, role: str) -> str:
        return f"coalesce(try_cast({self._column(role)} AS BOOLEAN), false)" if role in self.roles else "false"

    def _amount(self, role: str) -> str:
        if role not in self.roles:
            return _NO_AMOUNT
        column = self._column(role)
        return column if self.roles[role].kind == "decimal" else f"try_cast({column} AS DECIMAL(18, 4))"

    def _returned(self) -> str:
        if "refunded" in self.roles or "refunds" not in self.roles:
            return self._amount("refunded")
        return f"coalesce(list_sum(list_transform({self._refund_list()}, lambda r: {_ONE})), 0)"

    def _customer(self) -> str:
        """A number for the customer: of his own number, else of his e-mail; NULL for neither."""
        names = [f"nullif({self._column('customer_id')}::VARCHAR, '')"] if "customer_id" in self.roles else []
        names += [f"nullif(lower({self._column('email')}), '')"] if "email" in self.roles else []
        if not names:
            return "NULL::UBIGINT"
        who = f"coalesce({', '.join(names)})"
        return f"CASE WHEN {who} IS NOT NULL THEN hash({who}) END"

    def _country(self) -> str:
        """The country's code, or its name without one."""
        if "address" in self.roles:
            return f"coalesce(nullif({self._in_address('country_code')}, ''), {self._in_address('country')}, '')"
        return self._text("country")

    def _in_address(self, field: str) -> str:
        """A field of the address; NULL where it is no JSON."""
        return f"try(json_extract_string({self._unwrapped('address')}, '$.{field}'))"

    def _nested(self, role: str, shape: str) -> str:
        """JSON as a list of structs; NULL where it is anything else."""
        return f"try(from_json({self._unwrapped(role)}, '{shape}'))"

    def _unwrapped(self, role: str) -> str:
        """JSON text, also where it was encoded twice."""
        return f"try(json_extract_string({self._column(role)}, '$'))"

    def _refund_list(self) -> str:
        return self._nested("refunds", _REFUND_SHAPE)


_OFFSET = r" ?([+-]\d\d):?(\d\d)$"  # Shopify's export writes 2025-05-01 10:00:00 +0200
_NO_AMOUNT = "NULL::DECIMAL(18, 2)"
_REFUND_SHAPE = '[{"created_at":"VARCHAR","amount":"VARCHAR","transactions":[{"amount":"VARCHAR"}]}]'
# A refund's own amount, as some exports write it, else that of its transactions, as Shopify does.
_ONE = (
    "coalesce(try_cast(r.amount AS DECIMAL(18, 4)), "
    "list_sum(list_transform(r.transactions, lambda t: try_cast(t.amount AS DECIMAL(18, 4)))))"
)
