"""The answers to what a reading leaves open, and the figures that each of them gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from cache.analytics.orders import Orders
from cache.analytics.values import Amount
from cache.query.filters import Condition
from cache.reading import Question, Reading
from cache.table_setup import Setup
from dashboard.orders_loader import OrdersLoader
from dashboard.session import Session
from dashboard.text import readings

FIELDS: Mapping[Question, str] = {"grain": "grain", "dates": "instants", "amounts": "amounts", "tax": "taxes_included"}
"""The field of `Setup` that answers a question. What has no field is answered by reading the table anew."""


@dataclass(frozen=True)
class Option:
    """An answer to a question.

    Attributes:
        text: How it is written.
        value: The value of its field in Settings.
        setup: The settings.
        reading: The reading with this answer; None where all of the data decides, by the settings.
    """

    text: str
    value: Any
    setup: Setup
    reading: Reading | None = None


@dataclass(frozen=True)
class Outcome:
    """The figures that an answer gives, over the newest rows of the table.

    Attributes:
        rows: How many rows.
        orders: Orders in the main currency.
        total_sales: Their total sales.
        currency: The main currency; "" where the table has none.
        first: The first order on the shop's clock; None where no order has a date.
        last: The last order.
    """

    rows: int
    orders: int
    total_sales: Amount
    currency: str
    first: datetime | None
    last: datetime | None


def options(orders: Orders, question: Question) -> list[Option]:
    """The answers to a question, in the order in which Settings offer them."""
    setup, reading = orders.setup, orders.reading
    match question:
        case "grain":
            return [
                Option(f"A row is {text}", grain, setup.model_copy(update={"grain": grain}))
                for grain, text in readings.GRAINS.items()
                if grain != "version" or "updated_at" in orders.roles
            ]
        case "dates":
            names = text_dates(orders)
            return [
                _kept(orders, text, style, instants={**reading.instants, **dict.fromkeys(names, style)})
                for style, text in readings.DATE_ORDERS.items()
            ]
        case "amounts":
            return [
                _kept(orders, text, mark, amounts=dict.fromkeys(reading.amounts, mark))
                for mark, text in readings.MARKS.items()
            ]
        case "tax":
            return [_kept(orders, text, included, taxes_included=included) for included, text in readings.TAXES.items()]
        case "changed":
            return [Option("As it is read now", "now", setup, reading), Option("As the data suggests", "anew", setup)]


def _kept(orders: Orders, text: str, value: object, **answer: object) -> Option:
    """An answer that leaves the rest of the reading as it is."""
    return Option(text, value, orders.setup, orders.reading.model_copy(update=answer))


def text_dates(orders: Orders) -> list[str]:
    """Columns of dates whose day and month could be read in two ways."""
    return [name for name, style in orders.reading.instants.items() if style in readings.DATE_ORDERS]


def outcome(session: Session, orders: Orders, option: Option) -> Outcome:
    """The figures that an answer gives.

    Raises:
        CacheError: The data on disk cannot be read.
    """
    reading = option.reading.model_dump_json() if option.reading else ""
    key = f"{orders.generation} {option.setup.model_dump_json()} {reading}"
    return _outcome(key, session.backend.orders, orders.generation, option, session.settings.shop_currency or "")


@st.cache_data(max_entries=50, show_spinner=False)
def _outcome(key: str, _loader: OrdersLoader, _generation: int, _option: Option, _currency: str) -> Outcome:
    reading = _option.reading or _loader.suggested_reading(_generation, _option.setup)
    sample = _loader.sample(_generation, _option.setup, reading)
    codes = [code for code, _ in sample.currencies()]
    wanted = (_option.setup.currency, _currency)
    currency = next((code for code in wanted if code and code in codes), codes[0] if codes else "")
    figures = sample.figures(None, [Condition("currency", "eq", currency)])
    first, last = sample.extent() or (None, None)
    return Outcome(sample.rows, figures.orders, figures.total_sales, currency, first, last)
