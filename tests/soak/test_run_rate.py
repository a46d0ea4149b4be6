"""How far the run rate is from what months came to, in the sample shop; docs/dashboard.md has the numbers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import fmean

import pytest
from page_run import backend_of
from paths import ROOT
from shop_factory import SHOP_COLUMNS, shop

from cache.calendar.periods import midnight, units_later
from cache.calendar.run_rate import month_of, run_rate
from cache.query.filters import Condition

pytestmark = pytest.mark.soak

END = datetime(2026, 7, 1, tzinfo=UTC)
SIZES = (10_000, 60_000)  # orders in three years; the lab has 10,000 unless it is told otherwise
MONTHS = 24
PASSED = (5, 10, 15, 20, 25)  # days of the month


def daily_sales(folder: Path, size: int) -> dict[date, Decimal]:
    with backend_of(folder, shop(size, END), SHOP_COLUMNS, shop_timezone="UTC") as backend:
        orders = backend.orders.newest(1)
        main = [Condition("currency", "eq", orders.currencies()[0][0])]
        groups = orders.groups(step="day", conditions=main)
        return {group.at.date(): Decimal(group.figures.total_sales) for group in groups if group.at}  # type: ignore[arg-type]


def test_the_error_of_the_run_rate_is_the_documented_one(tmp_path: Path) -> None:
    """Total sales in the currency with the most orders, over two years; each month is forecast five times."""
    rows = [row for size in SIZES for row in errors_of(size, daily_sales(tmp_path / str(size), size))]
    print("", *rows, sep="\n")
    text = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| [\d,]+ \| \d+ \| [\d.]+% \| [-+][\d.]+% \| [\d.]+% \|$", text, re.MULTILINE)
    assert documented == rows


def errors_of(size: int, days: dict[date, Decimal]) -> list[str]:
    """Rows of the table: orders, days of the month that are over, mean error, bias, largest error."""
    months = [units_later("month", midnight(END.date()), -n) for n in range(MONTHS, 0, -1)]
    rows = []
    for passed in PASSED:
        errors = []
        for start in months:
            month = month_of(start + timedelta(days=1))
            whole = sum(
                (value for day, value in days.items() if month.start.date() <= day < month.end.date()), Decimal(0)
            )
            known = run_rate(days, min(days), start + timedelta(days=passed))
            assert known.forecast is not None
            errors.append(float((known.forecast - whole) / whole * 100))
        sizes = [abs(error) for error in errors]
        rows.append(f"| {size:,} | {passed} | {fmean(sizes):.1f}% | {fmean(errors):+.1f}% | {max(sizes):.1f}% |")
    return rows
