"""The money of line items as SQL: what each of them sold, and the events that reverse it.

The amounts of an order are exact. Those of its lines add up to them as far as the table tells lines apart: the sum of
the lines' gross sales is that of the order, and refunds and discounts that name no line belong to none.
"""

from __future__ import annotations

from cache.interpretation.text_values import AMOUNT

_SOLD = "l.quantity IS NOT NULL AND NOT l.gift"
_TOLD = ("sku", "title", "variant", "vendor")
# Refunds from the cancellation on are part of it.
_COUNTED = "list_filter(refs, lambda r: cancelled IS NULL OR (r.moment IS NOT NULL AND r.moment < cancelled))"


def sold_lines(parts: str) -> str:
    """SQL of the line items that were sold.

    Where prices include tax, each line has its share of the goods without tax, and the first line what rounding leaves.

    Args:
        parts: SQL as of `MoneySql.parts`, without rows that are no orders.

    Returns:
        A SELECT of `key`, `segment`, `sku`, `title`, `variant`, `vendor`, `quantity`, `price`, `amount` and `discount`
        (both without tax), and `returned`: whether goods of this line came back, as far as refunds say which did.
    """
    untaxed = "CASE WHEN included THEN coalesce(gross / nullif(priced, 0), 1) ELSE 1 END"
    bare = "CASE WHEN included THEN coalesce(discounts / nullif(off, 0), 1) ELSE 1 END"
    known = "coalesce(line_discounts, 0) <= off"  # more than the order has would not be those of its goods
    unlisted = f"list_bool_or(list_transform({_COUNTED}, lambda r: NOT r.itemized AND coalesce(r.money, 0) > 0))"
    listed = f"flatten(list_transform({_COUNTED}, lambda r: list_transform(r.returned, lambda x: x.id)))"
    orders = (
        f"SELECT key, segment, gross, discounts, {untaxed} AS untaxed, {known} AS known, {bare} AS bare, "
        "included AND line_discounts = off AS whole, "
        f"list_filter(items, lambda l: {_SOLD}) AS sold, "
        f"coalesce({unlisted}, coalesce(len(refs), 0) = 0 AND read_refunded <> 0 AND cancelled IS NULL, false) "
        f"AS unlisted, CASE WHEN len(refs) > 0 THEN {listed} END AS listed FROM ({parts})"
    )
    valued = (
        f"SELECT *, list_transform(sold, lambda l: (l.quantity * l.price * untaxed)::{AMOUNT}) AS amounts, "
        f"list_transform(sold, lambda l: CASE WHEN known THEN (l.discount * bare)::{AMOUNT} ELSE 0 END) AS offs "
        f"FROM ({orders}) WHERE len(sold) > 0"
    )
    each = (
        "SELECT key, segment, unnest(sold) AS l, unnest(amounts) AS value, unnest(offs) AS off, "
        "generate_subscripts(sold, 1) AS place, gross - list_sum(amounts) AS left_over, "
        "CASE WHEN whole THEN discounts - list_sum(offs) ELSE 0 END AS left_off, unlisted, listed "
        f"FROM ({valued})"
    )
    told = ", ".join(f"l.{name} AS {name}" for name in _TOLD)
    return (
        f"SELECT key, segment, {told}, l.quantity AS quantity, l.price AS price, "
        f"(coalesce(value, 0) + CASE WHEN place = 1 THEN coalesce(left_over, 0) ELSE 0 END)::{AMOUNT} AS amount, "
        f"(off + CASE WHEN place = 1 THEN coalesce(left_off, 0) ELSE 0 END)::{AMOUNT} AS discount, "
        f"unlisted OR coalesce(list_contains(listed, l.id), false) AS returned FROM ({each})"
    )


def line_reversals(parts: str, sold: str) -> str:
    """SQL of the events that reverse sales of line items: what was returned, and what a cancellation takes back.

    Args:
        parts: SQL as of `MoneySql.parts`, without rows that are no orders.
        sold: SQL name of a table with their lines, as of `sold_lines`.

    Returns:
        A SELECT of `key`, `segment`, `kind` (`return` or `cancellation`), `moment`, `local`, `sku`, `title`, `variant`,
        `vendor`, `returns` and `cancellations`.
    """
    refunds = (
        "SELECT key, segment, created_at, local AS placed, included, cancelled, cancelled_local, "
        f"list_filter(items, lambda l: {_SOLD}) AS sold, unnest({_COUNTED}) AS r FROM ({parts}) WHERE len(refs) > 0"
    )
    listed = (
        "SELECT key, segment, cancelled, cancelled_local, coalesce(r.moment, created_at) AS moment, "
        f"coalesce(r.local, placed) AS local, sold, included, unnest(r.returned) AS x FROM ({refunds}) "
        "WHERE len(r.returned) > 0"
    )
    value = f"(x.subtotal - CASE WHEN included THEN x.tax ELSE 0 END)::{AMOUNT}"
    matched = (
        f"SELECT * EXCLUDE (sold, included, x), {value} AS value, "
        f"list_filter(sold, lambda l: l.id = x.id)[1] AS l FROM ({listed})"
    )
    told = ", ".join(f"l.{name} AS {name}" for name in _TOLD)
    zero = f"0::{AMOUNT}"
    returned = (
        f"SELECT key, segment, 'return' AS kind, moment, local, {told}, value AS returns, {zero} AS cancellations "
        f"FROM ({matched}) WHERE l IS NOT NULL"
    )
    again = (  # a cancellation takes back what earlier returns have left
        f"SELECT key, segment, 'cancellation' AS kind, cancelled AS moment, cancelled_local AS local, {told}, "
        f"{zero} AS returns, -value AS cancellations FROM ({matched}) WHERE l IS NOT NULL AND cancelled IS NOT NULL"
    )
    own = ", ".join(f"s.{name} AS {name}" for name in _TOLD)
    cancelled = (
        f"SELECT s.key, s.segment, 'cancellation' AS kind, p.cancelled AS moment, p.cancelled_local AS local, {own}, "
        f"{zero} AS returns, (s.amount - s.discount)::{AMOUNT} AS cancellations FROM {sold} AS s "
        f"JOIN (SELECT key, cancelled, cancelled_local FROM ({parts}) WHERE cancelled IS NOT NULL) AS p USING (key)"
    )
    return " UNION ALL ".join((returned, again, cancelled))
