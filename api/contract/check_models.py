"""The body of the checks over the data, as in response_models.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import PlainSerializer, WithJsonSchema

from api.contract.response_models import Body, Count, Freshness, Share, key
from cache.analytics.metrics import METRICS
from cache.check_report import CHECKS, CheckId, CheckReport, CheckResult

_Money = Annotated[
    Decimal,
    PlainSerializer(lambda value: f"{value.quantize(Decimal('0.01')):f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d\d$"}),
]


class CheckOfOrders(Body):
    """What a check found."""

    id: CheckId = key("total")
    title: str = key("Total adds up")
    rule: str = key("Total = goods − discounts + shipping + tax.", "What holds for each order that agrees.")
    checked: Count = key(10000, "Orders that could be checked; of `volume`, days.")
    agree: Count = key(9998, "Those that agree.")
    difference: _Money | None = key("31.50", "The differences of the others, added up; null where there is none.")
    currency: str | None = key("EUR", "The currency of `difference`: the one of most orders.")
    figures: tuple[str, ...] = key(("total_sales",), "The metrics that depend on it.")
    examples: tuple[str, ...] = key(("5400152023179",), "Keys of orders that do not agree; of `volume`, days.")

    @classmethod
    def of(cls, name: CheckId, result: CheckResult, currency: str, with_keys: bool) -> Self:
        """The result of a check. `with_keys`: whether the reader may see keys of orders."""
        check = CHECKS[name]
        return cls(
            id=name,
            title=check.title,
            rule=check.rule,
            checked=result.checked,
            agree=result.agree,
            difference=result.differences.get(currency),
            currency=currency or None,
            figures=tuple(METRICS) if check.figures is None else check.figures,
            examples=result.examples if with_keys or name == "volume" else (),
        )


class ChecksHead(Body):
    """How the body of checks begins."""

    status: Literal["success"]


class Checks(Freshness, ChecksHead):
    """Whether the orders add up."""

    ok: Share | None = key(0.9998, "The share of orders that agree with every check; null where none was made.")
    orders: Count = key(10000, "Number of orders.")
    reading: Literal["confirmed", "open"] = key("confirmed", "Whether the data confirms what the columns mean.")
    checks: tuple[CheckOfOrders, ...]

    @classmethod
    def of_report(cls, report: CheckReport, freshness: Freshness, with_keys: bool) -> Self:
        """The checks of a generation. `with_keys`: whether the reader may see keys of orders."""
        return cls(
            **dict(freshness),
            status="success",
            ok=report.ok,
            orders=report.orders,
            reading="confirmed" if report.confirmed else "open",
            checks=tuple(
                CheckOfOrders.of(name, result, report.currency, with_keys) for name, result in report.checks.items()
            ),
        )


CHECK_BODIES = (Checks,)
