"""What the serving process sends to the worker process that computes figures. Imports no engine."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.figure_query import FigureQuery
from cache.export.about import About
from cache.export.row_format import CsvStyle, FileFormat
from cache.settings import CancelledOrders, WeekStart
from cache.table_setup import Setup


class OrdersSource(BaseModel, frozen=True):
    """Which orders figures are computed from, and how they are read.

    Attributes:
        generation: The generation.
        setup: The set-up of the table.
        timezone: IANA name of the shop's time zone, where the set-up has none.
        week_start: The first day of a week.
        cancelled_orders: The setting CANCELLED_ORDERS.
        main_currency: The currency that figures are in, where neither the query nor the set-up names one.
        mask: What is hidden from masked keys.
    """

    generation: int
    setup: Setup
    timezone: str
    week_start: WeekStart
    cancelled_orders: CancelledOrders
    main_currency: str
    mask: Mask


class FigureRequest(BaseModel, frozen=True):
    """A request to a worker.

    Attributes:
        what: Just `open` the orders, `describe` metrics and dimensions, compute `figures`, or list the `events` of one.
        source: The orders.
        now: The instant that decides which day it is.
        verified_at: When the generation was verified.
        query: Which figures.
        rates: What amounts in all currencies are converted by; None: they are not.
        mask: What is hidden from whoever asks.
        format: The file format.
        csv: The style of CSV.
        about: What the file says of itself.
        offset: Rows to leave out at the beginning.
        limit: Rows at most.
    """

    what: Literal["open", "describe", "figures", "events"]
    source: OrdersSource
    now: datetime
    verified_at: datetime
    query: FigureQuery = FigureQuery()
    rates: ExchangeRates | None = None
    mask: Mask = NOTHING_HIDDEN
    format: FileFormat = "json"
    csv: CsvStyle = CsvStyle()
    about: About | None = None
    offset: int = 0
    limit: int = 0
