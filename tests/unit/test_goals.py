"""Goals, notes and the run rate: what they are, and what the overview shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from page_run import backend_of, captions, messages, run, shown_text, table
from shop_factory import SHOP_COLUMNS, shop
from stores import FileStore, PostgreSQLStore, Store
from streamlit.testing.v1 import AppTest

from cache.calendar.periods import Span
from cache.calendar.run_rate import MIN_DAYS, month_of, needed_days, run_rate
from cache.errors import NotSaved
from cache.query.filters import Condition
from cache.saved import plan as saved_plan
from cache.saved.plan import MAX_TEXT, Goal, Note, Plan, checked_amount, checked_text
from cache.storage.documents import DOCUMENTS, PLAN
from cache.storage.records import now
from dashboard.auth.access import Visitor
from dashboard.auth.identity import Identity
from dashboard.backend import Backend
from dashboard.text.formatting import money


def goal(month: date, amount: int | None, currency: str = "USD", metric: str = "total_sales") -> Goal:
    return Goal(metric=metric, currency=currency, month=month, amount=None if amount is None else Decimal(amount))


NOV, DEC, JAN, FEB = date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)


# -- goals


def test_a_goal_holds_until_another_one_does() -> None:
    plan = Plan().set_goal(goal(JAN, None)).set_goal(goal(NOV, 300)).set_goal(goal(DEC, 310))
    goals = plan.goals_of("total_sales", "USD", converted=False)
    assert [goals.of_month(each) for each in (date(2026, 10, 31), NOV, date(2026, 11, 30), DEC, JAN, FEB)] == [
        *(None, Decimal(300), Decimal(300), Decimal(310), None, None)
    ]
    assert plan.set_goal(goal(NOV, 30)).goals_of("total_sales", "USD", converted=False).of_month(NOV) == 30


def test_goals_of_figures_and_currencies_are_apart() -> None:
    plan = Plan().set_goal(goal(NOV, 1)).set_goal(goal(NOV, 2, "EUR")).set_goal(goal(NOV, 3, metric="orders"))
    plan = plan.set_goal(goal(NOV, 4, "EUR").model_copy(update={"converted": True}))
    asked = [("total_sales", "USD", False), ("total_sales", "EUR", False), ("orders", "USD", False)]
    asked.append(("total_sales", "EUR", True))
    assert [plan.goals_of(*each).of_month(NOV) for each in asked] == [1, 2, 3, 4]


def test_days_have_their_part_of_the_goals_of_their_months() -> None:
    goals = Plan().set_goal(goal(NOV, 300)).set_goal(goal(DEC, 310)).goals_of("total_sales", "USD", False)
    assert goals.of_days(date(2026, 11, 30), date(2026, 12, 2)) == 20
    assert goals.of_days(NOV, JAN) == 610
    assert goals.of_days(date(2026, 10, 31), date(2026, 11, 2)) is None


@pytest.mark.parametrize(("text", "amount"), [("100,000.50", "100000.50"), (" 7 ", "7"), ("", None), ("  ", None)])
def test_an_amount_is_an_exact_decimal(text: str, amount: str | None) -> None:
    assert checked_amount(text) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize("text", ["0", "-5", "1e9", "NaN", "ten", "1" * 16, "1.23456", "٣"])
def test_what_is_no_positive_number_is_no_goal(text: str) -> None:
    with pytest.raises(NotSaved, match="is no goal"):
        checked_amount(text)


# -- notes


def test_notes_of_days_come_in_their_order_and_can_be_removed() -> None:
    plan = Plan()
    for day in (DEC, NOV, date(2026, 11, 30)):
        plan = plan.add_note(Note(id=str(day), day=day, text="x"))
    assert [note.day for note in plan.notes_of(NOV, DEC)] == [NOV, date(2026, 11, 30)]
    assert [note.day for note in plan.remove_note(str(NOV)).notes_of(NOV, JAN)] == [date(2026, 11, 30), DEC]


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_TEXT + 1)])
def test_a_note_without_a_text_or_with_a_long_one_is_refused(text: str) -> None:
    with pytest.raises(NotSaved):
        checked_text(text)


def test_the_numbers_of_goals_and_notes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_plan, "MAX_NOTES", 1)
    monkeypatch.setattr(saved_plan, "MAX_GOALS", 1)
    plan = Plan().set_goal(goal(NOV, 1)).add_note(Note(id="1", day=NOV, text="x"))
    assert plan.set_goal(goal(NOV, 2)).goals[0].amount == 2
    with pytest.raises(NotSaved):
        plan.set_goal(goal(DEC, 2))
    with pytest.raises(NotSaved):
        plan.add_note(Note(id="2", day=NOV, text="x"))


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(here: object, request: pytest.FixtureRequest) -> Store:
    folder = request.getfixturevalue("here")
    if request.param == "file":
        return FileStore(folder)
    return PostgreSQLStore(request.getfixturevalue("shared_url"), folder)


def test_goals_are_kept_with_what_people_made_to_the_last_decimal(store: Store) -> None:
    assert PLAN in DOCUMENTS
    cache, other = store.open(), store.open()
    made = Plan().set_goal(goal(NOV, 1).model_copy(update={"amount": Decimal("99999999999999.0001")}))
    made = made.add_note(Note(id="1", day=NOV, text="🎂 <b>"))
    cache.documents.change(PLAN, lambda _: made)
    assert other.documents.read(PLAN) == made
    cache.close()
    other.close()


# -- the run rate

KNOWN = datetime(2026, 11, 18, 14)  # a Wednesday


def weekdays(until: date, weeks: int = 8) -> dict[date, Decimal]:
    """1 on each Monday, 2 on each Tuesday and so on, up to the day before."""
    days = [until - timedelta(days=back) for back in range(1, weeks * 7 + 1)]
    return {day: Decimal(day.weekday() + 1) for day in days}


def test_remaining_days_are_like_the_mean_of_their_weekday() -> None:
    days = weekdays(KNOWN.date())
    rate = run_rate(days, min(days), KNOWN)
    november = [date(2026, 11, n) for n in range(1, 31)]
    assert rate.forecast == sum(day.weekday() + 1 for day in november)
    assert (rate.so_far, rate.measured) == (sum(day.weekday() + 1 for day in november[:17]), 56)


def test_the_day_in_progress_counts_with_its_mean_or_what_it_has_if_more() -> None:
    days = weekdays(KNOWN.date())
    usual = run_rate(days, min(days), KNOWN).forecast
    assert usual is not None
    for has, more in ((1, 0), (3, 0), (10, 7)):
        rate = run_rate({**days, KNOWN.date(): Decimal(has)}, min(days), KNOWN)
        assert rate.forecast == usual + more
    assert rate.so_far == run_rate(days, min(days), KNOWN).so_far + 10


def test_days_without_orders_count_and_days_before_the_first_order_do_not() -> None:
    days = weekdays(KNOWN.date())
    without = {day: value for day, value in days.items() if day.weekday() != 6}
    assert run_rate(without, min(days), KNOWN).measured == 56
    first = KNOWN.date() - timedelta(days=MIN_DAYS)
    rate = run_rate(days, first, KNOWN)
    assert (rate.measured, rate.forecast) == (28, run_rate(days, min(days), KNOWN).forecast)
    assert run_rate(days, first + timedelta(days=1), KNOWN).forecast is None


def test_a_month_that_is_over_has_what_it_had() -> None:
    midnight = datetime(2026, 12, 1)
    days = weekdays(midnight.date())
    rate = run_rate(days, min(days), midnight)
    assert rate.month == month_of(datetime(2026, 11, 5))
    assert rate.forecast == rate.so_far


@pytest.mark.parametrize("known", [KNOWN, datetime(2026, 12, 1), datetime(2026, 11, 1, 0, 1), datetime(2027, 1, 31, 9)])
def test_all_days_that_are_needed_are_read(known: datetime) -> None:
    needed = needed_days(known)
    days = {needed.start.date() + timedelta(days=n): Decimal(1) for n in range(100)}
    days = {day: value for day, value in days.items() if day < known.date()}
    rate = run_rate(days, date(2020, 1, 1), known)
    assert rate.forecast == (rate.month.end - rate.month.start).days


# -- on the overview


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A shop of three years, in a zone in which its days are not those of UTC."""
    folder = tmp_path_factory.mktemp("goals")
    with backend_of(folder, shop(600), SHOP_COLUMNS, shop_timezone="Pacific/Auckland") as opened:
        yield opened


