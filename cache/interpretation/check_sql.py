"""The checks of one order as SQL: what the table says of it in two ways, and the difference.

An order is checked only where the table says both. Tolerances are those of rounding: a cent for each line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cache.check_report import ORDER_CHECKS, CheckId
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.text_values import AMOUNT
from cache.interpretation.unread_values import unread_roles

DIFFERENCES = ("lines_off", "total_off", "tax_off", "refunds_off")
"""Columns with the difference of an order that fails a check; NULL where it agrees."""

_LISTED_REFUNDS = "listed_refunds"  # the money of all refunds of an order
_CENT = "0.01"
_SEVERAL_CENTS = f"{_CENT} * greatest(coalesce(len(items), 0), 2)"
_BLOCK = 5  # order numbers whose dates have one median
_IN_SEQUENCE = 0.95  # share of blocks that must follow each other for dates to be held to the numbers
_WHOLE = 0.5  # share of orders that must add up before a table without shipping or taxes is taken to lack neither
_MAX_TAX = 0.35  # of a total: the highest VAT is 27 %
_CLOCKS_APART = "INTERVAL 1 MINUTE"  # programs that write dates of one order may run on several machines


class CheckSql:
    """SQL of the checks of orders, over the columns of `MoneySql.parts`.

    Args:
        roles: SQL of the roles.
    """

    def __init__(self, roles: RoleSql) -> None:
        self._roles = roles

    def checked(self, parts: str) -> str:
        """SQL of the rows of `parts` with `checked` and `failed`, the bits of `ORDER_CHECKS`, and `DIFFERENCES`."""
        differences = {"lines": self._lines(), "total": self._total(), "tax": self._tax(), "refunds": self._refunds()}
        checked = {name: f"{name}_off IS NOT NULL" for name, sql in differences.items() if sql}
        failed = {name: f"{name}_off <> 0" for name, sql in differences.items() if sql}
        if "created_at" in self._roles.roles:
            checked["dates"], failed["dates"] = "true", self._dates()
        if "currency" in self._roles.roles:
            checked["identity"], failed["identity"] = "true", "NOT regexp_full_match(currency, '[A-Z]{3}')"
        if names := unread_roles(self._roles):
            checked["parse"], failed["parse"] = "true", " OR ".join(f"coalesce(unread.{name}, false)" for name in names)
        # In a SELECT of their own, so that each difference is computed once.
        computed = ", ".join(f"({sql or 'NULL'})::{AMOUNT} AS {name}_off" for name, sql in differences.items())
        failing = ", ".join(f"nullif({name}, 0) AS {name}" for name in DIFFERENCES)
        return (
            f"SELECT * REPLACE ({failing}), {_bits(checked)} AS checked, {_bits(failed)} AS failed "
            f"FROM (SELECT * EXCLUDE ({_LISTED_REFUNDS}), {computed} FROM ("
            f"SELECT *, list_sum(list_transform(refs, lambda r: r.money)) AS {_LISTED_REFUNDS} FROM ({parts})))"
        )

    def _lines(self) -> str | None:
        """Subtotal - (price × quantity - discounts)."""
        roles = self._roles.roles
        if "subtotal" not in roles or not ("line_items" in roles or {"line_price", "line_quantity"} <= roles.keys()):
            return None
        if self._roles.reading.grain == "order" and "line_items" not in roles:
            return None  # columns of an item beside those of an order
        goods = "coalesce(priced, 0) + gift_cards"
        off = f"read_subtotal - ({goods if self._roles.reading.subtotal_before_discounts else f'{goods} - off'})"
        return _difference("read_subtotal IS NOT NULL", off, off, _SEVERAL_CENTS)

    def _total(self) -> str | None:
        """Total - the sum of its parts. A table that lacks a part has at least the others."""
        roles = self._roles.roles
        if "total" not in roles or not roles.keys() & {"subtotal", "line_items", "line_total", "line_price"}:
            return None
        parts = (
            "gross_read + gift_cards - off + coalesce(sent, 0) + extras "
            "+ CASE WHEN included THEN 0 ELSE coalesce(taxed, 0) END"
        )
        shipping, tax = {"shipping", "shipping_lines"}, {"tax", "tax_lines", "taxes_included"}
        whole = bool(roles.keys() & shipping and roles.keys() & tax) or (self._roles.reading.adds_up or 0) >= _WHOLE
        off = f"read_total - ({parts})"
        return _difference("read_total IS NOT NULL", off, off if whole else f"least({off}, 0)", "0.02")

    def _tax(self) -> str | None:
        """Total tax - the sum of the tax lines of the order, else of its lines and its shipping.

        Where a table has no tax lines, a tax must at least be possible.
        """
        roles = self._roles.roles
        if "tax" not in roles:
            return None
        if not roles.keys() & {"tax_lines", "line_items"}:
            return f"CASE WHEN column_tax > {_MAX_TAX} * abs(read_total) THEN column_tax ELSE 0 END"
        listed = "coalesce(listed_tax, line_tax + coalesce(freight_tax, 0))"
        off = f"column_tax - {listed}"
        # Tax on shipping that no line tells.
        untold = f"CASE WHEN listed_tax IS NULL AND freight_tax IS NULL THEN least({off}, 0) ELSE {off} END"
        return _difference(f"column_tax IS NOT NULL AND {listed} IS NOT NULL", off, untold, _SEVERAL_CENTS)

    def _refunds(self) -> str | None:
        """The money of refunds that are missing; negative where there is too much of it."""
        roles = self._roles.roles
        if not roles.keys() & {"refunds", "refunded"} or "total" not in roles:
            return None
        listed = _LISTED_REFUNDS
        money = f"coalesce({listed}, read_refunded)" if "refunds" in roles else "read_refunded"
        none = f"coalesce({money}, 0)"
        status = "lower(status)"
        twice = "len(refs) > 1 AND len(list_distinct(refs)) < len(refs)"
        cases = [
            f"WHEN {twice} THEN -greatest({none}, {_CENT})",
            f"WHEN {none} > read_total + {_CENT} THEN read_total - {none}",
            f"WHEN {status} = 'paid' AND read_total > 0 AND {none} >= read_total THEN -{none}",
        ]
        if {"refunds", "refunded"} <= roles.keys():
            cases.append(f"WHEN abs({listed} - read_refunded) > {_CENT} THEN read_refunded - {listed}")
        told = f"({money} IS NOT NULL OR coalesce(len(refs), 0) = 0)"  # else it has refunds of which no money is told
        cases += [
            f"WHEN {status} = 'refunded' AND {told} AND abs(read_total - {none}) > {_CENT} THEN read_total - {none}",
            f"WHEN {status} = 'partially_refunded' AND {told} AND {none} <= 0 THEN read_total",
            f"WHEN {status} = 'partially_refunded' AND {told} AND {none} >= read_total THEN -{none}",
        ]
        return f"CASE WHEN read_total IS NULL THEN NULL {' '.join(cases)} ELSE 0 END"

    def _dates(self) -> str:
        """Whether an order has no date, or dates in an impossible order."""
        later = ("cancelled", "updated", "fulfilled")
        late = " OR ".join(f"coalesce({self._before('created_at', name)}, false)" for name in later)
        refunded = (
            f"list_aggregate(list_transform(refs, lambda r: {self._before('created_at', 'r.moment')}), 'bool_or')"
        )
        return f"created_at IS NULL OR {late} OR coalesce({refunded}, false)"

    def _before(self, first: str, second: str) -> str:
        """Whether `second` is before `first`. A date without a time counts as the end of its day."""
        zones = ("UTC", self._roles.timezone)
        midnight = " OR ".join(f"timezone('{zone}', {second})::TIME = TIME '00:00:00'" for zone in zones)
        wait = f"CASE WHEN {midnight} THEN INTERVAL 1 DAY ELSE {_CLOCKS_APART} END"
        return f"CASE WHEN {second} < {first} THEN {second} + {wait} < {first} ELSE false END"  # few need more


def failing_across_orders(orders: str, as_of: datetime, backdated: bool) -> str:
    """SQL of the orders that fail a check beside other orders.

    An order number that stands twice fails `identity`. Dates fail `dates` that are in the future, or that do not follow
    the order numbers where almost all others do: later than those of the next numbers, or earlier than those before.

    Args:
        orders: SQL name of a table with `key`, `number`, `sequence` and `created_at`.
        as_of: The instant of the copy.
        backdated: Whether orders may have dates from before they got their number, as imported orders have.

    Returns:
        A SELECT of `key` and `bits`.
    """
    repeated = f"SELECT number FROM {orders} WHERE number IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    blocks = (
        f"SELECT sequence // {_BLOCK} AS block, quantile_disc(created_at, 0.5) AS middle FROM {orders} "
        "WHERE sequence IS NOT NULL AND created_at IS NOT NULL GROUP BY 1"
    )
    follow = (
        f"SELECT coalesce(avg((a.middle <= b.middle)::INT), 0) >= {_IN_SEQUENCE} "
        "FROM blocks AS a JOIN blocks AS b ON b.block = a.block + 1"
    )
    late = "created_at > n.middle + INTERVAL 1 HOUR"
    early = "false" if backdated else "created_at < p.middle - INTERVAL 1 HOUR"
    dates = (
        f"SELECT o.key, {bit('dates')} AS bits FROM {orders} AS o "
        f"LEFT JOIN blocks AS n ON n.block = o.sequence // {_BLOCK} + 1 "
        f"LEFT JOIN blocks AS p ON p.block = o.sequence // {_BLOCK} - 1 "
        f"WHERE created_at > TIMESTAMPTZ '{as_of.isoformat()}' + INTERVAL 1 DAY OR (({late} OR {early}) AND ({follow}))"
    )
    identity = f"SELECT key, {bit('identity')} AS bits FROM {orders} WHERE number IN ({repeated})"
    return (
        f"WITH blocks AS MATERIALIZED ({blocks}) SELECT key, bit_or(bits) AS bits "
        f"FROM ({dates} UNION ALL {identity}) GROUP BY key"
    )


def difference_sql(check: CheckId) -> str:
    """SQL of the difference of an order that fails a check: by so much figures may be wrong; NULL: not known."""
    match check:
        case "lines" | "total" | "tax" | "refunds":
            return f"abs({check}_off)"
        case "parse":
            return "abs(coalesce(total_off, charged, gross - discounts))"
        case _:
            return "abs(charged)"


def bit(check: CheckId) -> int:
    """The bit of a check of orders in `checked` and `failed`."""
    return 1 << ORDER_CHECKS.index(check)


def _difference(known: str, off: str, other: str, tolerance: str) -> str:
    """SQL of a difference: NULL where it is not known, 0 where one of two ways to compute it is within a tolerance."""
    agrees = f"abs({off}) <= {tolerance}" + (f" OR abs({other}) <= {tolerance}" if other != off else "")
    return f"CASE WHEN NOT ({known}) THEN NULL WHEN {agrees} THEN 0 ELSE {off} END"


def _bits(conditions: Mapping[str, str]) -> str:
    """SQL of a number with a bit for each check whose condition holds."""
    bits = (f"CASE WHEN {conditions[name]} THEN {bit(name)} ELSE 0 END" for name in ORDER_CHECKS if name in conditions)
    return f"({' + '.join(bits) or '0'})::UTINYINT"
