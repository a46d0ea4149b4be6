"""The money of an order as SQL: what was sold, and the events that reverse it, each on its day.

Sales and reversals are dated apart, as in Shopify's sales reports: an order counts on its own date, a refund on the day
of the refund, a cancellation on the day of the cancellation. All amounts of goods and shipping are without tax, also
where prices include it.

https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.interpretation.list_sql import NO_LINES, ListSql
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.text_values import AMOUNT
from cache.interpretation.unread_values import raw_values, unread_flags

REVERSED_AMOUNTS = (
    "returns",
    "cancellations",
    "adjustments",
    "shipping",
    "tax",
    "duties",
    "fees",
    "tips",
    "gift_cards",
    "given_back",
)
"""The amounts of a reversal: what it changes of each figure."""


class MoneySql:
    """SQL of the money of one table.

    Args:
        roles: SQL of its roles.
    """

    def __init__(self, roles: RoleSql) -> None:
        self._roles = roles
        self._lists = ListSql(roles)

    def parts(
        self, source: str, key: str, more: Mapping[str, str] = {}, texts: bool = True, refunds: str | None = None
    ) -> str:
        """SQL of one row an order with all that its facts are made of.

        Args:
            source: SQL of one row an order, with `segment` and, for tables of line rows, `lines`.
            key: The name of the column with the key of an order.
            more: Further values, by name.
            texts: Whether `items` has SKU, title and the like, `refs` the lines that were returned, `tax_list` rates.
            refunds: SQL of the refunds where the source has read them, as of `ListSql.refunds`.

        Returns:
            A SELECT of `key`, `segment`, `why` (it is no order), `number` and `sequence`, the dimensions, `updated`,
            `fulfilled`, `cancelled` and `cancelled_local`, `items`, their `pieces`, `tax_list`, the amounts as placed
            (`gross`, `discounts`, `shipping`, `tax`, `duties`, `fees`, `tips`, `gift_cards`, `charged`), `refs`: a list
            of the local time, the instant and the amounts of each refund, and `unread` (unread_values.unread_flags).
        """
        roles, lists = self._roles, self._lists
        dimensions = ", ".join(f"{sql} AS {name}" for name, sql in roles.dimensions().items())
        lines = "lines" if roles.reading.grain == "line" else lists.lines(texts)
        values = "".join(f", {sql} AS {name}" for name, sql in more.items())
        read = (
            f"SELECT {key} AS key, segment, {roles.left_out()} AS why, {roles.number()} AS number, "
            f"{roles.sequence()} AS sequence, {dimensions}, "
            f"{roles.instant('updated_at')} AS updated, {roles.instant('fulfilled_at')} AS fulfilled, "
            f"{roles.instant('cancelled_at')} AS cancelled, "
            f"timezone('{roles.timezone}', {roles.instant('cancelled_at')}) AS cancelled_local, "
            f"{lines or NO_LINES} AS items, {lists.shipping_lines()} AS freight, {lists.tax_lines(texts)} AS tax_list, "
            f"{refunds or lists.refunds(texts)} AS refs, "
            f"{self._included()} AS included, {self._amounts()}, {raw_values(roles)}{values} FROM ({source})"
        )
        sold = (
            f"SELECT * EXCLUDE (raw, known), {unread_flags(roles, _UNREAD)} AS unread, "
            f"{_sum_of('items', 'l.quantity * l.price', 'NOT l.gift')} AS priced, "
            f"coalesce({_sum_of('items', 'l.quantity * l.price', 'l.gift')}, 0) AS gift_cards, "
            f"{_sum_of('items', 'l.tax', 'NOT l.gift')} AS line_tax, "
            f"try_cast({_sum_of('items', 'l.quantity', 'NOT l.gift')} AS BIGINT) AS pieces, "
            f"{_sum_of('items', 'l.discount', 'NOT l.gift')} AS line_discounts, "
            f"{_LISTED_TAX} AS listed_tax, {_sum_of('freight', 'l.price')} AS freight_price, "
            f"coalesce({_sum_of('freight', 'l.discount')}, 0) AS freight_discount, "
            f"{_sum_of('freight', 'l.tax')} AS freight_tax FROM ({read})"
        )
        charged = (
            # Some tables leave the discounts on shipping out of the column of discounts.
            "SELECT *, coalesce(read_discounts - CASE WHEN freight_discount <= read_discounts THEN freight_discount "
            "ELSE 0 END, line_discounts, 0) AS off, "
            "coalesce(freight_price, read_shipping) - freight_discount AS sent, "
            "coalesce(column_tax, listed_tax, line_tax + coalesce(freight_tax, 0)) AS taxed, "
            f"coalesce(read_duties, 0) + coalesce(read_fees, 0) + coalesce(read_tips, 0) AS extras FROM ({sold})"
        )
        goods = (
            "SELECT *, coalesce(CASE WHEN len(items) > 0 THEN priced END, line_total - gift_cards, "
            f"read_subtotal + {'0' if roles.reading.subtotal_before_discounts else 'off'} - gift_cards, "
            "read_total - coalesce(sent, 0) - CASE WHEN included THEN 0 ELSE coalesce(taxed, 0) END - extras + off) "
            f"AS gross_read FROM ({charged})"
        )
        # Where prices include tax and no column has the shipping, it is what the total has beside the goods.
        rest = (
            "SELECT *, coalesce(sent, greatest(read_total - gift_cards - (gross_read - off) - extras, 0)) AS carried "
            f"FROM ({goods})"
        )
        # Tax on shipping where no line says it: its share of the whole, since one rate applies to most orders.
        split = (
            "SELECT *, CASE WHEN NOT included THEN 0 ELSE coalesce(freight_tax, "
            f"{share('taxed', 'carried', 'gross_read - off + carried')}, 0) END AS sent_tax FROM ({rest})"
        )
        net = (
            "SELECT *, gross_read - off - CASE WHEN included THEN coalesce(taxed, 0) - sent_tax ELSE 0 END AS net "
            f"FROM ({split})"
        )
        bare = (
            f"SELECT *, CASE WHEN included THEN coalesce({share('off', 'net', 'gross_read - off')}, off) "
            f"ELSE off END AS discounts FROM ({net})"
        )
        return (
            f"SELECT * EXCLUDE (discounts), (net + discounts)::{AMOUNT} AS gross, discounts::{AMOUNT} AS discounts, "
            f"(sent - sent_tax)::{AMOUNT} AS shipping, taxed::{AMOUNT} AS tax, read_duties AS duties, "
            f"read_fees AS fees, read_tips AS tips, (read_total - gift_cards)::{AMOUNT} AS charged FROM ({bare})"
        )

    def _amounts(self) -> str:
        roles = self._roles
        named = {
            "read_subtotal": roles.amount("subtotal"),
            "read_discounts": f"abs({roles.amount('discounts')})",  # some tables write them with a minus
            "read_shipping": roles.amount("shipping"),
            "column_tax": roles.amount("tax"),
            "read_total": roles.amount("total"),
            "line_total": roles.amount("line_total"),
            "read_duties": roles.amount("duties"),
            "read_fees": roles.amount("fees"),
            "read_tips": roles.amount("tips"),
            "read_refunded": f"abs({roles.amount('refunded')})",
        }
        return ", ".join(f"({sql})::{AMOUNT} AS {name}" for name, sql in named.items())

    def _included(self) -> str:
        roles = self._roles
        return roles.flag("taxes_included") if "taxes_included" in roles.roles else str(roles.reading.taxes_included)


def reversals(parts: str) -> str:
    """SQL of the events that reverse sales: one row for each refund, and one for a cancellation.

    A refund with lines returns their value; the difference to the money that was paid back is an adjustment. A refund
    without lines returns its money. A cancellation takes back what is left of the order, so that the order is zero
    overall; refunds from then on are part of it.

    Args:
        parts: SQL as of `MoneySql.parts`, without rows that are no orders.

    Returns:
        A SELECT of `key`, `segment`, `kind` (`return` or `cancellation`), `moment`, `local` (the same on the shop's
        clock), and the amounts by which the event changes each figure: `returns` and `cancellations` are positive,
        reversed `shipping`, `tax` and so on negative. `given_back` is what it takes off the total of the order.
    """
    counted = "list_filter(refs, lambda r: cancelled IS NULL OR (r.moment IS NOT NULL AND r.moment < cancelled))"
    each = (
        f"SELECT key, segment, created_at, local, included, unnest({counted}) AS r FROM ({parts}) WHERE len(refs) > 0"
    )
    # Where prices include tax, so does the value of refunded lines.
    listed = "r.goods - CASE WHEN included THEN r.goods_tax ELSE 0 END"
    goods = f"CASE WHEN r.itemized THEN {listed} ELSE coalesce(r.money, 0) END"
    paid = "r.goods + CASE WHEN included THEN 0 ELSE r.goods_tax END + r.sent + r.sent_tax - r.money"
    refunds = (
        "SELECT key, segment, 'return' AS kind, coalesce(r.moment, created_at) AS moment, "
        f"coalesce(r.local, local) AS local, {goods} AS returns, 0 AS cancellations, "
        f"CASE WHEN r.itemized THEN coalesce({paid}, 0) ELSE 0 END AS adjustments, "
        "-r.sent AS shipping, -(r.goods_tax + r.sent_tax) AS tax, 0 AS duties, 0 AS fees, 0 AS tips, 0 AS gift_cards "
        f"FROM ({each})"
    )
    refunds = f"SELECT *, returns - adjustments - shipping - tax AS given_back FROM ({refunds})"
    total = (
        "SELECT key, segment, 'return' AS kind, created_at AS moment, local, read_refunded AS returns, "
        "0 AS cancellations, 0 AS adjustments, 0 AS shipping, 0 AS tax, 0 AS duties, 0 AS fees, 0 AS tips, "
        f"0 AS gift_cards, read_refunded AS given_back FROM ({parts}) "
        "WHERE coalesce(len(refs), 0) = 0 AND read_refunded <> 0 AND cancelled IS NULL"
    )
    earlier = ", ".join(f"sum({name}) AS {name}" for name in _GIVEN_BACK)
    before = f"SELECT key, {earlier} FROM ({refunds}) GROUP BY key"
    cancelled = (
        "SELECT key, segment, 'cancellation' AS kind, cancelled AS moment, cancelled_local AS local, 0 AS returns, "
        "p.gross - p.discounts - coalesce(b.returns, 0) AS cancellations, -coalesce(b.adjustments, 0) AS adjustments, "
        "-(coalesce(p.shipping, 0) + coalesce(b.shipping, 0)) AS shipping, "
        "-(coalesce(p.tax, 0) + coalesce(b.tax, 0)) AS tax, "
        "-coalesce(p.duties, 0) AS duties, -coalesce(p.fees, 0) AS fees, -coalesce(p.tips, 0) AS tips, "
        "-p.gift_cards AS gift_cards, coalesce(p.charged, 0) - coalesce(b.given_back, 0) AS given_back "
        f"FROM ({parts}) AS p LEFT JOIN ({before}) AS b USING (key) "
        "WHERE p.cancelled IS NOT NULL"
    )
    cast = ", ".join(f"{name}::{AMOUNT} AS {name}" for name in REVERSED_AMOUNTS)
    changed = " OR ".join(f"{name} <> 0" for name in REVERSED_AMOUNTS)
    union = " UNION ALL ".join((refunds, total, cancelled))
    return f"SELECT key, segment, kind, moment, local, {cast} FROM ({union}) WHERE {changed}"


_GIVEN_BACK = ("returns", "adjustments", "shipping", "tax", "given_back")  # by refunds


def returned(parts: str) -> str:
    """SQL of the keys of the orders of which goods came back, at any time. `parts` is as of `reversals`."""
    return f"SELECT key FROM ({reversals(parts)}) WHERE returns > 0"


def refunded(keys: str) -> str:
    """SQL of whether the order `key` is among the `keys`, as of `returned`: `yes` or `no`."""
    return f"CASE WHEN key IN ({keys}) THEN 'yes' ELSE 'no' END"


def taxes_by_rate(parts: str) -> str:
    """SQL of the taxes of orders by rate: a row for each rate of an order whose tax lines add up to its tax.

    Of any amount of tax of the order, also of a refund, the rate has what lies between `below` and `until` of `whole`
    (`grouped_figures`). So the parts of an order add up, to the last decimal.

    Args:
        parts: SQL as of `MoneySql.parts`, without rows that are no orders.

    Returns:
        A SELECT of `key`, `segment`, `rate` (such as `19% VAT`), `below`, `until` and `whole`.
    """
    charged = "list_filter(tax_list, lambda t: t.price <> 0)"
    orders = f"SELECT key, segment, tax AS whole, {charged} AS charged FROM ({parts}) WHERE tax <> 0"
    total = "list_sum(list_transform(charged, lambda t: t.price))"
    told = "list_bool_and(list_transform(charged, lambda t: t.rate IS NOT NULL))"
    each = f"SELECT key, segment, whole, unnest(charged) AS t FROM ({orders}) WHERE {total} = whole AND {told}"
    percent = "regexp_replace((t.rate * 100)::DECIMAL(9, 4)::VARCHAR, '\\.?0+$', '')"
    merged = (
        f"SELECT key, segment, whole, concat_ws(' ', {percent} || '%', nullif(t.title, '')) AS rate, "
        f"sum(t.price) AS price FROM ({each}) GROUP BY ALL"
    )
    until = f"SELECT *, sum(price) OVER (PARTITION BY key ORDER BY rate) AS until FROM ({merged})"
    bounds = f"(until - price)::{AMOUNT} AS below, until::{AMOUNT} AS until"
    return f"SELECT key, segment, rate, {bounds}, whole::{AMOUNT} AS whole FROM ({until})"


def share(amount: str, part: str, whole: str) -> str:
    """SQL of amount × part / whole, rounded to cents, halves away from zero; NULL where the whole is 0.

    DuckDB divides in DOUBLE, which rounds some halves down, so this divides whole numbers.
    """
    product, divisor = (f"({sql}).abs()" for sql in (f"{_units(amount)} * {_units(part)}", _units(whole)))
    cents = f"((2 * {product} + 100 * {divisor}) // nullif(200 * {divisor}, 0))"
    sign = f"sign({amount}) * sign({part}) * sign({whole})"
    return f"({sign} * {cents}::{AMOUNT} * 0.01)::{AMOUNT}"


def _units(amount: str) -> str:
    """SQL of an amount in ten thousandths, as a whole number."""
    return f"(({amount})::{AMOUNT} * 10000)::HUGEINT"


def _sum_of(listed: str, value: str, condition: str = "true") -> str:
    """SQL of the sum of a value over those elements `l` of a list that meet a condition; NULL without any."""
    # No list_filter, which copies the elements.
    return f"list_sum(list_transform({listed}, lambda l: CASE WHEN {condition} THEN {value} END))"


def _any(listed: str, condition: str) -> str:
    """SQL: a condition holds for an element `l` of a list."""
    return f"list_bool_or(list_transform({listed}, lambda l: {condition}))"


_LISTED_TAX = _sum_of("tax_list", "l.price")
_QUANTITY_UNREAD, _PRICE_UNREAD = "l.has_quantity AND l.quantity IS NULL", "l.has_price AND l.price IS NULL"
# Role -> SQL over the rows of `MoneySql.parts` that is true where a list, or an element of it, cannot be read.
_UNREAD = {
    "line_items": f"items IS NULL OR {_any('items', f'({_QUANTITY_UNREAD}) OR ({_PRICE_UNREAD})')}",
    "line_quantity": _any("items", _QUANTITY_UNREAD),
    "line_price": _any("items", _PRICE_UNREAD),
    "refunds": f"refs IS NULL OR {_any('refs', 'l.unread')}",
    "shipping_lines": f"freight IS NULL OR {_any('freight', 'l.price IS NULL')}",
    "tax_lines": f"coalesce(column_tax, {_LISTED_TAX}) IS NULL",
}
