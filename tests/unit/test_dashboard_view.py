"""What the address says, which days that is, and how figures are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.analytics.figures import RETURNS, Figures, Group
from cache.analytics.metrics import METRICS
from cache.analytics.values import Absent
from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, Unit
from cache.calendar.steps import buckets, default_step
from dashboard.components import charts
from dashboard.pages.overview import time_chart
from dashboard.text import formatting
from dashboard.text.metrics import change
from dashboard.text.periods import date_range
from dashboard.view import View

CALENDAR = ShopCalendar(ZoneInfo("Europe/Berlin"), date(2026, 7, 14), datetime(2026, 7, 14, 15, 30))
LATER = ShopCalendar(ZoneInfo("UTC"), date(2040, 1, 1), datetime(2040, 1, 1))


def address(view: View) -> dict[str, list[str]]:
    return {name: [v] if isinstance(v, str) else v for name, v in view.parameters().items()}


days = st.dates(date(2020, 1, 1), date(2030, 1, 1))
early, late = st.dates(date(1970, 1, 1), date(2024, 1, 1)), st.dates(date(2024, 1, 2), date(2199, 12, 31))
several = st.lists(st.text(min_size=1, max_size=4), max_size=3, unique=True).map(tuple)
custom = st.builds(
    View, st.just("custom"), early, late, compare_start=early, compare_end=late, compare=st.just("custom")
)
hours = st.builds(lambda day, hour: View("custom", day, day, hour), early, st.integers(0, 23))
presets = st.builds(
    View,
    st.sampled_from([name for name in PERIODS if name != "custom"]),
    currency=st.sampled_from(["", "EUR"]),
    compare=st.sampled_from([name for name in COMPARISONS if name != "custom"]),
    returns=st.sampled_from(list(RETURNS)),
    status=several,
    fulfilment=several,
    country=several,
    channel=several,
    discount=several,
    refunded=several,
    product=several,
)
views = presets | custom | hours


@given(views)
def test_an_address_gives_back_the_view_that_it_was_made_of(view: View) -> None:
    assert View.read(address(view)) == view


@given(
    st.dictionaries(
        st.sampled_from(["period", "from", "to", "hour", "compare", "compare_from", "currency", "status"]),
        st.lists(st.text(), max_size=2),
    )
)
def test_no_address_is_an_error(params: dict[str, list[str]]) -> None:
    assert View.read(params).period in PERIODS


@pytest.mark.parametrize(
    ("view", "expected", "compared"),
    [
        (View("7d"), "8 Jul – 14 Jul 2026", "1 Jul – 7 Jul 2026, until 15:30"),
        (View("custom", date(2025, 10, 1), date(2025, 10, 31)), "1 Oct – 31 Oct 2025", "1 Sep – 30 Sep 2025"),
        (
            View("custom", date(2026, 7, 13), date(2026, 7, 13), 9),
            "13 Jul 2026, 09:00–10:00",
            "12 Jul 2026, 09:00–10:00",
        ),
        (
            View("custom", date(2026, 7, 14), date(2026, 7, 14), 15),
            "14 Jul 2026, 15:00–16:00",
            "13 Jul 2026, 15:00–15:30",
        ),
        (View("30d", compare="none"), "15 Jun – 14 Jul 2026", None),
        (
            View("30d", compare="custom", compare_start=date(2025, 11, 1), compare_end=date(2025, 11, 30)),
            "15 Jun – 14 Jul 2026",
            "1 Nov – 30 Nov 2025",
        ),
    ],
)
def test_a_view_has_days_and_what_they_are_compared_with(view: View, expected: str, compared: str | None) -> None:
    span = view.span(CALENDAR, None)
    past = view.comparison(CALENDAR, span)
    assert date_range(span) == expected
    assert (date_range(past) if past else None) == compared


@pytest.mark.parametrize(
    ("parameters", "view"),
    [
        ({"period": ["12m"]}, View("12m")),
        ({"period": ["custom"], "from": ["2026-02-30"], "to": ["2026-03-01"]}, View()),
        ({"compare": ["custom"], "compare_from": ["2026-02-01"]}, View()),
        ({"period": ["30d"], "hour": ["9"]}, View()),
        (
            {"period": ["custom"], "from": ["2026-03-01"], "to": ["2026-03-02"], "hour": ["9"]},
            View("custom", date(2026, 3, 1), date(2026, 3, 2)),
        ),
    ],
)
def test_what_an_address_has_too_little_of_is_left_out(parameters: dict[str, list[str]], view: View) -> None:
    assert View.read(parameters) == view


def group(at: datetime, sales: Decimal) -> Group:
    return Group((), at, Figures(orders=2, gross_sales=sales))


def axis(step: Unit, span: Span, calendar: ShopCalendar = LATER) -> charts.TimeAxis:
    return charts.TimeAxis.of(step, span, calendar)


@given(days, st.integers(1, 1200))
def test_a_chart_has_a_point_for_every_bucket_also_where_nothing_was_sold(first: date, length: int) -> None:
    start = datetime(first.year, first.month, first.day)
    span = Span(start, start + timedelta(days=length))
    shown = axis(default_step(span), span)
    sold = group(shown.buckets[0].start, Decimal("9.50"))
    rows, _ = time_chart.over_time(shown, [sold], None, METRICS["total_sales"], "USD", ["now"])
    assert [row["now"] if row["partial"] is None else row["partial"] for row in rows] == [
        9.5,
        *[0.0] * (len(rows) - 1),
    ]
    assert 7 <= len(rows) <= 108 or length < 7


def test_a_chart_names_the_compared_day() -> None:
    span, past = Span(datetime(2026, 7, 14), datetime(2026, 7, 17)), Span(datetime(2026, 7, 11), datetime(2026, 7, 14))
    then = charts.Series(buckets("day", past, LATER), [group(datetime(2026, 7, 12), Decimal(7))])
    rows, _ = time_chart.over_time(axis("day", span), [], then, METRICS["total_sales"], "USD", ["now", "then"])
    assert [(row["day"], row["then_day"], row["then"]) for row in rows] == [
        ("Tue 14 Jul 2026", "Sat 11 Jul 2026", "$0.00"),
        ("Wed 15 Jul 2026", "Sun 12 Jul 2026", "$7.00"),
        ("Thu 16 Jul 2026", "Mon 13 Jul 2026", "$0.00"),
    ]


def test_a_chart_compares_no_more_days_than_the_other_period_has() -> None:
    october, september = (Span.of_days(date(2025, m, 1), date(2025, m, last)) for m, last in ((10, 31), (9, 30)))
    then = charts.Series(buckets("day", september, LATER), [])
    rows, _ = time_chart.over_time(axis("day", october), [], then, METRICS["total_sales"], "USD", ["now", "then"])
    assert [row.get("then_day") for row in rows[-2:]] == ["Tue 30 Sep 2025", None]


def test_partial_buckets_are_dashed_and_the_line_leads_to_them() -> None:
    shown = axis("week", Span.of_days(date(2026, 6, 17), date(2026, 7, 14)), CALENDAR)
    complete, dashed = charts.split(shown.buckets, [1, 2, 3, 4, 5])
    assert complete == [None, 2, 3, 4, None]
    assert dashed == [1, 2, None, 4, 5]
    assert shown.end == datetime(2026, 7, 13)


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


@pytest.mark.parametrize(
    ("number", "shown", "count", "text"),
    [(1, 1, 1, "1 order"), (1, 3, 3, "3 orders"), (2, 50, 1168, "51–100 of 1,168 orders"), (1, 0, 0, "0 orders")],
)
def test_the_place_in_a_list_is_said_as_people_say_it(number: int, shown: int, count: int, text: str) -> None:
    assert formatting.place(number, 50, shown, count, "order") == text


def test_markdown_shows_any_text_as_it_is_but_code_stays_code() -> None:
    assert formatting.plain("**$1** run `a_b` :red[x]") == r"\*\*\$1\*\* run `a_b` \:red\[x\]"
    assert formatting.plain("one ` alone") == r"one \` alone"


def test_in_a_value_nothing_is_code_and_no_address_stays_in_one_piece() -> None:
    assert formatting.literal("a `b` &lt; 10:30\n1. $x$") == r"a \`b\` \&lt\; 10\:30 1\. \$x\$"
    apart = {"https://x": r"https:color[\:]\/\/x", "a@b": r"a:color[\@]b", "--": r"\-:color[\-]"}
    assert {text: formatting.literal(text) for text in apart} == apart
