"""The checks over the data: what each one proves, how many orders agree, and links to those that do not."""

from __future__ import annotations

from datetime import date

import streamlit as st

from cache.access.masking import Mask
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import CHECKS, CheckId, CheckReport, CheckResult, share_text
from dashboard import data
from dashboard.components.marks import CHECK
from dashboard.components.order_drawer import ORDER
from dashboard.components.table import Cell, Column, Line, table
from dashboard.session import Session
from dashboard.text import formatting, readings
from dashboard.text.metrics import LARGE
from dashboard.view import custom_period

MAX_LINKS = 5  # of a check


def checks_table(session: Session, orders: Orders, report: CheckReport | None) -> None:
    """Draws the checks of a generation, and the questions that its reading leaves open.

    Args:
        session: The session.
        orders: The orders of the generation.
        report: What the checks found; None if they were not made.
    """
    with st.container(border=True, key="checks"):
        help = "Each check compares values of an order that must agree. Figures that depend on an order that "
        st.header("Checks", anchor=False, help=f"{help}fails a check carry a mark.")
        if report is None:
            st.caption("The checks of this copy were not made. The next sync that finds changes makes them.")
        else:
            _checks(session, orders, report)
        if doubt := readings.doubt(orders.reading):
            st.markdown(formatting.plain(doubt))
            if session.visitor.may("change_settings"):
                session.navigator.link("set-up", "Open Settings")


def _checks(session: Session, orders: Orders, report: CheckReport) -> None:
    if not report.checks:
        st.caption("No two values of this table must agree with each other, so there is nothing to check.")
        return
    share = share_text(report.agree, report.orders) if report.orders else "–"
    st.caption(f"{share} of {formatting.counted(report.orders, 'order')} pass every check that applies to them.")
    columns = [
        Column("Check"),
        Column("Checked", number=True, wide=True),
        Column("Agree", number=True),
        Column("Difference", wide=True),
        Column("Do not agree"),
    ]
    mask = session.visitor.mask(orders)
    lines = [_line(orders, name, report.checks[name], mask) for name in CHECKS if name in report.checks]
    if picked := table("Checks", columns, lines, key="checks_table", on_pick=lambda _: None):
        check, _, key = picked.partition(" ")
        if check == "volume":
            session.navigator.go("orders", **custom_period(_day(key)))
        order = {ORDER: key} if key else {}
        session.navigator.go("orders", period="all", **{CHECK: check}, **order)


def _line(orders: Orders, check: CheckId, result: CheckResult, mask: Mask) -> Line:
    about = CHECKS[check]
    amounts = (formatting.money(amount, code, amount >= LARGE) for code, amount in result.differences.items())
    difference = " · ".join(amounts)
    counted = f"{result.checked:,} {'days' if check == 'volume' else 'orders'}"
    agree = share_text(result.agree, result.checked) if result.checked else "–"
    return Line(
        [
            Cell(about.title, under=about.rule.replace("`", ""), more=f"± {difference}" if difference else ""),
            Cell(counted),
            Cell(agree, tone="orange" if result.failed else None, more=f"of {counted}"),
            difference or "–",
            Cell("" if result.failed else "–", links=_links(orders, check, result, mask)),
        ]
    )


def _links(orders: Orders, check: CheckId, result: CheckResult, mask: Mask) -> tuple[tuple[str, str], ...]:
    """The first that do not agree, and all of them: each with its text and what is picked."""
    if check == "volume":
        return tuple((formatting.day(_day(day).start), f"{check} {day}") for day in result.examples)
    shown = () if mask.hides_one_of(orders.facts.key_columns) else result.examples[:MAX_LINKS]
    numbers = data.numbers_by_text(orders, shown, mask)
    links = [(numbers.get(key, key), f"{check} {key}") for key in shown]
    if result.failed > len(shown):
        links.append(("The order" if result.failed == 1 else f"All {result.failed:,} orders", check))
    return tuple(links)


def _day(text: str) -> Span:
    day = date.fromisoformat(text)
    return Span.of_days(day, day)
