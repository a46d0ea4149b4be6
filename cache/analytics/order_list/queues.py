"""Queues: orders that wait for somebody, whatever the period. Each is a list of conditions on orders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cache.analytics.dimensions.catalogue import HANDED_OVER, PLACED_AT, RETURNED_AT, DimensionId
from cache.analytics.dimensions.ranges import instant
from cache.calendar.periods import ShopCalendar, midnight, unit_start
from cache.check_report import FailedCheck
from cache.interpretation.requirements import Requirement
from cache.query.filters import Condition, Sort

QueueId = Literal["unfulfilled", "refunded", "failing"]
WAIT = timedelta(days=3)  # until a paid order should be fulfilled

Values = Callable[[DimensionId], Collection[str]]
"""The values that the orders of a table have of a dimension."""


@dataclass(frozen=True)
class Queue:
    """A queue.

    Attributes:
        label: What it is called.
        about: Which orders are in it, as sentences.
        needs: What it needs of the table.
        filters: What its conditions are about.
        sort: What comes first.
        failing: The check that its orders fail; None where it is not about checks.
    """

    label: str
    about: str
    needs: Sequence[Requirement]
    filters: Sequence[DimensionId]
    sort: Sort
    failing: FailedCheck | None = None

    def lacks(self, missing: Mapping[Requirement, str]) -> str:
        """What the table does not have, as sentences; "" where it has the queue. `missing` is that of `Orders`."""
        return " ".join(missing[need] for need in self.needs if need in missing)


QUEUES: Mapping[QueueId, Queue] = {
    "unfulfilled": Queue(
        f"Paid, unfulfilled for more than {WAIT.days} days",
        f"Paid, placed more than {WAIT.days * 24} hours ago, and nothing was sent; without cancelled orders and "
        "those of a point of sale.",
        ("payment status", "fulfilment status", "dates"),
        ("status", "fulfilment", HANDED_OVER, PLACED_AT),
        Sort("date"),
    ),
    "refunded": Queue(
        "Refunded this week",
        "Money was given back since the week began, in part or as a whole. Refunds of a cancelled order count on the "
        "day of its cancellation.",
        ("returns", "dates of returns"),
        (RETURNED_AT,),
        Sort("date", descending=True),
    ),
    "failing": Queue(
        "Checks that fail",
        "What the table says of these orders does not add up: each fails a check of the Data page.",
        (),
        (),
        Sort("date", descending=True),
        "any",
    ),
}


def queue_conditions(name: QueueId, values: Values, calendar: ShopCalendar, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a queue.

    Args:
        name: The queue.
        values: What the orders have of a dimension: it decides how a table writes that an order is paid.
        calendar: The shop's calendar.
        now: The instant. Its seconds are left out, so that what was found is good for a minute.
    """
    match name:
        case "unfulfilled":
            return (
                Condition("status", "in", _written(values("status"), ("paid",))),
                Condition("fulfilment", "in", _written(values("fulfilment"), ("", "unfulfilled"))),
                Condition(HANDED_OVER, "eq", "not yet"),
                Condition(PLACED_AT, "lt", instant(now - WAIT)),
            )
        case "refunded":
            monday = unit_start("week", midnight(calendar.today), calendar.week_start)
            return (Condition(RETURNED_AT, "gte", instant(monday.replace(tzinfo=calendar.zone))),)
        case "failing":
            return ()


def _written(values: Iterable[str], wanted: Collection[str]) -> tuple[str, ...]:
    """How a table writes some statuses; as they are wanted, where no order has one of them."""
    return tuple(sorted(value for value in values if value.strip().lower() in wanted)) or tuple(wanted)
