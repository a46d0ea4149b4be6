"""The top of each page of figures (title, freshness, filters) and its bottom (notes on excluded orders)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import duckdb
import streamlit as st

from cache.analytics.dimensions.catalogue import DIMENSIONS, DimensionId
from cache.analytics.dimensions.ranges import RANGES
from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.orders import Orders
from cache.calendar.periods import DAY, ShopCalendar, Span, midnight
from cache.errors import CacheError, SettingsInvalid
from cache.interpretation.requirements import Requirement
from cache.storage.records import now
from cache.storage.snapshot import Head
from dashboard import data
from dashboard.address import parameters
from dashboard.components import freshness
from dashboard.components.filter_chips import filter_chips, space_for_chips
from dashboard.components.no_orders import nothing_found, unknown_choices
from dashboard.components.report_head import report_head
from dashboard.messages import message
from dashboard.saved.address_needs import lacks, sentence
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting, readings
from dashboard.text.formatting import counted
from dashboard.view import View
from dashboard.web.report import can_print

_RARE: frozenset[Requirement] = frozenset(
    (
        "region",
        "city",
        "tags",
        "variants",
        "vendors",
        "tax rates",
        "duties",
        "fees",
        "tips",
        "gift cards",
        "adjustments",
        "dates of returns",
    )
)
"""What many tables lack and few readers miss; `GET /figures/metrics` names it too."""

NEWEST = 30 * DAY
"""How much a page shows first of a table whose last order is older."""

NO_MEMORY = "Give its container or machine more memory, or raise MEMORY_LIMIT_MB where it is set."
NO_REPORT = "No report as PDF: the server has no Chromium. Print the page instead."
MAX_RATES = 3  # that the foot of a page names


def head(session: Session, title: str) -> tuple[Orders, Head] | None:
    """Draws the title and the freshness, and loads the newest orders.

    Returns:
        The orders, and the pointer to their generation. None if they cannot be loaded; then the reason is drawn.
    """
    status = session.cache.status()
    freshness.page_head(session, title, status)
    if status.head is None and (error := status.cache_error):
        message("error", error.advice, error.message)
        return None
    if status.head is None:
        freshness.nothing_yet(session)
        return None
    try:
        with st.skeleton(height=420):  # after a start the first visitor waits until the table is read
            orders = session.backend.orders.newest(status.head.generation)
            return orders.masked(session.visitor.mask(orders)), status.head
    except CacheError as error:
        message("error", str(error), "The data on disk cannot be read.")
        return None
    except duckdb.OutOfMemoryException:
        message("error", NO_MEMORY, "The orders need more memory than the dashboard may use.")
        return None


def page(session: Session, title: str, all_currencies: bool = False) -> Selection | None:
    """Draws title, freshness and filters.

    Args:
        session: The session.
        title: The title of the page.
        all_currencies: Whether the page lists orders in all currencies. Then there is no choice of one.

    Returns:
        The selected orders; None if there are none at all, which is said.
    """
    loaded = head(session, title)
    if loaded is None:
        return None
    orders, newest = loaded
    extent = data.extent(orders)
    last_order = extent.end if extent else None
    calendar = ShopCalendar.at(now(), orders.timezone, newest.updated_at, last_order, orders.week_start)
    last_days = _last_days(calendar, last_order)
    view = session.address.restore(last_days)
    selection = select(session, orders, calendar, view, all_currencies)
    if not data.count(orders, None, ()):
        nothing_found(session, selection)
        foot(selection)
        return None
    rates_file = session.backend.rates_file
    with st.container(key="chips_place"):
        st.html(space_for_chips(session, selection))
        place = st.container()

    def draw_chips() -> None:
        with place:
            filter_chips(session, selection, rates_file.currency if rates_file else "")

    session.draw_later(draw_chips)  # they read the table for the values that they offer; figures come first
    unknown_choices(session, selection)
    if found := lacks(parameters(), orders):
        text = f"The address asks for {sentence(found)}. That is left out."
        st.markdown(f":orange[:material/warning:] {formatting.literal(text)}")
    if last_days and selection.span == last_days:
        day = formatting.day(last_days.end - DAY)
        st.markdown(f":blue[:material/info:] The last order is of {day}. These are the {NEWEST.days} days up to it.")
    report_head(session, selection, newest)
    return selection


def select(
    session: Session, orders: Orders, calendar: ShopCalendar, view: View, all_currencies: bool = False
) -> Selection:
    """The orders that a view shows.

    Args:
        session: The session.
        orders: All orders, with amounts in their own currencies.
        calendar: The shop's calendar.
        view: The view. Filters by what is hidden, or by what the table does not have, are left out.
        all_currencies: Whether orders in all currencies are listed.
    """
    ranges = [name for name, _ in view.ranges if not orders.has(RANGES[name].filtered)]
    view = view.without_filters([*(name for name in view.filters() if not orders.offers(name)), *ranges])
    currency, at = _currency(session, orders, view), now()
    conditions = view.conditions(None if all_currencies else currency, at)
    if view.convert and not all_currencies and (rates := _rates(session)):
        orders, currency, conditions = orders.converted(rates), rates.currency, view.conditions(None, at)
    span = view.span(calendar, data.extent(orders)) if "dates" not in orders.missing else None
    compared = view.comparison(calendar, span) if span else None
    return Selection(orders, view, calendar, currency, span, compared, conditions, all_currencies)


def _last_days(calendar: ShopCalendar, last_order: datetime | None) -> Span | None:
    """The days up to the last order, where the default period would have none."""
    if last_order is None or midnight(calendar.today) - midnight(last_order.date()) <= NEWEST:
        return None
    end = midnight(last_order.date()) + DAY
    return Span(end - NEWEST, end)


def foot(selection: Selection) -> None:
    """Draws notes on the time zone, on excluded orders, and on figures that the table cannot provide."""
    orders = selection.orders
    notes = [] if "dates" in orders.missing else [f"Times are in the shop's time zone, {orders.timezone}."]
    notes += _currency_notes(selection)
    for why, count in orders.left_out.items():
        notes.append(f"{counted(count, f'{why} order is', f'{why} orders are')} excluded.")
    sentences = [doubt] if (doubt := readings.doubt(orders.reading)) else []
    sentences += [sentence for name, sentence in orders.missing.items() if name not in _RARE]
    sentences += [hidden_note(orders.hidden)] if orders.hidden else []
    st.caption(" ".join([*map(formatting.literal, notes), *map(formatting.plain, sentences)]))
    if can_print():
        st.html('<a class="report-link" href="report">Report as PDF</a>')
    else:
        st.html(f'<span class="report-link">{NO_REPORT}</span>')


def hidden_note(names: Collection[DimensionId]) -> str:
    """A sentence that says why some dimensions are not offered."""
    nouns = sorted(DIMENSIONS[name].noun for name in names)
    return f"Not shown to viewers, since a column behind it holds personal data: {', '.join(nouns)}."


def _currency_notes(selection: Selection) -> list[str]:
    """Which orders are excluded by their currency, and at which rates amounts were converted."""
    orders, rates = selection.orders, selection.orders.rates
    counts = dict(data.currencies(orders.in_own_currencies))
    if selection.all_currencies:
        return []
    if rates is None:
        others = {code: count for code, count in counts.items() if code != selection.currency}
        return [f"Orders in other currencies are excluded, of all time {_counts(others)}."] if others else []
    newest = [rate for code in counts if code != rates.currency and (rate := rates.newest(code))]
    examples = ", ".join(
        f"1 {code} = {value.normalize():f} {rates.currency} on {formatting.day(day)}"
        for day, code, value in newest[:MAX_RATES]
    )
    notes = [f"Amounts in other currencies are converted to {rates.currency}, each at the rate of its own day."]
    if examples:
        notes.append(f"Newest rates: {examples}.")
    if without_rate := orders.facts.without_rate:
        notes.append(f"Orders without an exchange rate are excluded, of all time {_counts(without_rate)}.")
    return notes


def _counts(currencies: Mapping[str, int]) -> str:
    """Numbers of orders by currency."""
    return ", ".join(
        f"{count:,} {f'in {code}' if code else 'without a currency'}" for code, count in currencies.items()
    )


def _rates(session: Session) -> ExchangeRates | None:
    """Returns the exchange rates. None if there are none, or if they cannot be read; then the reason is drawn."""
    try:
        return session.backend.rates_file.read() if session.backend.rates_file else None
    except SettingsInvalid as error:
        message("error", str(error), "Amounts cannot be converted.")
        return None


def _currency(session: Session, orders: Orders, view: View) -> str:
    """Returns the currency in the URL, else in the settings, else the currency with the most orders."""
    codes = [code for code, _ in data.currencies(orders)]
    wanted = (view.currency, orders.setup.currency or "", session.settings.shop_currency or "")
    return next((code for code in wanted if code in codes and code), codes[0] if codes else "")