def progress(page: AppTest) -> str:
    """What the overview says of the month."""
    bars = [shown_text(each.proto.text) for each in page.get("progress")]
    return " ".join([*bars, captions(page)]).replace("**", "")


def set_plan(backend: Backend, plan: Plan) -> None:
    backend.cache.documents.change(PLAN, lambda _: plan)


@pytest.mark.slow
def test_the_overview_shows_what_the_month_has_of_its_goal(backend: Backend) -> None:
    orders = backend.orders.newest(1)
    currency = orders.currencies()[0][0]
    today = now().astimezone(ZoneInfo("Pacific/Auckland")).date()
    month = Span.of_days(today.replace(day=1), today)
    sold = orders.figures(month, [Condition("currency", "eq", currency)]).total_sales
    assert isinstance(sold, Decimal)
    set_plan(backend, Plan().set_goal(goal(today.replace(day=1), 100_000, currency)))
    said = progress(run(backend, "overview", {"period": "30d"}))
    assert f"{today:%B %Y}" in said
    assert f"{money(sold, currency, abs(sold) >= 10_000)} of $100,000, {sold / 1000:.0f}% of the goal" in said
    filtered = progress(run(backend, "overview", {"period": "30d", "status": "paid"}))
    assert "of the goal" not in filtered  # a goal is for all orders
    no_sum = progress(run(backend, "overview", {"period": "30d", "metric": "average_order_value"}))
    assert f"{today:%B %Y}" not in no_sum


