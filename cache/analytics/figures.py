"""Figures of a group of orders: the sums that are read from the tables of facts, and what follows from them.

Shopify's definitions, where nothing else is said:
https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

from cache.analytics.values import Absent, Amount, Count, Value, or_zero, ratio
from cache.interpretation.requirements import Requirement

Returns = Literal["returned", "ordered"]
RETURNS: Mapping[Returns, str] = {"returned": "By date of refund", "ordered": "By date of order"}

Source = Literal["orders", "customers", "reversals", "units"]
"""What a sum is read from: `orders` and `customers` are sums over orders, `reversals` over refunds and cancellations by
their own date (or that of the order), and `units` over line items. A figure that several sources have is the sum of
them."""
Kind = Literal["sale", "return", "cancellation", "order", "customer"]
"""What an event is: a sale, what reverses one, or the order or customer that is counted."""
Line = Literal[
    "product",
    "discount",
    "shipping",
    "tax",
    "duty",
    "fee",
    "tip",
    "gift_card",
    "adjustment",
    "total",
    "fulfilment",
    "order",
    "customer",
]
"""What an event is about. The last two are counted.

https://shopify.dev/docs/api/admin-graphql/latest/enums/salelinetype, and what figures need beside it.
"""

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Term:
    """What each row of a source adds to a sum, in SQL.

    Attributes:
        amount: What it adds; NULL adds nothing.
        condition: Which rows add it; "" for all.
        distinct: Rows of which this is equal add it once; "" for each row.
    """

    amount: str = "1"
    condition: str = ""
    distinct: str = ""

    @property
    def aggregate(self) -> str:
        """The sum over all rows."""
        which = f" FILTER ({self.condition})" if self.condition else ""
        if self.distinct:
            return f"count(DISTINCT {self.distinct}){which}"
        return f"count(*){which}" if self.amount == "1" else f"sum({self.amount}){which}"

    @property
    def is_event(self) -> str:
        """Whether a row changes the sum."""
        changes = [f"{self.distinct} IS NOT NULL"] if self.distinct else []
        changes += [] if self.amount == "1" else [f"{self.amount} <> 0"]
        return " AND ".join(f"({each})" for each in (*changes, self.condition) if each) or "true"


@dataclass(frozen=True)
class Sum:
    """How a field of `Figures` is read.

    Attributes:
        line: What its events are about.
        terms: What it adds up, by source.
        needs: What it needs of the table.
    """

    line: Line
    terms: Mapping[Source, Term]
    needs: Requirement | None = None


@dataclass(frozen=True)
class Composition:
    """How a figure follows from the fields of `Figures`: a signed sum of some, which may be divided by another.

    Attributes:
        parts: Name of a field -> its sign. Without the first the figure is not known; the others count as 0 then.
        divisor: Name of the field that the sum is divided by; "" for none.
    """

    parts: Mapping[str, int]
    divisor: str = ""


_NET_SALES = {"gross_sales": 1, "discounts": -1, "returns": -1, "cancellations": -1}
_TOTAL_SALES = {**_NET_SALES, **dict.fromkeys(("adjustments", "shipping", "taxes", "duties", "fees", "tips"), 1)}
_UNTAXED_SALES = {name: sign for name, sign in _TOTAL_SALES.items() if name != "taxes"}
_TOTALS = {"charged": 1, "given_back": -1}  # with shipping and taxes
_COMPOSITIONS: Mapping[str, Composition] = {
    "net_sales": Composition(_NET_SALES),
    "total_sales": Composition(_TOTAL_SALES),
    "untaxed_sales": Composition(_UNTAXED_SALES),
    "average_order_value": Composition({"gross_sales": 1, "discounts": -1}, "orders"),
    "refund_rate": Composition({"returned_orders": 1}, "orders"),
    "returning_customer_rate": Composition({"returning_customers": 1}, "customers"),
    "time_to_fulfil": Composition({"fulfilment_seconds": 1}, "fulfilled"),
}


def _sum(line: Line, needs: Requirement | None, **terms: Term) -> Mapping[str, Any]:
    """Metadata of a field; `terms` are by source."""
    return {"sum": Sum(line, cast(Mapping[Source, Term], terms), needs)}


def _handed_over(when: str) -> Mapping[str, Any]:
    """How orders are counted by when they were handed over (RoleSql.dimensions)."""
    return _sum("order", "fulfilment time", orders=Term(condition=f"handed_over = '{when}'"))


def _charge(line: Line, name: str, needs: Requirement) -> Mapping[str, Any]:
    """How a charge of orders is read, of which refunds and cancellations give back a part."""
    return _sum(line, needs, orders=Term(name), reversals=Term(name))


@dataclass(frozen=True)
class Figures:
    """Figures of orders in one currency. Each field is one sum with its SQL; the properties are computed from them.

    Attributes:
        orders: Orders placed.
        gross_sales: Price × quantity of the goods sold, without tax.
        discounts: Discounts on goods, without tax. Discounts on shipping reduce shipping.
        returns: Value of the goods returned, without tax. A refund that lists no goods returns its money.
        cancellations: Goods of cancelled orders, less their discounts and earlier returns, on the day cancelled.
        adjustments: Value of what was returned - money refunded: a restocking fee that was kept is positive.
        shipping: Shipping charged - discounts on it - refunded shipping.
        taxes: Taxes charged - refunded, also those that prices include.
        taxes_charged: Taxes of the orders placed.
        taxes_refunded: Taxes that refunds and cancellations gave back; positive.
        duties: Duties charged - reversed.
        fees: Additional fees charged - reversed.
        tips: Tips - reversed ones.
        gift_cards_sold: Gift cards sold: a liability, in none of gross, net and total sales.
        charged: Totals of the orders, without gift cards, before refunds.
        given_back: What refunds and cancellations take off these totals.
        returned_orders: Orders of which goods came back, at any time.
        customers: Customers with an order in the period, identified by customer number, else by e-mail.
        new_customers: Customers whose first order of all is in the period.
        returning_customers: Customers with an order in the period that is not their first of all. A customer whose
            first and second order are in one period is both new and returning.
        settled_orders: Orders that are so old that their returns are known.
        fulfilled: Orders that were fulfilled later than at once.
        fulfilled_at_once: Orders that were handed over when they were placed, as at a point of sale.
        unfulfilled: Orders that wait to be fulfilled.
        fulfilment_seconds: Seconds from order to fulfilment, added up over `fulfilled`.
        units: Pieces of all line items, gift cards excluded.
    """

    orders: int = field(default=0, metadata=_sum("order", None, orders=Term()))
    gross_sales: Amount = field(default=_ZERO, metadata=_sum("product", "gross sales", orders=Term("gross")))
    discounts: Amount = field(default=_ZERO, metadata=_sum("discount", "discounts", orders=Term("discounts")))
    returns: Amount = field(default=_ZERO, metadata=_sum("product", "returns", reversals=Term("returns")))
    cancellations: Amount = field(
        default=_ZERO, metadata=_sum("product", "cancellations", reversals=Term("cancellations"))
    )
    adjustments: Amount = field(
        default=_ZERO, metadata=_sum("adjustment", "adjustments", reversals=Term("adjustments"))
    )
    shipping: Amount = field(default=_ZERO, metadata=_charge("shipping", "shipping", "shipping"))
    taxes: Amount = field(default=_ZERO, metadata=_charge("tax", "tax", "taxes"))
    taxes_charged: Amount = field(default=_ZERO, metadata=_sum("tax", "taxes", orders=Term("tax")))
    taxes_refunded: Amount = field(default=_ZERO, metadata=_sum("tax", "taxes", reversals=Term("-tax")))
    duties: Amount = field(default=_ZERO, metadata=_charge("duty", "duties", "duties"))
    fees: Amount = field(default=_ZERO, metadata=_charge("fee", "fees", "fees"))
    tips: Amount = field(default=_ZERO, metadata=_charge("tip", "tips", "tips"))
    gift_cards_sold: Amount = field(default=_ZERO, metadata=_charge("gift_card", "gift_cards", "gift cards"))
    charged: Amount = field(default=_ZERO, metadata=_sum("total", "total sales", orders=Term("charged")))
    given_back: Amount = field(default=_ZERO, metadata=_sum("total", "total sales", reversals=Term("given_back")))
    returned_orders: Count = field(
        default=0, metadata=_sum("order", "returns", orders=Term(condition="refunded = 'yes'"))
    )
    settled_orders: Count = field(default=0, metadata=_sum("order", "returns", orders=Term(condition="settled")))
    customers: Count = field(default=0, metadata=_sum("customer", "customers", customers=Term(distinct="customer")))
    new_customers: Count = field(
        default=0,
        metadata=_sum("customer", "customers", customers=Term(condition="NOT again", distinct="customer")),
    )
    returning_customers: Count = field(
        default=0, metadata=_sum("customer", "customers", customers=Term(condition="again", distinct="customer"))
    )
    fulfilled: Count = field(default=0, metadata=_handed_over("later"))
    fulfilled_at_once: Count = field(default=0, metadata=_handed_over("at once"))
    unfulfilled: Count = field(default=0, metadata=_handed_over("not yet"))
    fulfilment_seconds: Count = field(
        default=0, metadata=_sum("fulfilment", "fulfilment time", orders=Term("fulfilling"))
    )
    units: Count = field(default=0, metadata=_sum("product", "products", units=Term("quantity")))

    @property
    def found(self) -> bool:
        """Whether anything counts: an order, a return or a cancellation."""
        reversed_sales = (self.returns, self.cancellations, self.adjustments)
        return any(map(or_zero, (self.orders, *reversed_sales, self.taxes, self.shipping, self.units)))

    def composition(self, name: str) -> Composition:
        """How a figure follows from those fields that are known, and from the first in any case.

        A field follows from itself. A table that lacks shipping or taxes has them in the totals of its orders.
        """
        composition = _COMPOSITIONS.get(name, Composition({name: 1}))
        if name == "total_sales" and any(self._lacks(part) for part in ("gross_sales", "shipping", "taxes")):
            composition = Composition(_TOTALS)
        first, *others = composition.parts
        parts = {part: composition.parts[part] for part in (first, *others) if part == first or not self._lacks(part)}
        return replace(composition, parts=parts)

    def value(self, name: str) -> Value:
        """A figure by its name: a field, or what `composition` makes of some."""
        composition = self.composition(name)
        first = getattr(self, next(iter(composition.parts)))
        if isinstance(first, Absent):
            return first
        added = sum(sign * getattr(self, part) for part, sign in composition.parts.items())
        return ratio(added, getattr(self, composition.divisor)) if composition.divisor else added

    def plus(self, others: Iterable[Figures], sign: Literal[1, -1] = 1) -> Figures:
        """Amounts and units with those of other figures added to them, or taken off.

        Orders and customers are not known: one may count in several of the others.
        """
        values: dict[str, Any] = {name: Absent.UNDEFINED for name in SUMS if name not in _ADDED}
        listed = list(others)
        for name in _ADDED:
            own = getattr(self, name)
            if not isinstance(own, Absent):
                own += sign * sum((or_zero(getattr(each, name)) for each in listed), _ZERO)
                own = int(own) if name == "units" else own
            values[name] = own
        return Figures(**values)

    def _lacks(self, part: str) -> bool:
        return isinstance(getattr(self, part), Absent)

    @property
    def net_sales(self) -> Amount:
        """Gross sales - discounts - returns - cancellations."""
        return cast(Amount, self.value("net_sales"))

    @property
    def total_sales(self) -> Amount:
        """Net sales + adjustments + shipping + taxes + duties + fees + tips."""
        return cast(Amount, self.value("total_sales"))

    @property
    def average_order_value(self) -> Amount:
        """(Gross sales - discounts) / orders."""
        return cast(Amount, self.value("average_order_value"))

    @property
    def refund_rate(self) -> Amount:
        """Orders of the period of which goods came back, at any time / orders of the period."""
        return cast(Amount, self.value("refund_rate"))

    @property
    def returning_customer_rate(self) -> Amount:
        """Customers in the period with an earlier order / customers in the period.

        https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/customers-reports
        """
        return cast(Amount, self.value("returning_customer_rate"))

    @property
    def time_to_fulfil(self) -> Amount:
        """Seconds from order to fulfilment, on average over the fulfilled orders."""
        return cast(Amount, self.value("time_to_fulfil"))

    def known_share(self, name: str) -> Amount:
        """The share of the orders that a figure is about whose values are known, from 0 to 1.

        Returns:
            `Absent.UNDEFINED` where there are no such orders, and for a figure that is always known.
        """
        match name:
            case "refund_rate":
                return ratio(self.settled_orders, self.orders)
            case "time_to_fulfil":
                return ratio(self.fulfilled, or_zero(self.fulfilled) + or_zero(self.unfulfilled))
        return Absent.UNDEFINED


@dataclass(frozen=True)
class Group:
    """Figures of the orders that share the values of some dimensions, in one bucket of time.

    Attributes:
        values: One value for each dimension of the query, "" for orders without one.
        at: Start of the bucket on the shop's clock; None where the query has no buckets.
        figures: The figures.
    """

    values: tuple[str, ...]
    at: datetime | None
    figures: Figures


SUMS: Mapping[str, Sum] = {each.name: each.metadata["sum"] for each in fields(Figures)}
"""Field of `Figures` -> how it is read."""


# Sums to which each event belongs once.
_ADDED = frozenset(name for name, each in SUMS.items() if each.line not in ("order", "customer", "fulfilment"))


def terms_of(sources: Collection[Source], names: Collection[str] | None = None) -> dict[str, Term]:
    """The terms of some sources, by the names of their sums in `Figures`.

    Args:
        sources: The sources.
        names: The sums; None for all.
    """
    return {
        name: term
        for name, each in SUMS.items()
        for source, term in each.terms.items()
        if source in sources and (names is None or name in names)
    }


def add_sums(sums: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds the sums of another source to those of a group. NULL adds nothing."""
    for name, value in more.items():
        if value is not None:
            sums[name] = sums[name] + value if name in sums else value


def from_sums(
    sums: Mapping[str, Any],
    sources: Collection[Source],
    missing: Collection[Requirement],
    names: Collection[str] | None = None,
) -> Figures:
    """Figures of one group.

    Args:
        sums: Results by name, by the names of `terms_of`. NULL, and what a query has no row for, counts as 0.
        sources: The sources that were queried.
        missing: What the table does not have.
        names: The sums that were read; None for all of these sources.
    """
    values: dict[str, Any] = {}
    for name, each in SUMS.items():
        if each.needs in missing:
            values[name] = Absent.NO_COLUMN
        elif each.terms.keys().isdisjoint(sources) or (names is not None and name not in names):
            values[name] = Absent.NOT_REQUESTED
        elif sums.get(name) is not None:
            values[name] = sums[name]
    return Figures(**values)
