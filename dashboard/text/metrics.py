"""How figures and their changes are written."""

from __future__ import annotations

from decimal import Decimal

from cache.analytics.metrics import Metric
from cache.analytics.values import Absent, Value
from dashboard.text import formatting

LARGE = 10_000  # amounts from here on are written without cents
NOTABLE_CHANGE = Decimal("0.01")  # smaller changes are not coloured
NOTABLE_POINTS = Decimal("0.005")  # the same for changes of a rate


def write(metric: Metric, value: Value, currency: str, whole: bool | None = None) -> str:
    """A value of a metric as text; a dash where it is absent.

    Args:
        metric: The metric.
        value: Its value.
        currency: ISO 4217 code of amounts of money.
        whole: Whether to leave out cents; None: where the amount is large.
    """
    if isinstance(value, Absent):
        return "–"
    match metric.unit:
        case "money":
            return formatting.money(Decimal(value), currency, abs(Decimal(value)) >= LARGE if whole is None else whole)
        case "rate":
            return formatting.percent(Decimal(value))
        case "duration":
            return formatting.length(float(value))
        case _:
            return f"{value:,}"


def change(now: Value, before: Value, rate: bool = False) -> tuple[str, bool]:
    """The change from `before` to `now` as text, such as "+9.5%", and whether it is large enough to be coloured.

    Args:
        now: The value of the period.
        before: The value of the compared period.
        rate: Whether the values are rates. Their change is in percentage points, such as "+0.4 pts".

    Returns:
        "" and False where there is nothing to compare.
    """
    if isinstance(now, Absent) or isinstance(before, Absent):
        return "", False
    if rate:
        points = Decimal(now) - Decimal(before)
        return f"{_signed(points * 100)} pts", abs(points) >= NOTABLE_POINTS
    if before <= 0:
        return "", False
    relative = Decimal(now) / Decimal(before) - 1
    return f"{_signed(relative * 100)}%", abs(relative) >= NOTABLE_CHANGE


def _signed(number: Decimal) -> str:
    text = f"{number:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
