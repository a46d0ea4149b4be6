"""The lists of an order as SQL: line items, shipping, taxes and refunds, in the REST and in the GraphQL shape.

https://shopify.dev/docs/api/admin-rest/latest/resources/order
https://shopify.dev/docs/api/admin-rest/latest/resources/refund
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cache.interpretation.role_sql import RoleSql
from cache.interpretation.text_values import AMOUNT
from cache.interpretation.unread_values import says_something

LINE_TYPE = (
    "STRUCT(id VARCHAR, sku VARCHAR, title VARCHAR, variant VARCHAR, vendor VARCHAR, "
    f"quantity BIGINT, price {AMOUNT}, "
    f"discount {AMOUNT}, tax {AMOUNT}, gift BOOLEAN, has_quantity BOOLEAN, has_price BOOLEAN)"
)
NO_LINES = f"NULL::{LINE_TYPE}[]"
_RATE = "DECIMAL(9, 6)"  # 0.19 is 19 %
_NO_TAXES = f"NULL::STRUCT(rate {_RATE}, title VARCHAR, price {AMOUNT})[]"

_REST_SET = '{"shop_money":{"amount":"VARCHAR"}}'
_SET = '{"shopMoney":{"amount":"VARCHAR"}}'  # of GraphQL
_TAXES = f'[{{"price":"VARCHAR","priceSet":{_SET}}}]'
_ALLOCATIONS = f'[{{"amount":"VARCHAR","allocatedAmountSet":{_SET}}}]'
_LINE_TEXTS = (
    '"id":"VARCHAR","sku":"VARCHAR","title":"VARCHAR","name":"VARCHAR","variant_title":"VARCHAR",'
    '"variantTitle":"VARCHAR","vendor":"VARCHAR",'
)
_LINE = (
    '"quantity":"VARCHAR","price":"VARCHAR",'
    f'"price_set":{_REST_SET},"originalUnitPriceSet":{_SET},"gift_card":"BOOLEAN","isGiftCard":"BOOLEAN",'
    f'"discount_allocations":{_ALLOCATIONS},"discountAllocations":{_ALLOCATIONS},'
    f'"tax_lines":{_TAXES},"taxLines":{_TAXES}}}'
)
_SHIPPING = (
    f'{{"price":"VARCHAR","price_set":{_REST_SET},"originalPriceSet":{_SET},'
    f'"discounted_price":"VARCHAR","discounted_price_set":{_REST_SET},"discountedPriceSet":{_SET},'
    f'"tax_lines":{_TAXES},"taxLines":{_TAXES}}}'
)
_REFUND_LINE = (
    '{"line_item_id":"VARCHAR","line_item":{"id":"VARCHAR"},"lineItem":{"id":"VARCHAR"},"quantity":"VARCHAR",'
    f'"subtotal":"VARCHAR","total_tax":"VARCHAR","subtotalSet":{_SET},"totalTaxSet":{_SET}}}'
)
_REFUND_SHIPPING = (
    f'{{"subtotal_amount_set":{_REST_SET},"tax_amount_set":{_REST_SET},'
    f'"subtotalAmountSet":{_SET},"taxAmountSet":{_SET}}}'
)
_TRANSACTION = f'{{"kind":"VARCHAR","status":"VARCHAR","amount":"VARCHAR","currency":"VARCHAR","amountSet":{_SET}}}'
_NODES = '{{"nodes":[{0}],"edges":[{{"node":{0}}}]}}'
_REFUND = (
    '{"id":"VARCHAR","created_at":"VARCHAR","processed_at":"VARCHAR","createdAt":"VARCHAR","processedAt":"VARCHAR",'
    f'"amount":"VARCHAR","refund_line_items":[{_REFUND_LINE}],"refund_shipping_lines":[{_REFUND_SHIPPING}],'
    '"order_adjustments":[{"kind":"VARCHAR","amount":"VARCHAR","tax_amount":"VARCHAR"}],'
    f'"transactions":"JSON","refundLineItems":{_NODES.format(_REFUND_LINE)},'
    f'"refundShippingLines":{_NODES.format(_REFUND_SHIPPING)}}}'
)


class ListSql:
    """SQL of the lists of one table.

    Args:
        roles: SQL of its roles.
    """

    def __init__(self, roles: RoleSql) -> None:
        self._roles = roles

    def lines(self, texts: bool = True) -> str | None:
        """SQL of the line items of a row as a list of LINE_TYPE; None where the table has none.

        Args:
            texts: Whether to read SKU and title, which take time and memory; else they are empty.
        """
        roles = self._roles
        listed = roles.json_list("line_items", f"{{{_LINE_TEXTS if texts else ''}{_LINE}")
        if listed:
            price = f"coalesce(l.price, {_in_set('l.price_set')}, {_in_set('l.originalUnitPriceSet')})"
            allocated = _total(("l.discount_allocations", "l.discountAllocations"), "amount", "allocatedAmountSet")
            taxed = _total(("l.tax_lines", "l.taxLines"), "price", "priceSet")
            told = {
                "id": "l.id",
                "sku": "coalesce(l.sku, '')",
                "title": "coalesce(l.title, l.name, '')",
                "variant": "coalesce(l.variant_title, l.variantTitle, '')",
                "vendor": "coalesce(l.vendor, '')",
            }
            one = _line(
                **(told if texts else dict.fromkeys(told, "''")),
                quantity="try_cast(l.quantity AS BIGINT)",
                price=_amount(price),
                discount=f"coalesce({allocated}, 0)",
                tax=taxed,
                gift="coalesce(l.gift_card, l.isGiftCard, false)",
                has_quantity="l.quantity IS NOT NULL",
                has_price=f"{price} IS NOT NULL",
            )
            return f"list_transform({listed}, lambda l: {one})"
        if "line_quantity" not in roles.roles:
            return None
        quantity, price = f"try_cast({roles.amount('line_quantity')} AS BIGINT)", roles.amount("line_price")
        one = _line(
            id="NULL",
            sku=roles.text("line_sku"),
            title=roles.text("line_title"),
            variant="''",
            vendor=roles.text("line_vendor"),
            quantity=quantity,
            price=price,
            discount="0",
            tax="NULL",
            gift="false",
            has_quantity=self._written("line_quantity", quantity),
            has_price=self._written("line_price", price),
        )
        return f"[{one}]"

    def _written(self, role: str, value: str) -> str:
        """SQL: the column of a role holds something. `value` is SQL of what it is read as."""
        if role not in self._roles.roles:
            return "false"
        return f"CASE WHEN ({value}) IS NULL THEN {says_something(self._roles.column(role))} ELSE true END"

    def tax_lines(self, texts: bool = True) -> str:
        """SQL of the tax lines of a row as a list with the rate, the title and the price of each.

        Args:
            texts: Whether to read rate and title; else they are empty.
        """
        told = '"rate":"VARCHAR","title":"VARCHAR",' if texts else ""
        listed = self._roles.json_list("tax_lines", f'{{{told}"price":"VARCHAR","priceSet":{_SET}}}')
        if not listed:
            return _NO_TAXES
        one = {
            "rate": f"try_cast({'t.rate' if texts else 'NULL'} AS {_RATE})",
            "title": "coalesce(trim(t.title), '')" if texts else "''",
            "price": _first("t.price", _in_set("t.priceSet")),
        }
        return f"list_transform({listed}, lambda t: {_struct(one)})"

    def shipping_lines(self) -> str:
        """SQL of the shipping of a row as a list with the price, the discount and the tax of each."""
        listed = self._roles.json_list("shipping_lines", _SHIPPING)
        if not listed:
            return f"NULL::STRUCT(price {AMOUNT}, discount {AMOUNT}, tax {AMOUNT})[]"
        price = _first("s.price", _in_set("s.price_set"), _in_set("s.originalPriceSet"))
        paid = _first("s.discounted_price", _in_set("s.discounted_price_set"), _in_set("s.discountedPriceSet"))
        taxed = _total(("s.tax_lines", "s.taxLines"), "price", "priceSet")
        one = f"struct_pack(price := {price}, discount := coalesce({price} - {paid}, 0)::{AMOUNT}, tax := {taxed})"
        return f"list_transform({listed}, lambda s: {one})"

    def refunds(self, lines: bool = True) -> str:
        """SQL of the refunds of a row, each with its time and amounts; `itemized` where it lists goods or shipping.

        Args:
            lines: Whether to read which line items were returned; else `returned` is NULL.
        """
        listed = self._roles.json_list("refunds", _REFUND)
        if not listed:
            return _NO_REFUNDS
        # Two steps, so that each list of a refund is built once.
        found = {
            "id": "r.id",
            "written": "coalesce(r.processed_at, r.processedAt, r.created_at, r.createdAt)",
            "amount": "r.amount",
            "lines": f"coalesce(r.refund_line_items, {_nodes('r.refundLineItems')})",
            "sent": f"coalesce(r.refund_shipping_lines, {_nodes('r.refundShippingLines')})",
            "adjusted": _where_any(
                "r.order_adjustments", "list_filter(r.order_adjustments, lambda a: a.kind = 'shipping_refund')"
            ),
            "paid": self._refunded_money(),
        }
        moment = "try_cast(r.written AS TIMESTAMPTZ)"
        shipping_refunds, shipping_taxes = (
            f"-{_sum(('r.adjusted',), _amount(f'x.{name}'))}" for name in ("amount", "tax_amount")
        )
        sent = _total_set(("r.sent",), "subtotal_amount_set", "subtotalAmountSet")
        sent_tax = _total_set(("r.sent",), "tax_amount_set", "taxAmountSet")
        goods = (
            "struct_pack(id := coalesce(x.line_item_id, x.line_item.id, x.lineItem.id), "
            f"subtotal := coalesce({_first('x.subtotal', _in_set('x.subtotalSet'))}, 0)::{AMOUNT}, "
            f"tax := coalesce({_first('x.total_tax', _in_set('x.totalTaxSet'))}, 0)::{AMOUNT})"
        )
        sums = {
            "goods": f"coalesce({_total(('r.lines',), 'subtotal', 'subtotalSet')}, 0)",
            "goods_tax": f"coalesce({_total(('r.lines',), 'total_tax', 'totalTaxSet')}, 0)",
            "sent": f"coalesce({sent}, {shipping_refunds}, 0)",
            "sent_tax": f"coalesce({sent_tax}, {shipping_taxes}, 0)",
            "money": f"coalesce({_amount('r.amount')}, r.paid)",
        }
        values = {
            "id": "r.id",
            "moment": moment,
            "local": f"timezone('{self._roles.timezone}', {moment})",
            **{name: f"({sql})::{AMOUNT}" for name, sql in sums.items()},
            "returned": _where_any("r.lines", f"list_transform(r.lines, lambda x: {goods})")
            if lines
            else _NONE_RETURNED,
            "itemized": " OR ".join(f"coalesce(len(r.{name}), 0) > 0" for name in ("lines", "sent", "adjusted")),
            "unread": f"(r.written IS NOT NULL AND {moment} IS NULL) "
            f"OR (r.amount IS NOT NULL AND {_amount('r.amount')} IS NULL)",
        }
        first = f"list_transform({listed}, lambda r: {_struct(found)})"
        return f"list_transform({first}, lambda r: {_struct(values)})"

    def _refunded_money(self) -> str:
        """SQL of the money of a refund's successful transactions in the currency of the order; NULL without any."""
        rest = f"try(from_json(j, '[{_TRANSACTION}]'))"
        graphql = f"try(from_json(j, '{_NODES.format(_TRANSACTION)}'))"
        listed = f"coalesce({rest}, {_nodes(graphql)})"
        own = self._roles.text("currency")
        counted = (
            "lambda t: coalesce(lower(t.kind), 'refund') = 'refund' "
            "AND coalesce(lower(t.status), 'success') = 'success' "
            f"AND ({own} = '' OR coalesce(upper(t.currency), upper(trim({own}))) = upper(trim({own})))"
        )
        amount = _first("t.amount", _in_set("t.amountSet"))
        money = f"list_sum(list_transform(list_filter({listed}, {counted}), lambda t: {amount}))"
        # In a lambda: DuckDB prepares the vectors of an expression even where a CASE leaves it out, but not a lambda's.
        return f"CASE WHEN r.transactions IS NOT NULL THEN list_transform([r.transactions], lambda j: {money})[1] END"


