"""The buckets that charts and tables divide a period into."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.calendar.periods import ShopCalendar, Span, Unit, period_span
from cache.calendar.steps import MAX_POINTS, STEPS, buckets, default_step, sparkline_step, step_choices
from cache.settings import WeekStart
from dashboard.text.periods import bucket_text

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 7, 14, 15, 30)  # a Tuesday


def calendar(known: datetime = NOW, week_start: WeekStart = "monday") -> ShopCalendar:
    return ShopCalendar(BERLIN, known.date(), known, week_start)


def texts(step: Unit, span: Span, at: ShopCalendar) -> list[str]:
    return [bucket_text(step, bucket) for bucket in buckets(step, span, at)]


days = st.dates(date(2019, 1, 1), date(2030, 1, 1))
spans = st.builds(lambda first, count: Span.of_days(first, first + timedelta(days=count)), days, st.integers(0, 1200))


@pytest.mark.slow
@given(spans, st.sampled_from(list(STEPS)), st.sampled_from(["monday", "sunday"]))
def test_buckets_cover_a_past_period_without_gaps(span: Span, step: Unit, week_start: WeekStart) -> None:
    utc = ShopCalendar(ZoneInfo("UTC"), date(2040, 1, 1), datetime(2040, 1, 1), week_start)
    divided = buckets(step, span, utc)
    assert divided[0].counted.start == span.start
    assert divided[-1].counted.end == span.end
    assert all(one.end == next.start for one, next in pairwise(divided))
    assert [bucket.partial for bucket in divided[1:-1]] == [False] * (len(divided) - 2)
    assert not any(bucket.in_progress for bucket in divided)
    if step == "week":
        assert {bucket.start.weekday() for bucket in divided} == {6 if week_start == "sunday" else 0}


@pytest.mark.slow
@given(spans, st.sampled_from(list(STEPS)), st.datetimes(datetime(2019, 1, 1), datetime(2033, 1, 1)))
def test_no_bucket_begins_after_the_end_of_the_data(span: Span, step: Unit, known: datetime) -> None:
    divided = buckets(step, span, calendar(known))
    assert all(bucket.start < known for bucket in divided)
    assert [bucket.in_progress for bucket in divided[:-1]] == [False] * (len(divided) - 1)
    assert bool(divided and divided[-1].in_progress) == bool(divided and divided[-1].counted.end > known)


def test_a_bucket_that_is_cut_or_not_over_says_so() -> None:
    assert texts("week", Span.of_days(date(2026, 7, 1), date(2026, 7, 14)), calendar()) == [
        "29 Jun – 5 Jul 2026 (from 1 Jul)",
        "6 Jul – 12 Jul 2026",
        "13 Jul – 19 Jul 2026 (so far)",
    ]
    assert texts("month", Span.of_days(date(2026, 5, 3), date(2026, 6, 20)), calendar()) == [
        "May 2026 (from 3 May)",
        "June 2026 (until 20 Jun)",
    ]
    assert texts("quarter", Span.of_days(date(2026, 7, 3), date(2026, 7, 14)), calendar()) == [
        "Q3 2026 (from 3 Jul, so far)"
    ]
    assert texts("year", Span.of_days(date(2025, 1, 1), date(2025, 12, 31)), calendar()) == ["2025"]
    assert texts("day", Span(datetime(2026, 7, 13), datetime(2026, 7, 13, 15, 30)), calendar()) == [
        "Mon 13 Jul 2026 (until 13 Jul, 15:30)"
    ]


def test_hours_that_have_not_begun_are_left_out() -> None:
    hours = texts("hour", period_span("today", calendar()), calendar())
    assert len(hours) == 16
    assert hours[-2:] == ["14 Jul 2026, 14:00", "14 Jul 2026, 15:00 (so far)"]


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 24)])
def test_an_hour_that_the_clock_skips_is_left_out(day: date, count: int) -> None:
    assert len(buckets("hour", Span.of_days(day, day), calendar(datetime(2026, 12, 1)))) == count


def test_twelve_months_by_week_begin_and_end_with_cut_weeks() -> None:
    """The last bucket was a "week" of one day: a cliff."""
    divided = buckets("week", period_span("12m", calendar()), calendar())
    assert [bucket.partial for bucket in divided] == [True, *[False] * (len(divided) - 2), True]
    assert bucket_text("week", divided[0]) == "28 Jul – 3 Aug 2025 (from 1 Aug)"
    assert bucket_text("week", divided[-1]) == "13 Jul – 19 Jul 2026 (so far)"


@pytest.mark.slow
@given(spans)
def test_every_step_that_is_offered_gives_a_line(span: Span) -> None:
    at = calendar(datetime(2040, 1, 1))
    for step in step_choices(span, at):
        assert 1 < len(buckets(step, span, at)) <= MAX_POINTS
    assert default_step(span) in step_choices(span, at)
    assert len(buckets(sparkline_step(span), span, at)) <= 42