@pytest.mark.slow
def test_goals_and_notes_stand_in_the_table_of_the_chart(backend: Backend) -> None:
    currency = backend.orders.newest(1).currencies()[0][0]
    plan = Plan().set_goal(goal(date(2020, 1, 1), 31, currency))
    last = now().date() - timedelta(days=40)
    set_plan(backend, plan.add_note(Note(id="1", day=last, text="<b>Sale</b> *begins*")))
    page = run(backend, "overview", {"period": "365d", "step": "month", "compare": "none"})
    page.session_state["chart_data"] = True
    page.run()
    header, *rows = table(page, "Over time")
    assert header == ["Month", "Total sales", "Goal", "Reached", "Notes"]
    assert {row[2] for row in rows[1:-2]} == {"$31.00"}
    assert [row[4] for row in rows if f"{last:%B %Y}" in row[0]] == ["<b>Sale</b> *begins*"]
    assert "<b>Sale</b> *begins*" in captions(page)


@pytest.mark.slow
def test_operators_set_goals_and_add_notes_and_viewers_do_not(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_plan(backend, Plan())
    page = run(backend, "overview", {"period": "30d", "metric": "orders"})
    page.session_state["goals_and_notes"] = True
    page.run()
    page.text_input(key="goal_amount").set_value("1,200")
    page.button(key="set_goal").click().run()
    page.text_input(key="note_text").set_value("  Price\nchange ")
    page.button(key="add_note").click().run()
    plan = backend.cache.documents.read(PLAN)
    assert [(each.metric, each.amount) for each in plan.goals] == [("orders", 1200)]
    assert [note.text for note in plan.notes] == ["Price change"]
    page.text_input(key="goal_amount").set_value("many")
    page.button(key="set_goal").click().run()
    assert "“many” is no goal." in " ".join(messages(page, "error"))
    page.button(key=f"remove_note {plan.notes[0].id}").click().run()
    assert not backend.cache.documents.read(PLAN).notes
    monkeypatch.setattr(Visitor, "identity", lambda _: Identity("viewer", "viewer", "1"))
    viewed = run(backend, "overview", {"period": "30d"})
    assert "Goals and notes" not in [each.label for each in viewed.expander]