_NONE_RETURNED = f"NULL::STRUCT(id VARCHAR, subtotal {AMOUNT}, tax {AMOUNT})[]"
_NO_REFUNDS = (
    f"NULL::STRUCT(id VARCHAR, moment TIMESTAMPTZ, local TIMESTAMP, goods {AMOUNT}, goods_tax {AMOUNT}, "
    f"sent {AMOUNT}, sent_tax {AMOUNT}, money {AMOUNT}, "
    f"returned STRUCT(id VARCHAR, subtotal {AMOUNT}, tax {AMOUNT})[], itemized BOOLEAN, unread BOOLEAN)[]"
)


def _line(**fields: str) -> str:
    """SQL of a line item as LINE_TYPE.

    Args:
        fields: Its values as SQL, in the order of LINE_TYPE.
    """
    return f"({_struct(fields)})::{LINE_TYPE}"


def _struct(fields: Mapping[str, str]) -> str:
    return f"struct_pack({', '.join(f'{name} := {sql}' for name, sql in fields.items())})"


def _amount(text: str) -> str:
    return f"try_cast({text} AS {AMOUNT})"


def _in_set(price_set: str) -> str:
    """SQL of the amount in the shop's currency out of a price set of REST (`price_set`) or GraphQL, as text."""
    return f"{price_set}.{'shop_money' if price_set.endswith('_set') else 'shopMoney'}.amount"


