"""What the address says, which days that is, and how figures are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.analytics.figures import RETURNS, Figures, Group
from cache.analytics.metrics import METRICS
from cache.analytics.periods import COMPARISONS, PERIODS, Span, bucket_choices, default_bucket
from cache.analytics.values import Absent
from dashboard import formatting
from dashboard.components import charts
from dashboard.metric_text import change
from dashboard.view import View, date_range

NOW = datetime(2026, 7, 14, 15, 30)


class Address(dict[str, list[str]]):
    def get_all(self, key: str) -> list[str]:
        return self.get(key, [])

    @classmethod
    def of(cls, view: View) -> Address:
        return cls({name: [v] if isinstance(v, str) else v for name, v in view.parameters().items()})


days = st.dates(date(2020, 1, 1), date(2030, 1, 1))
several = st.lists(st.text(min_size=1, max_size=4), max_size=3, unique=True).map(tuple)
custom = st.builds(
    View,
    st.just("custom"),
    st.dates(date(1970, 1, 1), date(2024, 1, 1)),
    st.dates(date(2024, 1, 2), date(2199, 12, 31)),
)
presets = st.builds(
    View,
    st.sampled_from([name for name in PERIODS if name != "custom"]),
    currency=st.sampled_from(["", "EUR"]),
    compare=st.sampled_from(list(COMPARISONS)),
    returns=st.sampled_from(list(RETURNS)),
    status=several,
    fulfilment=several,
    country=several,
    channel=several,
    discount=several,
    product=several,
)
views = presets | custom


@given(views)
def test_an_address_gives_back_the_view_that_it_was_made_of(view: View) -> None:
    assert View.read(Address.of(view)) == view


@given(
    st.dictionaries(st.sampled_from(["period", "from", "to", "currency", "status"]), st.lists(st.text(), max_size=2))
)
def test_no_address_is_an_error(params: dict[str, list[str]]) -> None:
    assert View.read(Address(params)).period in PERIODS


@pytest.mark.parametrize(
    ("view", "expected", "before"),
    [
        (View("today"), "14 Jul 2026", "13 Jul 2026"),
        (View("7d"), "8 Jul – 14 Jul 2026", "1 Jul – 7 Jul 2026"),
        (View("12m"), "15 Jul 2025 – 14 Jul 2026", "15 Jul 2024 – 14 Jul 2025"),
        (View("custom", date(2025, 12, 1), date(2025, 12, 31)), "1 Dec – 31 Dec 2025", "31 Oct – 30 Nov 2025"),
        (View("7d", compare="year"), "8 Jul – 14 Jul 2026", "8 Jul – 14 Jul 2025"),
        (View("month"), "1 Jul – 14 Jul 2026", "1 Jun – 14 Jun 2026"),
        (View("year"), "1 Jan – 14 Jul 2026", "1 Jan – 14 Jul 2025"),
        (View("30d", compare="none"), "15 Jun – 14 Jul 2026", None),
        (View("all"), "3 Mar 2024 – 14 Jul 2026", None),
    ],
)
def test_a_period_ends_with_today_and_is_compared_with_the_one_before(
    view: View, expected: str, before: str | None
) -> None:
    span = view.span(NOW, Span(datetime(2024, 3, 3, 8), datetime(2026, 7, 14, 9)))
    past = view.comparison(NOW, span)
    assert date_range(span) == expected
    assert (date_range(past) if past else None) == before


@given(days, st.integers(1, 5000))
def test_a_compared_period_is_never_later_and_every_step_gives_a_line(first: date, length: int) -> None:
    start = datetime(first.year, first.month, first.day)
    span = Span(start, start + timedelta(days=length))
    assert all(step in ("1 hour", "1 day", "7 days", "1 month") for step in bucket_choices(span))
    for compare in ("before", "year"):
        past = View("custom", first, first, compare=compare).comparison(start + timedelta(days=9), span)
        assert past is not None
        assert past.start < past.end
        assert past.start < span.start


def test_the_last_of_march_compares_with_the_last_of_february() -> None:
    now = datetime(2026, 3, 31, 12)
    assert View("month").comparison(now, View("month").span(now, None)) == Span(
        datetime(2026, 2, 1), datetime(2026, 2, 28, 12)
    )


def test_a_period_that_is_not_over_is_compared_up_to_the_same_time_of_day() -> None:
    span = View("7d").span(NOW, None)
    assert View("7d").comparison(NOW, span) == Span(datetime(2026, 7, 1), datetime(2026, 7, 7, 15, 30))


def group(at: datetime, charged: Decimal) -> Group:
    return Group((), at, Figures(orders=2, charged=charged))


@given(days, st.integers(1, 1200))
def test_a_chart_has_a_point_for_every_bucket_also_where_nothing_was_sold(first: date, length: int) -> None:
    start = datetime(first.year, first.month, first.day)
    span = Span(start, start + timedelta(days=length))
    width = default_bucket(span)
    sold = group(start.replace(day=1) if width == "1 month" else start, Decimal("9.50"))
    rows, _ = charts.over_time(width, span, [sold], None, METRICS["total_sales"], "USD")
    assert rows[0]["This period"] == 9.5
    assert [row["This period"] for row in rows[1:]] == [0.0] * (len(rows) - 1)
    assert 7 <= len(rows) <= 107 or length < 7


def test_a_chart_names_the_compared_day() -> None:
    span, past = Span(datetime(2026, 7, 14), datetime(2026, 7, 17)), Span(datetime(2026, 7, 11), datetime(2026, 7, 14))
    then = [group(datetime(2026, 7, 12), Decimal(7))]
    rows, _ = charts.over_time("1 day", span, [], (past, then), METRICS["total_sales"], "USD")
    assert [(row["day"], row["then_day"], row["then"]) for row in rows] == [
        ("Tue 14 Jul 2026", "Sat 11 Jul 2026", "$0.00"),
        ("Wed 15 Jul 2026", "Sun 12 Jul 2026", "$7.00"),
        ("Thu 16 Jul 2026", "Mon 13 Jul 2026", "$0.00"),
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "whole", "text"),
    [
        ("1234.5", "USD", False, "$1,234.50"),
        ("-0.005", "USD", False, "-$0.01"),
        ("-0.001", "USD", False, "$0.00"),
        ("1234567.89", "EUR", True, "€1,234,568"),
        ("9999.99", "EUR", False, "€9,999.99"),
        ("1500.00", "JPY", False, "¥1,500"),
        ("1.2345", "KWD", False, "KWD 1.235"),
        ("5", "", False, "5.00"),
    ],
)
def test_money_has_its_currencys_sign_and_decimals(amount: str, currency: str, whole: bool, text: str) -> None:
    assert formatting.money(Decimal(amount), currency, whole) == text


@pytest.mark.parametrize(
    ("now", "before", "rate", "expected"),
    [
        (Decimal(110), Decimal(100), False, ("+10.0%", True)),
        (Decimal("100.4"), Decimal(100), False, ("+0.4%", False)),
        (Decimal(100), Decimal(100), False, ("0.0%", False)),
        (Decimal(100), Decimal(0), False, ("", False)),
        (Absent.NO_COLUMN, Decimal(1), False, ("", False)),
        (Decimal("0.08"), Decimal("0.065"), True, ("+1.5 pts", True)),
        (Decimal("0.064"), Decimal("0.065"), True, ("-0.1 pts", False)),
    ],
)
def test_small_changes_are_written_but_not_coloured(now: Any, before: Any, rate: bool, expected: object) -> None:
    assert change(now, before, rate) == expected


def test_codes_become_words_and_unknown_ones_are_written_out() -> None:
    assert formatting.status("partially_refunded").text == "Partially refunded"
    assert formatting.fulfilment(None).text == "Unfulfilled"
    assert formatting.channel("shopify_draft_order") == "Draft orders"
    assert formatting.channel("tiktok_shop") == "Tiktok shop"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "just now"),
        (61, "1 min ago"),
        (3 * 3600, "3 h ago"),
        (3 * 3600 + 600, "3 h 10 min ago"),
        (200_000, "2 days ago"),
    ],
)
def test_an_age_is_told_in_the_unit_that_matters(seconds: float, text: str) -> None:
    assert formatting.age(seconds) == text


def test_markdown_shows_any_text_as_it_is_but_code_stays_code() -> None:
    assert formatting.plain("**$1** run `a_b` :red[x]") == r"\*\*\$1\*\* run `a_b` \:red\[x\]"
    assert formatting.plain("one ` alone") == r"one \` alone"
