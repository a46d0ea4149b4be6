"""What the columns of an orders table mean: Shopify's names, the kinds that fit, and the SQL that reads them.

A column that the table lacks makes what needs it go away; `missing` says in a sentence why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cache.filters import quoted
from cache.snapshot import Column, Kind

_AMOUNT: tuple[Kind, ...] = ("decimal", "integer", "unsigned", "float", "double", "text")
_TEXT: tuple[Kind, ...] = ("text",)
_FLAG: tuple[Kind, ...] = ("boolean", "integer", "unsigned", "text")
_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "created_at": ("datetime", "timestamp", "date", "text"),
    **dict.fromkeys(("subtotal_price", "total_discounts", "total_shipping", "total_tax", "total_price"), _AMOUNT),
    "total_refunded": _AMOUNT,
    **dict.fromkeys(("financial_status", "fulfillment_status", "source_name", "currency"), _TEXT),
    "destination": ("json", "text"),
    **dict.fromkeys(("taxes_included", "test"), _FLAG),
}

# The columns that each figure needs.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "gross sales": ("subtotal_price", "total_discounts"),
    "discounts": ("total_discounts",),
    "shipping": ("total_shipping",),
    "taxes": ("total_tax",),
    "total sales": ("total_price",),
    "refunds": ("total_refunded",),
    "dates": ("created_at",),
    "payment status": ("financial_status",),
    "fulfilment status": ("fulfillment_status",),
    "channel": ("source_name",),
    "country": ("destination",),
    "currency": ("currency",),
}


class Mapped:
    """The columns of one table, as figures see them.

    Parameters: `timezone` is the IANA zone of the shop's clock. `facts` is the SQL of each column of the table of
    facts, by name (NULL, or an empty text, where the source lacks the column); `test` tells a test order.
    """

    def __init__(self, columns: Iterable[Column], timezone: str) -> None:
        known = {column.name: column for column in columns}
        self._usable = {name: c for name, c in known.items() if c.kind in _KINDS.get(name, ())}
        created, discounts = self._instant("created_at", timezone), self._amount("total_discounts")
        self.facts = {
            "created_at": created,
            "local": f"timezone('{timezone}', {created})",
            "status": self._text("financial_status"),
            "fulfilment": self._text("fulfillment_status"),
            "channel": self._text("source_name"),
            "country": self._country(),
            "currency": self._text("currency"),
            "gross": f"{self._amount('subtotal_price')} + {discounts}",
            "discounts": discounts,
            "shipping": self._amount("total_shipping"),
            "tax": f"CASE WHEN {self._flag('taxes_included')} THEN 0 ELSE {self._amount('total_tax')} END",
            "total": self._amount("total_price"),
            "refunded": self._amount("total_refunded"),
        }
        self.test = self._flag("test")
        self.country_name = in_address("country") if "destination" in self._usable else "NULL"

    def missing(self) -> dict[str, str]:
        """Figure -> why this table cannot tell it."""
        missing = {}
        for figure, needed in _NEEDED.items():
            if lacking := [name for name in needed if name not in self._usable]:
                missing[figure] = f"No {figure}: the table has no column {' and no '.join(lacking)} of a fitting type."
        return missing

    def _text(self, name: str) -> str:
        return f"coalesce({quoted(name)}, '')" if name in self._usable else "''"

    def _flag(self, name: str) -> str:
        return f"coalesce(try_cast({quoted(name)} AS BOOLEAN), false)" if name in self._usable else "false"

    def _instant(self, name: str, timezone: str) -> str:
        if name not in self._usable:
            return "NULL::TIMESTAMPTZ"
        if self._usable[name].kind == "date":
            return f"timezone('{timezone}', {quoted(name)}::TIMESTAMP)"
        return f"try_cast({quoted(name)} AS TIMESTAMPTZ)"

    def _amount(self, name: str) -> str:
        if name not in self._usable:
            return "NULL::DECIMAL(18, 2)"
        kind = self._usable[name].kind
        return quoted(name) if kind == "decimal" else f"try_cast({quoted(name)} AS DECIMAL(18, 4))"

    def _country(self) -> str:
        """The country's code, or its name without one."""
        if "destination" not in self._usable:
            return "''"
        return f"coalesce(nullif({in_address('country_code')}, ''), {in_address('country')}, '')"


def in_address(field: str) -> str:
    """A field of the address, which is JSON, perhaps inside a JSON string; NULL where it is neither."""
    return f"""try(json_extract_string(json_extract_string("destination", '$'), '$.{field}'))"""
