"""Goals and notes on the chart of the overview: what the month has of its goal, and the form of operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import streamlit as st

from cache.analytics.metrics import Metric
from cache.analytics.values import or_zero
from cache.calendar.periods import DAY, Span, Unit, midnight, units_later
from cache.calendar.run_rate import MIN_DAYS, RunRate, month_of, needed_days, run_rate
from cache.errors import CacheError
from cache.saved.plan import MAX_TEXT, Goal, Goals, Note, Plan, checked_amount, checked_text
from cache.storage.documents import PLAN
from cache.storage.records import new_id
from dashboard import data
from dashboard.components.charts import TimeAxis
from dashboard.messages import message
from dashboard.pages.overview import time_chart
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import write
from dashboard.view import EARLIEST, LATEST, last_day

MONTHS_BACK, MONTHS_AHEAD = 12, 12  # that a goal can begin in
MAX_LISTED = 10  # goals and notes
MAX_NAMED = 4  # notes below the chart


@dataclass(frozen=True)
class ChartPlan:
    """The goals, notes and run rate of a chart.

    Attributes:
        metric: The figure.
        goals: Its goals; None where it can have none: it is no sum, or filters leave orders out.
        notes: The notes of all days.
        rate: The run rate of the running month; None for a figure that is no sum, or without dates.
    """

    metric: Metric
    goals: Goals | None
    notes: Plan
    rate: RunRate | None

    @classmethod
    def of(cls, session: Session, selection: Selection, metric: Metric) -> ChartPlan:
        """What belongs to a figure of the selected orders."""
        plan = session.cache.documents.read(PLAN)
        converted = selection.orders.rates is not None
        has_goals = metric.is_sum and not selection.view.is_filtered
        goals = plan.goals_of(metric.id, selection.currency, converted) if has_goals else None
        return cls(metric, goals, plan, _run_rate(selection, metric) if metric.is_sum else None)

    def extras(self, axis: TimeAxis) -> time_chart.Extras:
        """What is drawn beside the figure itself."""
        days = [(bucket.counted.start.date(), bucket.counted.end.date()) for bucket in axis.buckets]
        by_hour = axis.step == "hour"
        goals = [None if by_hour or not self.goals else self.goals.of_days(*each) for each in days]
        noted = [" · ".join(note.text for note in self.notes.notes_of(*each)) for each in days]
        if by_hour:  # at the first hour of the day
            firsts = [bucket.start == midnight(bucket.start.date()) for bucket in axis.buckets]
            noted = [
                " · ".join(note.text for note in self.notes.notes_of(first, first + DAY)) if is_first else ""
                for (first, _), is_first in zip(days, firsts, strict=True)
            ]
        rate = self.rate
        runs = axis.step == "month" and rate and axis.buckets and axis.buckets[-1].start == rate.month.start
        return time_chart.Extras(goals, noted, rate.forecast if runs and rate else None)

    def notes_text(self, span: Span) -> str:
        """The newest notes of a period, as Markdown; "" where it has none."""
        found = self.notes.notes_of(span.start.date(), last_day(span) + DAY)
        named = [f"**{formatting.day(note.day)}:** {formatting.literal(note.text)}" for note in found[-MAX_NAMED:]]
        more = [f"{formatting.counted(len(found) - MAX_NAMED, 'earlier note')}"] if len(found) > MAX_NAMED else []
        return " · ".join([*more, *named])


def month_progress(selection: Selection, span: Span, plan: ChartPlan) -> None:
    """Draws what a month has of its goal: the running one with what it comes to, or the last one of an earlier period.

    Args:
        selection: The orders of the page.
        span: Their period.
        plan: The goals and the run rate.
    """
    rate, metric = plan.rate, plan.metric
    if rate is None:
        return
    runs = span.end > rate.month.start
    month = rate.month if runs else month_of(span.end)
    goal = plan.goals.of_month(month.start.date()) if plan.goals else None
    if not runs and goal is None:
        return
    so_far = rate.so_far if runs else _whole_month(selection, metric, month)
    over = not runs or selection.calendar.known_until >= month.end
    text = f"**{month.start:%B %Y}{'' if over else ' so far'}:** {_written(selection, metric, so_far)}"
    if goal:
        text += f" of {_written(selection, metric, goal)}, {formatting.literal(_part(so_far, goal))} of the goal"
    if not over:
        text += f" · {_forecast(selection, metric, rate, goal)}"
    if goal:
        with st.container(key="month_goal"):
            st.progress(float(min(max(so_far / goal, Decimal(0)), Decimal(1))), text)
    else:
        st.caption(text)


def _forecast(selection: Selection, metric: Metric, rate: RunRate, goal: Decimal | None) -> str:
    """What a month comes to, such as "about $98,210 by 30 Nov, if …", as Markdown."""
    if rate.forecast is None:
        return f"no forecast: {formatting.counted(rate.measured, 'day')} of orders, and {MIN_DAYS} are needed"
    end = formatting.day((rate.month.end - DAY).date(), year=False)
    of_goal = f" ({formatting.literal(_part(rate.forecast, goal))} of the goal)" if goal else ""
    return (
        f"about **{_written(selection, metric, rate.forecast)}** by {end}{of_goal}, from the same weekdays "
        f"of the {formatting.counted(rate.measured, 'day')} before"
    )


def editor(session: Session, selection: Selection, span: Span, plan: ChartPlan) -> None:
    """Draws the forms that set goals and add notes, for operators.

    Args:
        session: The session.
        selection: The orders of the page.
        span: Their period.
        plan: What there is.
    """
    if session.cache.read_only or not session.visitor.may("set_goals"):
        return
    shown = st.expander("Goals and notes", key="goals_and_notes", on_change="rerun")
    if not shown.open:
        return
    with shown:
        with st.grid(2, min_column_width=320):
            with st.container():
                _goal_form(session, selection, plan)
            with st.container():
                _note_form(session, selection, span, plan)
        if session.save_error:
            message("error", session.save_error)
            session.save_error = ""


def _goal_form(session: Session, selection: Selection, plan: ChartPlan) -> None:
    if plan.goals is None:
        why = "Goals are for all orders. Clear the filters to set one."
        st.caption(why if plan.metric.is_sum else f"{plan.metric.label} cannot have a goal: only sums can.")
        return
    months = _months(selection.calendar.today)
    with st.form("goal", border=False):
        unit = f" in {selection.currency}" if plan.metric.unit == "money" and selection.currency else ""
        st.text_input(f"{plan.metric.label} of a month{unit}", key="goal_amount", placeholder="None", max_chars=25)
        st.selectbox("From", months, index=MONTHS_BACK, format_func=lambda month: f"{month:%B %Y}", key="goal_month")
        st.form_submit_button("Set goal", on_click=_set_goal, args=(session, selection, plan.metric), key="set_goal")
    st.caption("It also applies to later months, until you set another one. An empty field ends it.")
    for goal in plan.goals.goals[-MAX_LISTED:]:
        amount = "no goal" if goal.amount is None else _written(selection, plan.metric, goal.amount)
        st.markdown(f"From {goal.month:%B %Y}: {amount}")


def _months(today: date) -> list[date]:
    start = midnight(today.replace(day=1))
    return [units_later("month", start, n).date() for n in range(-MONTHS_BACK, MONTHS_AHEAD + 1)]


def _note_form(session: Session, selection: Selection, span: Span, plan: ChartPlan) -> None:
    with st.form("note", border=False, clear_on_submit=True):
        st.date_input(
            "Day",
            min(last_day(span), selection.calendar.today),
            min_value=EARLIEST,
            max_value=LATEST,
            format="YYYY-MM-DD",
            key="note_day",
        )
        st.text_input("What happened", key="note_text", max_chars=MAX_TEXT, placeholder="Campaign begins")
        st.form_submit_button("Add note", on_click=_add_note, args=(session,), key="add_note")
    st.caption("Everyone who sees the dashboard sees notes.")
    for note in plan.notes.notes_of(span.start.date(), last_day(span) + DAY)[-MAX_LISTED:]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{formatting.day(note.day)}: {formatting.literal(note.text)}", width="stretch")
            st.button(
                "Remove",
                help=f"Remove the note of {formatting.day(note.day)}",
                key=f"remove_note {note.id}",
                type="tertiary",
                on_click=_change,
                args=(session, lambda made, id=note.id: made.remove_note(id)),
            )


def _set_goal(session: Session, selection: Selection, metric: Metric) -> None:
    amount, month = st.session_state["goal_amount"], st.session_state["goal_month"]
    converted = selection.orders.rates is not None

    def change(plan: Plan) -> Plan:
        goal = checked_amount(amount)
        return plan.set_goal(
            Goal(metric=metric.id, currency=selection.currency, converted=converted, month=month, amount=goal)
        )

    _change(session, change)


def _add_note(session: Session) -> None:
    day, text = st.session_state["note_day"], st.session_state["note_text"]
    _change(session, lambda plan: plan.add_note(Note(id=new_id(), day=day, text=checked_text(text))))


def _change(session: Session, change: Callable[[Plan], Plan]) -> None:
    if not session.visitor.may("set_goals"):
        return
    try:
        session.cache.documents.change(PLAN, change)
    except CacheError as error:
        session.save_error = str(error)


def _run_rate(selection: Selection, metric: Metric) -> RunRate | None:
    extent = data.extent(selection.orders)
    if extent is None or "dates" in selection.orders.missing:
        return None
    known_until = selection.calendar.known_until
    values = _by_step(selection, metric, "day", needed_days(known_until))
    return run_rate({at.date(): value for at, value in values.items()}, extent.start.date(), known_until)


def _whole_month(selection: Selection, metric: Metric, month: Span) -> Decimal:
    return sum(_by_step(selection, metric, "month", month).values(), Decimal(0))


def _by_step(selection: Selection, metric: Metric, step: Unit, span: Span) -> dict[datetime, Decimal]:
    groups = data.series(selection.orders, step, span, selection.conditions, selection.returns)
    return {group.at: Decimal(or_zero(metric.value(group.figures))) for group in groups if group.at}


def _written(selection: Selection, metric: Metric, amount: Decimal) -> str:
    return formatting.literal(write(metric, time_chart.rounded(metric, amount), selection.currency))


def _part(amount: Decimal, goal: Decimal) -> str:
    return formatting.percent(amount / goal, 0)
