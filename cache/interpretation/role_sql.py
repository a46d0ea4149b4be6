"""The SQL that reads each role out of a table, by a reading.

Where a table has no column for a role, the SQL is NULL or an empty text (cache/interpretation/requirements.py).

REST: https://shopify.dev/docs/api/admin-rest/latest/resources/order
Export: https://help.shopify.com/en/manual/fulfillment/managing-orders/exporting-orders
"""

from __future__ import annotations

from collections.abc import Sequence

from cache.currencies import UNUSUAL_DECIMALS, USUAL_DECIMALS
from cache.interpretation.source_rows import SourceColumns, json_value, unwrapped
from cache.interpretation.text_values import AMOUNT, WHOLE_DIGITS, amount_sql, instant_sql
from cache.reading import Reading
from cache.schema import Column
from cache.settings import CancelledOrders
from cache.sql import literal
from cache.table_setup import NoOrder

AT_ONCE_SECONDS = 60  # an order that is fulfilled within that time was handed over at once


class RoleSql:
    """SQL of the roles of one table, over rows with the names of SourceColumns.

    Attributes:
        reading: What the columns mean.
        source: The columns.
        roles: Role -> the column that plays it.
        timezone: IANA zone of the shop's clock.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        reading: Reading,
        timezone: str,
        source_timezone: str,
        synced_timezone: str,
        cancelled_orders: CancelledOrders = "reversed",
    ) -> None:
        """Compiles nothing yet.

        Args:
            columns: The columns.
            reading: What they mean.
            timezone: IANA zone of the shop's clock.
            source_timezone: IANA zone of times that name none.
            synced_timezone: IANA zone by which the sync read DATETIME columns.
            cancelled_orders: The setting CANCELLED_ORDERS.
        """
        by_name = {column.name: column for column in columns}
        self.reading = reading
        self.source = SourceColumns(columns)
        self.roles = {role: by_name[name] for role, name in reading.roles.items()}
        self._fallbacks = {role: by_name[name] for role, name in reading.fallbacks.items()}
        self.timezone = timezone
        self._source_timezone = source_timezone
        self._synced_timezone = synced_timezone
        self._cancelled_orders = cancelled_orders

    def dimensions(self) -> dict[str, str]:
        """SQL of what orders are grouped and filtered by, by name; NULL, or an empty text, where the table has none."""
        return {
            "created_at": self.instant("created_at"),
            "local": self._local("created_at"),
            "status": self.text("financial_status"),
            "fulfilment": self.text("fulfillment_status"),
            "channel": self.text("channel"),
            "country": self._country(),
            "region": self._region(),
            "city": self._place("city"),
            "currency": self._currency(),
            "discount": self.text("discount_code"),
            "tags": self._tags(),
            "customer": self._customer(),
            **self._fulfilment(),
        }

    def _fulfilment(self) -> dict[str, str]:
        """SQL of when an order was `handed_over`: `at once`, `later`, `not yet`; and its seconds `fulfilling`.

        What was handed over at once, as at a point of sale, took no time that a shop could shorten. An order that was
        cancelled or given back unfulfilled will not be fulfilled any more.
        """
        seconds = f"epoch({self.instant('fulfilled_at')} - {self.instant('created_at')})::BIGINT"
        at_counter = f"lower({self.text('channel')}) = 'pos'"
        at_once = f"({at_counter} OR {seconds} <= {AT_ONCE_SECONDS})"
        ended = f"lower({self.text('financial_status')}) IN ('refunded', 'voided', 'expired')"
        never = f"({at_counter} OR {ended} OR {self.instant('cancelled_at')} IS NOT NULL)"
        return {
            "fulfilling": f"CASE WHEN NOT {at_once} THEN {seconds} END",
            "handed_over": f"CASE WHEN {seconds} IS NULL THEN CASE WHEN NOT {never} THEN 'not yet' END "
            f"WHEN {at_once} THEN 'at once' ELSE 'later' END",
        }

    def left_out(self) -> str:
        """SQL of why a row is no order: a `NoOrder`, or `cancelled`; NULL for an order."""
        conditions: dict[NoOrder, str] = {
            "deleted": self.flag("deleted"),
            "test": self.flag("test"),
            "draft": f"lower({self.text('order_status')}) IN ({_DRAFTS}) "
            f"OR lower({self.text('draft_status')}) IN ('open', 'invoice_sent')",
        }
        cases = [f"WHEN {sql} THEN '{why}'" for why, sql in conditions.items() if why not in self.reading.counted]
        if self._cancelled_orders == "excluded":
            cases.append(f"WHEN {self.instant('cancelled_at')} IS NOT NULL THEN 'cancelled'")
        return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"

    def number(self) -> str:
        """SQL of a hash of the order's number, with its shop; NULL where orders are not told apart by it."""
        if "name" not in self.roles or self.reading.grain != "order" or self.reading.numbers_repeat:
            return "NULL::UBIGINT"
        parts = [f"{self.column(role)}::VARCHAR" for role in ("shop", "name") if role in self.roles]
        return f"CASE WHEN coalesce({parts[-1]}, '') <> '' THEN hash(concat_ws('/', {', '.join(parts)})) END"

    @property
    def backdated(self) -> bool:
        """Whether the date of the order is the one of its processing, which imports may set to an earlier day."""
        return "created_at" in self.roles and self.roles["created_at"].name.casefold().startswith("processed")

    @property
    def numbered(self) -> bool:
        """Whether orders follow each other by the digits of their numbers."""
        return "name" in self.roles and not self.reading.numbers_repeat and "dates" not in self.reading.questions

    def sequence(self) -> str:
        """SQL of the digits at the end of the order's number, apart for each shop; NULL without any."""
        if not self.numbered:
            return "NULL::BIGINT"
        digits = f"try_cast(regexp_extract({self.column('name')}::VARCHAR, '(\\d{{1,12}})\\D*$', 1) AS BIGINT)"
        if "shop" not in self.roles:
            return digits
        return f"{digits} + (hash({self.column('shop')}) % 1000000)::BIGINT * {10**12}"

    def deleted(self) -> str:
        """SQL: a row is deleted, and deleted rows do not count."""
        return "false" if "deleted" in self.reading.counted else self.flag("deleted")

    @property
    def country_name(self) -> str:
        """SQL of the country's name; its code where there is no name."""
        return self._in_address("country") if "address" in self.roles else self._country()

    def _local(self, role: str) -> str:
        """SQL of an instant on the shop's clock; NULL where a time zone could move it out of the years 1 to 9999."""
        instant = self.instant(role)
        known = f"{instant} BETWEEN TIMESTAMPTZ '0001-01-02 00:00:00+00' AND TIMESTAMPTZ '9999-12-30 00:00:00+00'"
        return f"CASE WHEN {known} THEN timezone('{self.timezone}', {instant}) END"

    def typed(self, role: str) -> bool:
        """Whether every value of the column of a role can be read, by its type."""
        return _typed(self.roles[role])

    def own_instant(self, role: str) -> str:
        """SQL of the column of a role as an instant, without the one that stands in for it."""
        return self._instant(self.roles[role])

    def instant(self, role: str) -> str:
        """SQL of a role as an instant."""
        columns = [self.roles[role]] if role in self.roles else []
        columns += [self._fallbacks[role]] if role in self._fallbacks else []
        instants = [self._instant(column) for column in columns]
        return f"coalesce({', '.join(instants)})" if len(instants) > 1 else (instants or ["NULL::TIMESTAMPTZ"])[0]

    def _instant(self, column: Column) -> str:
        name = self.source.sql(column.name)
        style = self.reading.instants.get(column.name)
        if style:
            return instant_sql(name, style, self._source_timezone, days_timezone=self.timezone)
        if column.kind == "date":
            return f"timezone('{self.timezone}', {name}::TIMESTAMP)"
        return self.corrected(column) if column.kind in ("datetime", "timestamp") else "NULL::TIMESTAMPTZ"

    def corrected(self, column: Column) -> str:
        """SQL of a column; DATETIME values are read in the time zone of the settings."""
        name = self.source.sql(column.name)
        if column.kind == "datetime" and self._source_timezone != self._synced_timezone:
            return f"timezone('{self._source_timezone}', timezone('{self._synced_timezone}', {name}))"
        return name

    def column(self, role: str) -> str:
        """SQL of the column that plays a role."""
        return self.source.sql(self.roles[role].name)

    def text(self, role: str) -> str:
        """SQL of a role as text; '' where there is none."""
        return f"coalesce({self.column(role)}, '')" if role in self.roles else "''"

    def flag(self, role: str) -> str:
        """SQL of a role as true or false. An instant means true."""
        if role not in self.roles:
            return "false"
        kind = self.roles[role].kind
        if kind in ("datetime", "timestamp", "date"):
            return f"{self.column(role)} IS NOT NULL"
        if kind in ("boolean", "integer", "unsigned"):
            return f"coalesce({self.column(role)} <> 0, false)"
        return f"coalesce(lower(trim({self.column(role)}::VARCHAR)), '') NOT IN ({_FALSE})"

    def amount(self, role: str) -> str:
        """SQL of a role as an exact amount."""
        return self.amount_of(self.roles[role]) if role in self.roles else _NO_AMOUNT

    def amount_of(self, column: Column) -> str:
        """SQL of a column as an exact amount."""
        name = self.source.sql(column.name)
        match column.kind:
            case "decimal":
                return name if _typed(column) else f"try_cast({name} AS {AMOUNT})"
            case "float" | "double":  # the shortest number that reads the same: 12345.67, where FLOAT holds 12345.6699
                return self._rounded(f"try_cast({name}::VARCHAR AS {AMOUNT})")
            case "text":
                return amount_sql(name, self.reading.amounts.get(column.name, "point"))
            case "json":
                return f"try_cast({_in_money_set(name)} AS {AMOUNT})"
        return f"try_cast({name} AS {AMOUNT})"

    # -- values

    def _currency(self) -> str:
        """SQL of the ISO 4217 code of a row's currency; '' where it has none."""
        return f"upper(trim({self.text('currency')}))"

    def _rounded(self, amount: str) -> str:
        """SQL of an amount with the decimals of its currency.

        Follow-up rows of line items may leave the currency to the first row of their order: they are not rounded.
        """
        usual = f"round({amount}, {USUAL_DECIMALS})"
        if "currency" not in self.roles:
            return usual
        cases = " ".join(
            f"WHEN {self._currency()} IN ({', '.join(map(literal, codes))}) THEN round({amount}, {decimals})"
            for decimals, codes in UNUSUAL_DECIMALS.items()
        )
        return f"CASE {cases} WHEN {self._currency()} = '' THEN {amount} ELSE {usual} END::{AMOUNT}"

    def _customer(self) -> str:
        """SQL of a number for the customer: a hash of customer number, else of e-mail; NULL without both.

        0 is no number: shops that write the customers of guests so, such as WooCommerce, have no customer 0.
        """
        texts = []
        if "customer_id" in self.roles:
            texts.append(f"nullif(nullif({self.column('customer_id')}::VARCHAR, ''), '0')")
        if "email" in self.roles:
            texts.append(f"nullif(lower({self.column('email')}), '')")
        if not texts:
            return "NULL::UBIGINT"
        text = f"coalesce({', '.join(texts)})"
        return f"CASE WHEN {text} IS NOT NULL THEN hash({text}) END"

    def _country(self) -> str:
        """The country's code, or its name without one."""
        if "address" in self.roles:
            return f"coalesce(nullif({self._in_address('country_code')}, ''), {self._in_address('country')}, '')"
        return self.text("country")

    def _region(self) -> str:
        """The name of the state or province; its code without one."""
        names = ("province", "state", "region", "province_code", "provinceCode")
        return self._place("region", *names)

    def _place(self, role: str, *fields: str) -> str:
        """A part of the address: out of the column of its role, else out of the address; '' where there is none."""
        if role in self.roles or "address" not in self.roles:
            return self.text(role)
        found = (f"nullif({self._in_address(field)}, '')" for field in fields or (role,))
        return f"coalesce({', '.join(found)}, '')"

    def _tags(self) -> str:
        """The tags, with commas between them."""
        if "tags" not in self.roles or self.roles["tags"].kind != "json":
            return self.text("tags")
        return f"coalesce(array_to_string(try(from_json({self.column('tags')}, '[\"VARCHAR\"]')), ','), '')"

    def _in_address(self, field: str) -> str:
        """A field of the address; NULL where it is no JSON."""
        return json_value(self.column("address"), (field,))

    def may_be_list(self, role: str) -> str:
        """SQL: the JSON of a role may be a list with elements. Most orders have no refunds: `[]`."""
        return f"length({self.column(role)}) > 2"

    def json_list(self, role: str, element: str) -> str | None:
        """SQL of a JSON list as a list of structs, NULL where it is anything else; None where no column plays the role.

        Args:
            role: The role of its column.
            element: The structure of an element, as from_json takes it.
        """
        if role not in self.roles:
            return None
        column = self.column(role)
        text = f"CASE WHEN {self.may_be_list(role)} THEN {unwrapped(column)} END"
        if self.roles[role].name not in self.reading.connections:
            return f"try(from_json({text}, '[{element}]'))"
        connection = f'try(from_json({text}, \'{{"edges":[{{"node":{element}}}],"nodes":[{element}]}}\'))'
        return f"coalesce(list_transform({connection}.edges, lambda edge: edge.node), {connection}.nodes)"


def _typed(column: Column) -> bool:
    """Whether every value of a column can be read, by its type."""
    whole = column.digits - column.decimals
    return column.kind in ("datetime", "timestamp", "date") or (column.kind == "decimal" and whole <= WHOLE_DIGITS)


def _in_money_set(column: str) -> str:
    """SQL of the amount in the shop's currency out of a price set in JSON."""
    json = unwrapped(column)
    return (
        f"coalesce(try({json}->>'$.shop_money.amount'), try({json}->>'$.shopMoney.amount'), try({json}->>'$.amount'))"
    )


_NO_AMOUNT = f"NULL::{AMOUNT}"
_FALSE = "'', '0', 'false', 'f', 'no', 'n', 'null'"
_DRAFTS = "'draft', 'auto-draft', 'checkout-draft'"
