"""What the columns of an orders table mean: which one plays which role, and the SQL that reads it.

Columns are recognised by name: Shopify's REST names (`total_price`), the headers of its export (`Lineitem quantity`),
and common variants; capitals, spaces and signs do not matter. The settings of the table come first. Where a column is
missing, the figures that need it are missing, and `missing` names the column.

REST: https://shopify.dev/docs/api/admin-rest/latest/resources/order
Export: https://help.shopify.com/en/manual/fulfillment/managing-orders/exporting-orders
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cache.roles import ROLES, recognise_roles
from cache.schema import Column
from cache.sql import quoted
from cache.table_setup import NO_SETUP, Setup

Requirement = Literal[
    "gross sales",
    "discounts",
    "shipping",
    "taxes",
    "total sales",
    "returns",
    "dates of returns",
    "dates",
    "payment status",
    "fulfilment status",
    "fulfilment time",
    "channel",
    "country",
    "currency",
    "discount code",
    "customers",
    "products",
]
"""What figures, dimensions and pages need of a table."""

# The roles that each requirement needs. Where there are several lists, any one of them is enough.
_ROLES: Mapping[Requirement, tuple[tuple[str, ...], ...]] = {
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


class Reading:
    """What the columns of one table mean, as SQL.

    Attributes:
        columns: The columns.
        roles: Role -> the column that plays it.
        timezone: IANA zone of the shop's clock.
        by_line: Whether the table has one row a line item, as Shopify's export does. Such a table is counted by order;
            an order's own values stand in the first of its rows that has one.
    """

    def __init__(self, columns: Sequence[Column], timezone: str, source_timezone: str, setup: Setup = NO_SETUP) -> None:
        """Finds the role of each column.

        Args:
            columns: The columns.
            timezone: IANA zone of the shop's clock.
            source_timezone: The IANA zone by which the sync read DATETIME columns.
            setup: What people decided about the table.
        """
        self.columns = columns
        self.roles = recognise_roles(columns, setup)
        self.timezone = timezone
        self._synced_timezone = source_timezone
        self._source_timezone = setup.source_timezone or source_timezone
        self._taxes_included = bool(setup.taxes_included)
        self.by_line = "name" in self.roles and "line_quantity" in self.roles and "line_items" not in self.roles

    def missing(self) -> dict[Requirement, str]:
        """Requirement that the table does not meet -> a sentence that names the missing column."""
        missing: dict[Requirement, str] = {}
        for requirement, choices in _ROLES.items():
            if not any(all(role in self.roles for role in roles) for roles in choices):
                wanted = " or ".join(
                    " and ".join(ROLES[role].words for role in roles if role not in self.roles) for roles in choices
                )
                missing[requirement] = f"No {requirement}: the table has no column for {wanted}."
        if "returns" in missing:
            del missing["dates of returns"]
        return missing

    def facts(self) -> dict[str, str]:
        """SQL of each column of the table of facts, by name; NULL, or an empty text, where the table has none."""
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
        """SQL: the order is a test order."""
        return self._flag("test")

    def refunds(self) -> str | None:
        """SQL of the refunds of a row, as a list of (local, amount); `local` is on the shop's clock."""
        if "refunds" not in self.roles:
            return None
        local = f"timezone('{self.timezone}', try_cast(r.created_at AS TIMESTAMPTZ))"
        each = f"struct_pack(local := {local}, amount := {_REFUND_AMOUNT})"
        return f"list_transform({self._refund_list()}, lambda r: {each})"

    def lines(self) -> str | None:
        """SQL of the line items of a row, as a list of (sku, title, quantity, price)."""
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
        """SQL of the country's name; its code where there is no name."""
        return self._in_address("country") if "address" in self.roles else self._country()

    def instant(self, role: str) -> str:
        """SQL of a role as an instant."""
        if role not in self.roles:
            return "NULL::TIMESTAMPTZ"
        column = self.roles[role]
        if column.kind == "date":
            return f"timezone('{self.timezone}', {quoted(column.name)}::TIMESTAMP)"
        if column.kind != "text":
            return f"try_cast({self.corrected(column)} AS TIMESTAMPTZ)"
        text = f"regexp_replace({quoted(column.name)}, '{_OFFSET}', '\\1:\\2')"
        clock = f"timezone('{self._source_timezone}', try_cast({text} AS TIMESTAMP))"
        zoned = f"regexp_matches({text}, '(Z|[+-]\\d\\d:\\d\\d)$')"
        return f"CASE WHEN {zoned} THEN try_cast({text} AS TIMESTAMPTZ) ELSE {clock} END"

    def corrected(self, column: Column) -> str:
        """SQL of a column; DATETIME values are read in the time zone of the settings."""
        name = quoted(column.name)
        if column.kind == "datetime" and self._source_timezone != self._synced_timezone:
            return f"timezone('{self._source_timezone}', timezone('{self._synced_timezone}', {name}))"
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
        return f"coalesce(list_sum(list_transform({self._refund_list()}, lambda r: {_REFUND_AMOUNT})), 0)"

    def _customer(self) -> str:
        """SQL of a number for the customer: a hash of customer number, else of e-mail; NULL without both."""
        texts = [f"nullif({self._column('customer_id')}::VARCHAR, '')"] if "customer_id" in self.roles else []
        texts += [f"nullif(lower({self._column('email')}), '')"] if "email" in self.roles else []
        if not texts:
            return "NULL::UBIGINT"
        text = f"coalesce({', '.join(texts)})"
        return f"CASE WHEN {text} IS NOT NULL THEN hash({text}) END"

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
_REFUND_AMOUNT = (
    "coalesce(try_cast(r.amount AS DECIMAL(18, 4)), "
    "list_sum(list_transform(r.transactions, lambda t: try_cast(t.amount AS DECIMAL(18, 4)))))"
)
