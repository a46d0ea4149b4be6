"""Which days a period has, and what it is compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cache.calendar.periods import COMPARISONS, PERIODS, ShopCalendar, Span, comparison_span, period_span
from cache.settings import WeekStart
from dashboard.text.periods import date_range

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 7, 14, 15, 30)  # a Tuesday
PRESETS = [name for name in PERIODS if name not in ("all", "custom")]


def calendar(known: datetime = NOW, week_start: WeekStart = "monday", today: date | None = None) -> ShopCalendar:
    return ShopCalendar(BERLIN, today or known.date(), known, week_start)


def compared(comparison: str, period: str, known: datetime, custom: Span | None = None) -> Span | None:
    return comparison_span(comparison, period, period_span(period, calendar(known), None, custom), calendar(known))


days = st.dates(date(2019, 1, 1), date(2032, 12, 31))
instants = st.datetimes(datetime(2019, 1, 1, 0, 1), datetime(2032, 12, 31))
customs = st.builds(lambda first, count: Span.of_days(first, first + timedelta(days=count)), days, st.integers(0, 900))


# -- periods


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("today", "14 Jul 2026"),
        ("yesterday", "13 Jul 2026"),
        ("7d", "8 Jul – 14 Jul 2026"),
        ("365d", "15 Jul 2025 – 14 Jul 2026"),
        ("12m", "1 Aug 2025 – 14 Jul 2026"),
        ("week", "13 Jul – 14 Jul 2026"),
        ("last_week", "6 Jul – 12 Jul 2026"),
        ("month", "1 Jul – 14 Jul 2026"),
        ("last_month", "1 Jun – 30 Jun 2026"),
        ("quarter", "1 Jul – 14 Jul 2026"),
        ("last_quarter", "1 Apr – 30 Jun 2026"),
        ("year", "1 Jan – 14 Jul 2026"),
        ("last_year", "1 Jan – 31 Dec 2025"),
        ("all", "3 Mar 2024 – 14 Jul 2026"),
    ],
)
def test_a_unit_in_progress_ends_with_today(period: str, expected: str) -> None:
    extent = Span(datetime(2024, 3, 3, 8), datetime(2026, 7, 14, 9))
    assert date_range(period_span(period, calendar(), extent)) == expected


def test_weeks_start_on_the_weekday_of_the_setting() -> None:
    assert date_range(period_span("week", calendar(week_start="sunday"))) == "12 Jul – 14 Jul 2026"
    sunday = datetime(2026, 7, 12, 9)
    assert date_range(period_span("week", calendar(sunday))) == "6 Jul – 12 Jul 2026"
    assert date_range(period_span("week", calendar(sunday, "sunday"))) == "12 Jul 2026"


@given(st.sampled_from(PRESETS), instants, st.sampled_from(["monday", "sunday"]))
def test_a_period_has_whole_days_of_which_none_is_later_than_today(
    period: str, known: datetime, week_start: WeekStart
) -> None:
    span = period_span(period, calendar(known, week_start))
    assert span.start < span.end <= datetime(known.year, known.month, known.day) + timedelta(days=1)
    assert all(at.hour == at.minute == at.second == at.microsecond == 0 for at in span)


# -- the day


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-03-28T22:59:59+00:00", date(2026, 3, 28)),
        ("2026-03-28T23:00:00+00:00", date(2026, 3, 29)),  # the day on which the clock goes forward
        ("2026-03-29T22:00:00+00:00", date(2026, 3, 30)),
        ("2026-10-25T22:59:59+00:00", date(2026, 10, 25)),  # the day on which it goes back
        ("2026-10-25T23:00:00+00:00", date(2026, 10, 26)),
    ],
)
def test_today_begins_at_the_shops_midnight_without_new_data(now: str, day: date) -> None:
    verified = datetime(2026, 3, 27, 12, tzinfo=UTC)
    at = ShopCalendar.at(datetime.fromisoformat(now), "Europe/Berlin", verified, None, "monday")
    assert (at.today, at.known_until) == (day, datetime(2026, 3, 27, 13))
    assert period_span("today", at) == Span.of_days(day, day)


def test_orders_of_the_verification_are_known_and_those_of_the_future_not() -> None:
    now, verified = datetime(2026, 7, 14, 13, 30, tzinfo=UTC), datetime(2026, 7, 14, 13, tzinfo=UTC)
    for last, known in ((datetime(2026, 7, 14, 15, 10), 10), (datetime(2199, 1, 1), 0), (None, 0)):
        at = ShopCalendar.at(now, "Europe/Berlin", verified, last, "monday")
        assert at.known_until == datetime(2026, 7, 14, 15, known)


def test_a_period_without_data_yet_is_compared_with_nothing() -> None:
    after_midnight = calendar(datetime(2026, 7, 14, 23, 40), today=date(2026, 7, 15))
    span = period_span("today", after_midnight)
    assert date_range(span) == "15 Jul 2026"
    assert comparison_span("before", "today", span, after_midnight) is None
    week = period_span("7d", after_midnight)
    assert comparison_span("before", "7d", week, after_midnight) == Span(
        datetime(2026, 7, 2), datetime(2026, 7, 7, 23, 40)
    )


# -- comparisons


@pytest.mark.parametrize(
    ("period", "before", "before_weekday", "year", "year_weekday"),
    [
        ("today", "13 Jul 2026*", "7 Jul 2026*", "14 Jul 2025*", "15 Jul 2025*"),
        ("yesterday", "12 Jul 2026", "6 Jul 2026", "13 Jul 2025", "14 Jul 2025"),
        ("7d", "1 Jul – 7 Jul 2026*", "1 Jul – 7 Jul 2026*", "8 Jul – 14 Jul 2025*", "9 Jul – 15 Jul 2025*"),
        ("30d", "16 May – 14 Jun 2026*", "11 May – 9 Jun 2026*", "15 Jun – 14 Jul 2025*", "16 Jun – 15 Jul 2025*"),
        ("12m", "1 Aug 2024 – 14 Jul 2025*", None, "1 Aug 2024 – 14 Jul 2025*", None),
        ("week", "6 Jul – 7 Jul 2026*", "6 Jul – 7 Jul 2026*", "13 Jul – 14 Jul 2025*", "14 Jul – 15 Jul 2025*"),
        ("last_week", "29 Jun – 5 Jul 2026", "29 Jun – 5 Jul 2026", "6 Jul – 12 Jul 2025", "7 Jul – 13 Jul 2025"),
        ("month", "1 Jun – 14 Jun 2026*", "27 May – 9 Jun 2026*", "1 Jul – 14 Jul 2025*", "2 Jul – 15 Jul 2025*"),
        ("last_month", "1 May – 31 May 2026", "27 Apr – 26 May 2026", "1 Jun – 30 Jun 2025", "2 Jun – 1 Jul 2025"),
        ("quarter", "1 Apr – 14 Apr 2026*", "25 Mar – 7 Apr 2026*", "1 Jul – 14 Jul 2025*", "2 Jul – 15 Jul 2025*"),
        ("last_quarter", "1 Jan – 31 Mar 2026", None, "1 Apr – 30 Jun 2025", None),
        ("year", "1 Jan – 14 Jul 2025*", None, "1 Jan – 14 Jul 2025*", "2 Jan – 15 Jul 2025*"),
        ("last_year", "1 Jan – 31 Dec 2024", None, "1 Jan – 31 Dec 2024", None),
    ],
)
def test_a_period_is_compared_with_the_one_before_or_a_year_before(
    period: str, before: str, before_weekday: str | None, year: str, year_weekday: str | None
) -> None:
    """A star: until the same time of the day."""
    expected = {"before": before, "before_weekday": before_weekday, "year": year, "year_weekday": year_weekday}
    for comparison, text in expected.items():
        if text:
            span = compared(comparison, period, NOW)
            assert span
            assert date_range(span) == text.replace("*", ", until 15:30"), comparison


@pytest.mark.parametrize(
    ("first", "last", "before"),
    [
        ("2025-10-01", "2025-10-31", "1 Sep – 30 Sep 2025"),
        ("2025-02-01", "2025-02-28", "1 Jan – 31 Jan 2025"),
        ("2024-03-01", "2024-03-31", "1 Feb – 29 Feb 2024"),
        ("2025-07-01", "2025-09-30", "1 Apr – 30 Jun 2025"),
        ("2025-01-01", "2025-12-31", "1 Jan – 31 Dec 2024"),
        ("2025-05-01", "2025-08-31", "1 Jan – 30 Apr 2025"),
        ("2025-10-02", "2025-10-31", "2 Sep – 1 Oct 2025"),
        ("2025-10-01", "2025-10-30", "1 Sep – 30 Sep 2025"),
        ("2026-07-01", "2026-07-31", "1 Jun – 14 Jun 2026, until 15:30"),
    ],
)
def test_whole_months_compare_with_whole_months_and_days_with_days(first: str, last: str, before: str) -> None:
    span = compared("before", "custom", NOW, Span.of_days(date.fromisoformat(first), date.fromisoformat(last)))
    assert span
    assert date_range(span) == before


@pytest.mark.parametrize(
    ("comparison", "first", "last", "expected"),
    [
        ("year", "2024-02-01", "2024-02-29", "1 Feb – 28 Feb 2023"),
        ("year", "2025-02-01", "2025-02-28", "1 Feb – 29 Feb 2024"),
        ("year", "2024-02-29", "2024-02-29", "28 Feb 2023"),
        ("year", "2025-02-28", "2025-02-28", "28 Feb 2024"),
        ("year", "2024-02-20", "2024-02-29", "20 Feb – 28 Feb 2023"),
        ("year_weekday", "2024-02-29", "2024-02-29", "2 Mar 2023"),
    ],
)
def test_a_leap_day_compares_with_the_day_before_it(comparison: str, first: str, last: str, expected: str) -> None:
    span = compared(comparison, "custom", NOW, Span.of_days(date.fromisoformat(first), date.fromisoformat(last)))
    assert span
    assert date_range(span) == expected


@pytest.mark.parametrize(("day", "until"), [(28, datetime(2026, 2, 28, 12)), (29, datetime(2026, 3, 1))])
def test_days_that_last_month_does_not_have_compare_with_all_of_it(day: int, until: datetime) -> None:
    assert compared("before", "month", datetime(2026, 3, day, 12)) == Span(datetime(2026, 2, 1), until)


def test_free_dates_are_compared_as_a_whole() -> None:
    free = Span.of_days(date(2025, 11, 28), date(2025, 11, 28))
    assert comparison_span("custom", "today", period_span("today", calendar()), calendar(), free) == free


@given(st.sampled_from(PRESETS) | customs, instants)
def test_the_period_before_ends_before_the_period(period: str | Span, known: datetime) -> None:
    name, custom = (period, None) if isinstance(period, str) else ("custom", period)
    span = period_span(name, calendar(known), None, custom)
    assume(known > span.start)
    for comparison in ("before", "before_weekday"):
        past = compared(comparison, name, known, custom)
        assert past
        assert past.start < past.end <= span.start


@given(st.sampled_from(PRESETS) | customs, instants, st.sampled_from(["before_weekday", "year_weekday"]))
def test_a_comparison_by_weekday_has_the_same_weekdays_and_length(
    period: str | Span, known: datetime, comparison: str
) -> None:
    name, custom = (period, None) if isinstance(period, str) else ("custom", period)
    span = period_span(name, calendar(known), None, custom)
    assume(known > span.start)
    past = compared(comparison, name, known, custom)
    assert past
    assert past.start.weekday() == span.start.weekday()
    assert past.end - past.start == min(span.end, known) - span.start


@given(customs, instants)
def test_n_days_compare_with_the_n_days_before(custom: Span, known: datetime) -> None:
    assume(known >= custom.end)
    assume(custom.start.day != 1 or custom.end.day != 1)
    past = compared("before", "custom", known, custom)
    assert past == Span(custom.start - (custom.end - custom.start), custom.start)


@given(st.sampled_from(PRESETS) | customs, instants)
def test_a_year_earlier_the_dates_are_the_same(period: str | Span, known: datetime) -> None:
    name, custom = (period, None) if isinstance(period, str) else ("custom", period)
    span = period_span(name, calendar(known), None, custom)
    assume(known > span.start)
    past = compared("year", name, known, custom)
    assert past
    assert past.start < past.end
    assert (past.start.year, past.start.month) == (span.start.year - 1, span.start.month)
    assert past.start.day == span.start.day or (span.start.day, past.start.day) == (29, 28)
    assert abs((past.end - past.start) - (min(span.end, known) - span.start)) <= timedelta(days=1)


def test_all_time_and_no_comparison_compare_with_nothing() -> None:
    assert all(compared(comparison, "all", NOW) is None for comparison in COMPARISONS)
    assert compared("none", "30d", NOW) is None
