"""Goals and notes: what operators add to the chart of the overview."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal

from pydantic import BaseModel, Field

from cache.control_characters import without_controls
from cache.errors import NotSaved

MAX_TEXT = 200  # characters of a note
MAX_NOTES = 1_000
MAX_GOALS = 1_000
_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,4})?")


class Goal(BaseModel, frozen=True):
    """What a figure is to reach in each month, from one on.

    Attributes:
        metric: The figure.
        currency: The currency of the orders that count, "" for none; that of all amounts, where they are converted.
        converted: Whether orders in all currencies count, with converted amounts.
        month: The first day of the first month. The goal holds until a later one does.
        amount: The goal; None: there is none from then on.
    """

    metric: str
    currency: str
    converted: bool = False
    month: date
    amount: Decimal | None


class Note(BaseModel, frozen=True):
    """What happened on a day.

    Attributes:
        id: Its id.
        day: The day on the shop's clock.
        text: What happened.
    """

    id: str
    day: date
    text: str = Field(max_length=MAX_TEXT)


class Goals:
    """The goals of one figure, in one currency.

    Attributes:
        goals: The goals, oldest first.
    """

    def __init__(self, goals: list[Goal]) -> None:
        self.goals = sorted(goals, key=lambda goal: goal.month)

    def of_month(self, day: date) -> Decimal | None:
        """The goal of the month that a day lies in; None where it has none."""
        holding = [goal for goal in self.goals if goal.month <= day]
        return holding[-1].amount if holding else None

    def of_days(self, first: date, end: date) -> Decimal | None:
        """The goal of some days: of each month the part that its days are. None where a day has none.

        Args:
            first: The first day.
            end: The day after the last one.
        """
        total = Decimal(0)
        while first < end:
            days = monthrange(first.year, first.month)[1]
            next_month = first.replace(day=1) + timedelta(days=days)
            amount = self.of_month(first)
            if amount is None:
                return None
            total += amount * (min(end, next_month) - first).days / days
            first = next_month
        return total


class Plan(BaseModel, frozen=True):
    """All goals and notes.

    Attributes:
        goals: The goals.
        notes: The notes.
    """

    goals: tuple[Goal, ...] = ()
    notes: tuple[Note, ...] = ()

    def goals_of(self, metric: str, currency: str, converted: bool) -> Goals:
        """The goals of a figure (`Goal`)."""
        return Goals([each for each in self.goals if _key(each)[:3] == (metric, currency, converted)])

    def notes_of(self, first: date, end: date) -> list[Note]:
        """The notes of some days, oldest first. `end` is the day after the last one."""
        return sorted((note for note in self.notes if first <= note.day < end), key=lambda note: note.day)

    def set_goal(self, goal: Goal) -> Plan:
        """The same with a goal, in place of the one from the same month.

        Raises:
            NotSaved: There are too many.
        """
        others = [each for each in self.goals if _key(each) != _key(goal)]
        if len(others) >= MAX_GOALS:
            raise NotSaved(f"{MAX_GOALS:,} goals are saved already.", "A goal holds for all later months too.")
        return self.model_copy(update={"goals": (*others, goal)})

    def add_note(self, note: Note) -> Plan:
        """The same with a note.

        Raises:
            NotSaved: There are too many.
        """
        if len(self.notes) >= MAX_NOTES:
            raise NotSaved(f"{MAX_NOTES:,} notes are saved already.", "Remove some.")
        return self.model_copy(update={"notes": (*self.notes, note)})

    def remove_note(self, id: str) -> Plan:
        """The same without a note."""
        return self.model_copy(update={"notes": tuple(note for note in self.notes if note.id != id)})


def checked_text(text: str) -> str:
    """The text of a note as it is saved: without control characters, and with single spaces.

    Raises:
        NotSaved: It is empty or too long.
    """
    checked = " ".join(without_controls(text).split())
    if not checked:
        raise NotSaved("The note has no text.", "Enter what happened.")
    if len(checked) > MAX_TEXT:
        raise NotSaved("The note is too long.", f"Take at most {MAX_TEXT} characters.")
    return checked


def checked_amount(text: str) -> Decimal | None:
    """The amount of a goal, such as 100000 or 100,000.50; None for an empty text.

    Raises:
        NotSaved: It is not a positive number.
    """
    digits = text.replace(",", "").replace(" ", "")
    if not digits:
        return None
    if not _AMOUNT.fullmatch(digits) or not Decimal(digits):
        raise NotSaved(f"“{text[:30]}” is no goal.", "Enter a number such as 100000 or 100,000.50.")
    return Decimal(digits)


def _key(goal: Goal) -> tuple[str, str, bool, date]:
    return goal.metric, goal.currency, goal.converted, goal.month