def _first(*texts: str) -> str:
    """SQL of the first of some texts as an amount."""
    return _amount(f"coalesce({', '.join(texts)})")


def _nodes(connection: str) -> str:
    edges = f"{connection}.edges"
    unwrapped = f"CASE WHEN {edges} IS NOT NULL THEN list_transform({edges}, lambda e: e.node) END"
    return f"coalesce({connection}.nodes, {unwrapped})"


def _total(lists: Iterable[str], amount: str, price_set: str) -> str:
    """SQL of the sum over the first list with elements; NULL without any."""
    return _sum(lists, _first(f"x.{amount}", _in_set(f"x.{price_set}")))


def _total_set(lists: Iterable[str], rest: str, graphql: str) -> str:
    return _sum(lists, _first(_in_set(f"x.{rest}"), _in_set(f"x.{graphql}")))


def _sum(lists: Iterable[str], amount: str) -> str:
    """SQL of the sum of an amount over the elements `x` of the first list that has any; NULL without any.

    The lists stay apart: DuckDB would copy the elements of a list that is one of two columns.
    """
    cases = (f"WHEN len({each}) > 0 THEN list_sum(list_transform({each}, lambda x: {amount}))" for each in lists)
    return f"CASE {' '.join(cases)} END"


def _where_any(listed: str, sql: str) -> str:
    """SQL that is NULL where a list has no elements. DuckDB then starts no lambda, which costs more than its work."""
    return f"CASE WHEN len({listed}) > 0 THEN {sql} END"
