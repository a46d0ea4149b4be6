"""The orders of one generation: their figures, by Shopify's definitions, and the orders themselves.

Amounts are exact decimals, days are the shop's. Test orders are excluded. Pending and unpaid ones count, as Shopify
counts them, and cancelled ones unless CANCELLED_ORDERS excludes them. Amounts in different currencies are never added:
callers filter by one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.analytics.dimensions.catalogue import (
    DIMENSIONS,
    PRODUCT_SQL,
    Dimension,
    DimensionId,
    find_dimension,
    find_filter,
)
from cache.analytics.dimensions.order_filter import order_filter
from cache.analytics.dimensions.row_dimensions import row_dimensions
from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.fact_tables import FactTables
from cache.analytics.figures import Composition, Figures, Group, Returns, Source, from_sums
from cache.analytics.grouped_figures import Grouping, Summed, count_groups, grouped_sums, ranked_values, source_tables
from cache.analytics.marks import Mark, failing_filter, marks
from cache.analytics.order_list.sorting import NEWEST, OrderSorts
from cache.analytics.order_lookup import OrderLookup, Page, Row
from cache.calendar.daily_volume import UnusualDay, unusual_days
from cache.calendar.periods import Span, Unit
from cache.check_report import CheckId, FailedCheck
from cache.errors import BadFilter, ColumnMasked
from cache.interpretation.evidence import choose_reading
from cache.interpretation.requirements import Requirement, missing
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.unread_values import EXAMPLES, Unread
from cache.query.filters import Condition, Sort
from cache.reading import Reading
from cache.settings import CancelledOrders, WeekStart
from cache.storage.snapshot import Snapshot
from cache.table_setup import NO_SETUP, Setup


class Orders:
    """The orders of one generation. Every method may be called from any thread.

    Attributes:
        rows: How many rows of the source there are.
        missing: What the table does not have -> a sentence that names the missing column.
        reading: What the columns mean.
        roles: Role -> the column that plays it.
        left_out: How many rows are no orders, by reason: `test`, `deleted`, `draft`, `cancelled`.
        unread: Role -> its values that cannot be read; without the roles whose values all can.
        countries: Names of countries by their values of the dimension `country`.
        sorts: What orders can be sorted by.
        mask: What is hidden (`masked`). No order is grouped or filtered by it.
        rates: What amounts were converted by; None: each amount is in the currency of its order.
        unusual_days: Days with an unusual number of orders.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        timezone: str,
        setup: Setup = NO_SETUP,
        before: Orders | None = None,
        week_start: WeekStart = "monday",
        reading: Reading | None = None,
        cancelled_orders: CancelledOrders = "reversed",
    ) -> None:
        """Reads the tables of facts.

        Args:
            snapshot: The generation.
            timezone: IANA zone of the shop's clock, where `setup` names none.
            setup: What people decided about the table.
            before: The orders of another generation. Rows of segments that both have are not read again, if clock and
                set-up are the same.
            week_start: The first day of a week.
            reading: What the columns mean; None: the data of this generation decides.
            cancelled_orders: The setting CANCELLED_ORDERS.
        """
        self.generation = snapshot.generation
        self.columns = snapshot.columns
        self.mask: Mask = NOTHING_HIDDEN
        self.rates: ExchangeRates | None = None
        self._whole: Orders | None = None
        self._own_currencies: Orders | None = None
        self.rows = snapshot.rows
        self.timezone = setup.timezone or timezone
        self.week_start: WeekStart = week_start
        self.setup = setup
        self.cancelled_orders: CancelledOrders = cancelled_orders
        synced_timezone = snapshot.manifest.source.timezone
        source_timezone = setup.source_timezone or synced_timezone
        self.reading = reading or choose_reading(snapshot, setup, source_timezone)
        sql = RoleSql(snapshot.columns, self.reading, self.timezone, source_timezone, synced_timezone, cancelled_orders)
        self.roles = sql.roles
        self.missing = missing(self.roles, self.reading.gift_cards)
        used = self.reading.decisions()
        self._read_by = (snapshot.columns, self.timezone, synced_timezone, setup, used, cancelled_orders)
        reusable = before.facts if before and before._read_by == self._read_by else None
        self.facts: FactTables = FactTables(snapshot, sql, reusable)
        self.missing |= self._unfilled()
        self.left_out = self._left_out()
        self.unread = self._unread()
        self.lookup = OrderLookup(self.facts, sql)
        self.countries = self.lookup.countries()
        self.sorts = OrderSorts(sql, self.facts.rows, self.countries, self.facts.key_columns)
        self.unusual_days = self._unusual_days(snapshot.manifest.as_of)

    def close(self) -> None:
        """Frees the memory at once. Otherwise it is freed when no reference to the orders is left."""
        self.facts.close()

    def converted(self, rates: ExchangeRates) -> Orders:
        """The same orders with amounts in one currency, each event at the rate of its own day.

        Orders without a rate are in none of the figures (`facts.without_rate`). Rows of orders stay as they are.
        """
        orders = copy.copy(self)
        orders.facts = self.facts.converted(rates)
        orders.rates = rates
        orders._own_currencies = self  # its end would free the tables
        return orders

    def masked(self, mask: Mask) -> Orders:
        """The same orders, which can be neither grouped nor filtered by what comes from a hidden column.

        Args:
            mask: What is hidden.
        """
        orders = copy.copy(self)
        orders.mask = mask
        orders._whole = self  # its end would free the tables
        return orders

    @property
    def hidden(self) -> frozenset[DimensionId]:
        """The dimensions of the table that the mask hides, beside the columns of the source."""
        return frozenset(
            name
            for name, each in DIMENSIONS.items()
            if each.available(self.missing) and each.is_hidden(self.reading, self.mask)
        )

    def dimension(self, name: DimensionId) -> Dimension:
        """A dimension by its name.

        Raises:
            BadFilter: There is no such dimension.
        """
        dimension = find_dimension(name)
        if dimension is None:
            raise BadFilter(f"There is no dimension {name!r}.", f"Dimensions: {', '.join(DIMENSIONS)}.")
        if dimension.level == "row":
            self.facts.filtered.row_value(dimension)
        return dimension

    def row_dimensions(self) -> list[Dimension]:
        """The columns of the table, and the values inside its JSON, that orders can be grouped by."""
        found = row_dimensions(self.facts.filtered.source, self.facts.sample, self.roles)
        return [dimension for dimension in found if not dimension.is_hidden(self.reading, self.mask)]

    def offers(self, name: DimensionId) -> bool:
        """Whether the table has a dimension, and no mask hides it."""
        try:
            return self.has(self.dimension(name))
        except BadFilter:
            return False

    def has(self, dimension: Dimension) -> bool:
        """Whether the table has what a dimension needs, and no mask hides it."""
        return dimension.available(self.missing) and not dimension.is_hidden(self.reading, self.mask)

    def check_shown(self, names: Iterable[DimensionId]) -> None:
        """Checks what orders are grouped or filtered by.

        Raises:
            ColumnMasked: A mask hides one of the dimensions.
        """
        for name in names:
            dimension = find_filter(name)
            if dimension is not None and dimension.is_hidden(self.reading, self.mask):
                raise ColumnMasked(f"'{name}' comes from a column that is hidden from this key.")

    @property
    def in_own_currencies(self) -> Orders:
        """The orders before amounts were converted."""
        return self._own_currencies or self

    def _unfilled(self) -> dict[Requirement, str]:
        """What the table has a place for, and no order fills."""
        filled: dict[Requirement, str] = {
            "region": f"SELECT bool_or(region <> '') FROM {self.facts.orders}",
            "city": f"SELECT bool_or(city <> '') FROM {self.facts.orders}",
            "tags": f"SELECT bool_or(tags <> '') FROM {self.facts.orders}",
            "variants": f"SELECT bool_or(variant <> '') FROM {self.facts.lines}",
            "vendors": f"SELECT bool_or(vendor <> '') FROM {self.facts.lines}",
            "tax rates": f"SELECT count(*) > 0 FROM {self.facts.taxes}",
        }
        return {
            need: f"No {need}: no order has {'any' if need.endswith('s') else 'one'}."
            for need, sql in filled.items()
            if need not in self.missing and not self.facts.query(sql)[0][0]
        }

    def _left_out(self) -> dict[str, int]:
        sql = f"SELECT why, count(*) FROM {self.facts.left_out} GROUP BY 1 ORDER BY 1"
        return dict(self.facts.query(sql))

    def _unread(self) -> dict[str, Unread]:
        examples = f"list_sort(flatten(list(keys)))[:{EXAMPLES}]"
        sums = f"SELECT role, sum(unread)::BIGINT, sum(filled)::BIGINT, {examples} FROM {self.facts.unread} GROUP BY 1"
        counted = {
            role: Unread(count, values, tuple(map(str, keys)))
            for role, count, values, keys in self.facts.query(f"{sums} HAVING sum(unread) > 0")
        }
        return {role: counted[role] for role in self.roles if role in counted}

    def _unusual_days(self, as_of: datetime) -> list[UnusualDay]:
        sql = f"SELECT local::DATE, count(*) FROM {self.facts.orders} WHERE local IS NOT NULL GROUP BY 1"
        return unusual_days(dict(self.facts.query(sql)), as_of.astimezone(ZoneInfo(self.timezone)).date())

    # -- what can be chosen

    def currencies(self, span: Span | None = None, conditions: Sequence[Condition] = ()) -> list[tuple[str, int]]:
        """Each currency with its number of orders, the most frequent first."""
        clause, parameters = self.order_filter(span, conditions)
        counted = f"SELECT currency, count(*) FROM {self.facts.orders} AS o WHERE {clause}"
        return [
            (code, count) for code, count in self.facts.query(f"{counted} GROUP BY 1 ORDER BY 2 DESC, 1", parameters)
        ]

    def values(
        self,
        name: DimensionId,
        limit: int | None = None,
        span: Span | None = None,
        conditions: Sequence[Condition] = (),
    ) -> list[str]:
        """The values of a dimension among some orders, the most frequent first; "" for orders without one.

        Args:
            name: The dimension.
            limit: How many values; None for all.
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
        """
        self.check_shown([name])
        selected = self.order_filter(span, conditions)
        summed = Summed(["orders"], "returned", selected)
        grouping, counted = Grouping((self.dimension(name),)), Composition({"orders": 1})
        return ranked_values(self.facts, grouping, summed, counted, True, limit)[0]

    def products(self, limit: int, span: Span | None = None, conditions: Sequence[Condition] = ()) -> dict[str, str]:
        """The products with the most line items among some orders: product -> title in the order with the greatest key.

        Args:
            limit: How many products.
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
        """
        clause, parameters = self.order_filter(span, conditions)
        among = "" if clause == "true" else f"WHERE key IN (SELECT key FROM {self.facts.orders} AS o WHERE {clause}) "
        sql = (
            f"SELECT {PRODUCT_SQL} AS product, arg_max(nullif(title, ''), key) FROM {self.facts.lines} AS l {among}"
            "GROUP BY 1 HAVING product <> '' ORDER BY count(*) DESC, 1 LIMIT ?"
        )
        return {product: title or product for product, title in self.facts.query(sql, [*parameters, limit])}

    def count(self, span: Span | None, conditions: Sequence[Condition] = (), failing: FailedCheck | None = None) -> int:
        """How many orders there are. For the arguments see `page`."""
        clause, parameters = self._selected(span, conditions, failing)
        count: int = self.facts.query(f"SELECT count(*) FROM {self.facts.orders} AS o WHERE {clause}", parameters)[0][0]
        return count

    @property
    def are_checked(self) -> bool:
        """Whether the table says anything of an order in two ways, so that checks can compare them."""
        return bool(self.facts.query(f"SELECT bool_or(checked <> 0) FROM {self.facts.orders}")[0][0])

    def product_title(self, product: str) -> str:
        """The title of a product in the order with the greatest key; the product itself where it has none."""
        sql = f"SELECT arg_max(title, key) FROM {self.facts.lines} WHERE sku = ? AND title <> ''"
        return self.facts.query(sql, [product])[0][0] or product

    def customer_names(self, customers: Sequence[str]) -> dict[str, str]:
        """The names of customers in their newest orders, else the e-mails.

        Args:
            customers: Values of the dimension `customer`.

        Returns:
            A text for each of them; the value itself where there is no order with one.
        """
        self.check_shown(["customer"])
        sql = (
            f"SELECT customer::VARCHAR, arg_max(key, created_at) FROM {self.facts.orders} "
            "WHERE customer IN (SELECT TRY_CAST(unnest(?::VARCHAR[]) AS UBIGINT)) GROUP BY 1"
        )
        newest = [(customer, key) for customer, key in self.facts.query(sql, [list(customers)]) if key is not None]
        roles = ("customer_name", "email", "customer_id")
        rows = self.lookup.by_keys([key for _, key in newest], self.mask, roles)
        texts = (next(filter(None, (self.lookup.text(row, role) for role in roles)), "") for row in rows)
        named = {customer: text for (customer, _), text in zip(newest, texts, strict=True) if text}
        return {customer: named.get(customer, customer) for customer in customers}

    def extent(self) -> Span | None:
        """The first and the last order; None where no order has a date."""
        first, last = self.facts.query(f"SELECT min(local), max(local) FROM {self.facts.orders}")[0]
        return Span(first, last) if first else None

    # -- figures

    def figures(
        self,
        span: Span | None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
        units: bool = False,
    ) -> Figures:
        """Figures of a period, with customers.

        Args:
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
            returns: The date that refunds count on.
            units: Whether to count units too, which is slower.

        Raises:
            BadFilter: A condition does not fit.
        """
        sources = self.sources(customers=True, units=units)
        groups = self._groups((), None, span, conditions, sources, returns)
        return groups[0].figures if groups else from_sums({}, sources, self.missing)

    def groups(
        self,
        by: Sequence[DimensionId] = (),
        step: Unit | None = None,
        span: Span | None = None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
        customers: bool = False,
        units: bool = False,
    ) -> list[Group]:
        """Figures for each combination of values of some dimensions, in order of time; empty groups are left out.

        Args:
            by: The dimensions.
            step: The step of time, by the calendar; None for the period as a whole.
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
            returns: The date that refunds count on. A table without a list of refunds has only the order's.
            customers: Whether to count customers.
            units: Whether to count units.

        Raises:
            BadFilter: A condition does not fit.
        """
        groups = self._groups(by, step, span, conditions, self.sources(customers, units), returns)
        return [group for group in groups if not (by or step) or group.figures.found]

    @property
    def no_figures(self) -> Figures:
        """Figures of no orders. They say what the table cannot tell."""
        return from_sums({}, get_args(Source), self.missing)

    def sources(self, customers: bool, units: bool) -> tuple[Source, ...]:
        """What the sums are read from, with customers and units or without."""
        sources: list[Source] = ["orders", "reversals"]
        if customers:
            sources.append("customers")
        if units:
            sources.append("units")
        return tuple(sources)

    def _groups(
        self,
        by: Sequence[DimensionId],
        step: Unit | None,
        span: Span | None,
        conditions: Sequence[Condition],
        sources: Sequence[Source],
        returns: Returns,
    ) -> list[Group]:
        self.check_shown(by)
        dimensions = tuple(self.dimension(name) for name in by)
        grouping = Grouping(dimensions, self.bucket_sql(step) if step else "")
        sums = grouped_sums(self.facts, grouping, Summed(sources, returns, self.order_filter(span, conditions))) or {}
        ordered = sorted(sums.items(), key=lambda item: (item[0][-1] or datetime.min, item[0][:-1]))
        return [Group(key[:-1], key[-1], self.figures_of(values, sources)) for key, values in ordered]

    def count_groups(
        self,
        by: Sequence[DimensionId],
        step: Unit | None,
        span: Span | None,
        conditions: Sequence[Condition],
        limit: int,
    ) -> int:
        """How many groups have orders; `limit` where there are more. For the arguments see `groups`."""
        self.check_shown(by)
        grouping = Grouping(tuple(map(self.dimension, by)), self.bucket_sql(step) if step else "")
        return count_groups(self.facts, grouping, self.order_filter(span, conditions), limit)

    def figures_of(
        self, sums: Mapping[str, Any], sources: Sequence[Source], names: frozenset[str] | None = None
    ) -> Figures:
        """The figures of a group out of its sums. `names` are those that were read; None for all of the sources."""
        return from_sums(sums, sources, self.missing, names)

    def bucket_sql(self, step: Unit) -> str:
        """SQL of the start of an order's bucket."""
        if step == "week" and self.week_start == "sunday":
            return "(date_trunc('week', o.local + INTERVAL 1 DAY) - INTERVAL 1 DAY)::TIMESTAMP"
        return f"date_trunc('{step}', o.local)::TIMESTAMP"

    def tables(self, source: Source, returns: Returns) -> str:
        """SQL of the tables of a source (`grouped_figures.source_tables`)."""
        return source_tables(self.facts, source, returns)

    def marks(self, span: Span | None, conditions: Sequence[Condition] = ()) -> dict[CheckId, Mark]:
        """The checks that orders of a selection fail (`marks.marks`).

        Raises:
            BadFilter: A condition does not fit.
        """
        self.check_shown(condition.column for condition in conditions)
        return marks(self.facts, span, conditions, self.unusual_days, self.unread)

    # -- orders

    def page(
        self,
        span: Span | None,
        conditions: Sequence[Condition] = (),
        search: str = "",
        limit: int = 50,
        offset: int = 0,
        mask: Mask = NOTHING_HIDDEN,
        failing: FailedCheck | None = None,
        sort: Sort = NEWEST,
        roles: tuple[str, ...] | None = None,
    ) -> Page:
        """A page of orders.

        Args:
            span: The period; None for all time.
            conditions: Conditions on dimensions and products.
            search: Text to find in number, e-mail, customer, key and line items, in any case.
            limit: How many orders.
            offset: How many orders to skip.
            mask: What is hidden; it is not searched.
            failing: Only orders that fail this check, as many as its mark of this selection says.
            sort: What comes first: one of `sorts` that the mask allows.
            roles: The roles whose columns the rows have; None for all columns, which takes longer.

        Raises:
            BadFilter: A condition does not fit.
        """
        selected = self._selected(span, conditions, failing)
        return self.lookup.page(*selected, search, limit, offset, mask, self.sorts.compile(sort), roles)

    def _selected(
        self, span: Span | None, conditions: Sequence[Condition], failing: FailedCheck | None
    ) -> tuple[str, list[object]]:
        """SQL over the facts `o` that selects the orders of a list, and its parameters."""
        if failing is None:
            return self.order_filter(span, conditions)
        self.check_shown(condition.column for condition in conditions)
        return failing_filter(span, conditions, self.facts.filtered, failing)

    def order(self, key: str, mask: Mask = NOTHING_HIDDEN) -> Row | None:
        """One row of the source by the text of its key; None where there is no such order."""
        return self.lookup.order(key, mask)

    def order_filter(self, span: Span | None, conditions: Sequence[Condition]) -> tuple[str, list[object]]:
        """SQL over the facts `o` that selects orders, and its parameters."""
        self.check_shown(condition.column for condition in conditions)
        return order_filter(span, conditions, self.facts.filtered)
