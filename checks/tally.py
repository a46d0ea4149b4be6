"""Counts over orders that can be added and taken off, so that a refresh looks at the changed orders alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Self

import duckdb

from cache.check_report import MAX_EXAMPLES, ORDER_CHECKS, CheckId, CheckReport, CheckResult
from cache.interpretation.check_sql import bit, difference_sql

_EXAMPLES = MAX_EXAMPLES


class Tally:
    """What the checks found of some orders.

    Attributes:
        orders: How many there are.
        agree: How many agree with every check.
        checked: Check -> orders that could be checked.
        failed: Check -> orders that do not agree.
        differences: Check and currency -> the sum of the differences.
        examples: Check -> keys of some that do not agree.
        days: Day -> orders.
        currencies: Currency -> orders.
    """

    def __init__(self) -> None:
        self.orders = self.agree = 0
        self.checked: Counter[CheckId] = Counter()
        self.failed: Counter[CheckId] = Counter()
        self.differences: Counter[tuple[CheckId, str]] = Counter()
        self.examples: dict[CheckId, list[str]] = {name: [] for name in ORDER_CHECKS}
        self.days: Counter[date] = Counter()
        self.currencies: Counter[str] = Counter()

    @classmethod
    def of_report(cls, report: CheckReport) -> Self:
        """The counts of a stored report."""
        tally = cls()
        tally.orders, tally.agree = report.orders, report.agree
        for name in ORDER_CHECKS:
            result = report.checks.get(name, CheckResult())
            tally.checked[name], tally.failed[name] = result.checked, result.failed
            tally.examples[name] = list(result.examples)
            for currency, difference in result.differences.items():
                tally.differences[name, currency] = difference  # type: ignore[assignment]
        tally.days, tally.currencies = Counter(report.days), Counter(report.currencies)
        return tally

    @classmethod
    def of_table(cls, database: duckdb.DuckDBPyConnection, table: str) -> Self:
        """Counts orders.

        Args:
            database: Holds the table.
            table: SQL of orders with `key`, `currency`, `day`, `checked`, `failed`, the differences of the checks, and
                `charged`, `gross` and `discounts`.
        """
        tally = cls()
        terms = ["currency", "count(*)", "count(*) FILTER (failed = 0)"]
        for name in ORDER_CHECKS:
            failing = f"failed & {bit(name)} <> 0"
            terms += [
                f"count(*) FILTER (checked & {bit(name)} <> 0)",
                f"count(*) FILTER ({failing})",
                f"coalesce(sum({difference_sql(name)}) FILTER ({failing}), 0)",
                f"min(key, {_EXAMPLES}) FILTER ({failing})",
            ]
        for currency, orders, agree, *rest in database.execute(
            f"SELECT {', '.join(terms)} FROM {table} GROUP BY currency"
        ).fetchall():
            tally.orders += orders
            tally.agree += agree
            tally.currencies[currency] += orders
            tally._add_checks(currency, rest)
        days = database.execute(f"SELECT day, count(*) FROM {table} WHERE day IS NOT NULL GROUP BY 1").fetchall()
        tally.days.update(dict(days))
        return tally

    def _add_checks(self, currency: str, values: Sequence[Any]) -> None:
        for place, name in enumerate(ORDER_CHECKS):
            checked, failed, difference, keys = values[4 * place : 4 * place + 4]
            self.checked[name] += checked
            self.failed[name] += failed
            if failed:
                self.differences[name, currency] += difference
                self.examples[name] += map(str, keys)

    def replace(self, old: Tally, new: Tally, changed: Iterable[str]) -> None:
        """Takes off what was counted of changed orders, and adds what is counted of them now.

        Args:
            old: The changed orders before.
            new: The changed orders now.
            changed: Their keys.
        """
        self.orders += new.orders - old.orders
        self.agree += new.agree - old.agree
        for mine, before, now in (
            (self.checked, old.checked, new.checked),
            (self.failed, old.failed, new.failed),
            (self.differences, old.differences, new.differences),
            (self.days, old.days, new.days),
            (self.currencies, old.currencies, new.currencies),
        ):
            mine.update(now)  # type: ignore[arg-type]
            mine.subtract(before)  # type: ignore[arg-type]
        gone = set(changed)
        for name, keys in self.examples.items():
            self.examples[name] = [key for key in keys if key not in gone] + new.examples[name]

    def results(self) -> dict[CheckId, CheckResult]:
        """What each check of orders found."""
        return {
            name: CheckResult(
                checked=self.checked[name],
                agree=self.checked[name] - self.failed[name],
                differences=self._differences(name),
                examples=tuple(self.examples[name][:_EXAMPLES]),
            )
            for name in ORDER_CHECKS
            if self.checked[name]
        }

    def _differences(self, check: CheckId) -> dict[str, Decimal]:
        found = {currency: difference for (name, currency), difference in self.differences.items() if name == check}
        return {currency: Decimal(difference) for currency, difference in found.items() if difference}
