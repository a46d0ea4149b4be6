"""Computes figures and writes them. Runs in a worker process (cache/export/worker.py).

It keeps the orders of one generation open, and takes over their tables for the next one.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cache.access.masking import Mask
from cache.analytics.dimensions.catalogue import DIMENSIONS
from cache.analytics.events import FigureEvents
from cache.analytics.exchange_rates import ExchangeRates
from cache.analytics.figure_query import ALL_CURRENCIES, FigureQuery
from cache.analytics.figure_table import FigureTable, ResolvedQuery, compute, reason, resolve
from cache.analytics.figures import Figures, Returns
from cache.analytics.marks import Mark, mark_of
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.orders import Orders
from cache.calendar.periods import ShopCalendar, Span
from cache.check_report import CheckId
from cache.errors import QueryRefused
from cache.export.event_rows import event_columns
from cache.export.figure_request import FigureRequest, OrdersSource
from cache.export.figure_rows import FigureColumns, figure_columns, json_value, rounded
from cache.export.row_files import RowsToWrite, Send, write_rows
from cache.export.row_format import FileFormat, RowFormat
from cache.interpretation.chosen_reading import reading_in_use
from cache.reading import StoredReading
from cache.storage.documents import READING
from cache.storage.store import Cache

log = logging.getLogger(__name__)

_NESTED: tuple[FileFormat, ...] = ("json", "ndjson")  # formats whose cells hold JSON


class FigureExecutor:
    """Executes requests for figures, one at a time.

    Args:
        cache: The cache.
        folder: For temporary files.
    """

    def __init__(self, cache: Cache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._source: OrdersSource | None = None
        self._orders: Orders | None = None
        self._stored_reading = StoredReading()  # by which the orders were read
        # For the next page of the same query.
        self._last_table: tuple[tuple[FigureQuery, ExchangeRates | None, ShopCalendar], FigureTable] | None = None
        self._last_events: (
            tuple[tuple[str, Returns, ExchangeRates | None, ResolvedQuery], FigureEvents, dict[str, Any]] | None
        ) = None

    def execute(self, request: FigureRequest, send: Send) -> dict[str, Any]:
        """Executes a request.

        Args:
            request: The request.
            send: Called with pieces of the rows, in order.

        Returns:
            A summary, as JSON types: the parts of the response beside its rows.

        Raises:
            OrdersError: The query does not fit the table, the generation is gone, or DuckDB refuses.
        """
        try:
            orders = self._open(request.source)
            if request.what == "open":
                return {}
            if request.what == "describe":
                return _description(orders, request.source.mask)
            if request.mask:
                orders.masked(request.mask).check_shown(request.query.filters)
            orders = orders.converted(request.rates) if request.rates else orders
            if request.what == "events":
                return self._list_events(orders, request, send)
            return self._compute(orders, request, send)
        except BrokenPipeError:
            raise
        except (duckdb.Error, sqlite3.Error, pa.ArrowException, OSError) as error:
            log.error("figures: %s: %s", type(error).__name__, error)
            raise QueryRefused.by_engine(type(error).__name__) from error

    def _open(self, source: OrdersSource) -> Orders:
        if self._orders is None or self._source != source or self._stored_reading != self._read_stored():
            self._last_table = self._last_events = None
            before = self._orders
            snapshot = self._cache.snapshots.open(source.generation)
            reading = reading_in_use(self._cache, snapshot, source.setup)
            self._orders = Orders(
                snapshot, source.timezone, source.setup, before, source.week_start, reading, source.cancelled_orders
            )
            self._source, self._stored_reading = source, self._read_stored()
            if before:
                before.close()
        return self._orders

    def _read_stored(self) -> StoredReading:
        return self._cache.documents.read(READING)

    def _list_events(self, orders: Orders, request: FigureRequest, send: Send) -> dict[str, Any]:
        query, (name,) = request.query, request.query.metrics
        metric = METRICS[name]
        resolved = resolve(orders, query, _calendar(orders, request), request.source.main_currency)
        asked = name, query.returns, request.rates, resolved
        if self._last_events is None or self._last_events[0] != asked:
            selection = resolved.span, resolved.conditions, query.returns
            groups = orders.groups((), None, *selection)
            figures = groups[0].figures if groups else orders.no_figures
            marks = _marks(metric, figures, orders.marks(resolved.span, resolved.conditions))
            self._last_events = asked, FigureEvents(orders, name, *selection), marks
        _, listed, marks = self._last_events
        events = listed.page(request.limit, request.offset)
        made = event_columns(orders, metric, events, listed.divisor is not None, request.mask)
        self._write(request, made, len(events), send)
        return {
            **_head(orders, resolved),
            "metric": name,
            "metrics": {name: {**_metric(orders, metric, query.returns), **marks}},
            "count": len(events),
            "total_count": listed.count(),
            "total": json_value(rounded(metric, listed.total)),
            "amount": json_value(rounded(metric, listed.amount)),
            "divisor": listed.divisor,
        }

    def _compute(self, orders: Orders, request: FigureRequest, send: Send) -> dict[str, Any]:
        table = self._table(orders, request)
        rows = table.rows[request.offset : request.offset + request.limit]
        made = figure_columns(table, rows, request.query.step == "hour", request.format in _NESTED)
        self._write(request, made, len(rows), send)
        if request.offset + len(rows) >= len(table.rows):
            self._last_table = None  # no page follows, so its memory can go
        return _summary(orders, table, len(rows), request.query)

    def _write(self, request: FigureRequest, made: FigureColumns, count: int, send: Send) -> None:
        row_format = RowFormat(request.format, csv=request.csv, about=request.about)
        rows = RowsToWrite(request.what, made.columns, [made.values] if count else [], count)
        write_rows(row_format, rows, self._folder, send)

    def _table(self, orders: Orders, request: FigureRequest) -> FigureTable:
        asked = request.query, request.rates, _calendar(orders, request)
        if self._last_table is None or self._last_table[0] != asked:
            self._last_table = None
            table = compute(orders, request.query, asked[-1], request.source.main_currency)
            self._last_table = asked, table
        return self._last_table[1]


def _calendar(orders: Orders, request: FigureRequest) -> ShopCalendar:
    extent = orders.extent()
    last_order = extent.end if extent else None
    return ShopCalendar.at(request.now, orders.timezone, request.verified_at, last_order, orders.week_start)


def _description(orders: Orders, mask: Mask) -> dict[str, Any]:
    return {
        "metrics": [
            {"id": name, **_metric(orders, metric, "returned"), "available": metric.available(orders.missing)}
            for name, metric in METRICS.items()
        ],
        "dimensions": [
            {
                "id": dimension.id,
                "label": dimension.label,
                "level": dimension.level,
                "personal": dimension.is_hidden(orders.reading, mask),
                "available": dimension.available(orders.missing),
                "reason": reason([dimension.needs] if dimension.needs else [], orders.missing),
            }
            for dimension in (*DIMENSIONS.values(), *orders.row_dimensions())
        ],
    }


def _metric(orders: Orders, metric: Metric, returns: Returns) -> dict[str, Any]:
    return {
        "label": metric.label,
        "unit": metric.unit,
        "formula": metric.description(returns),
        "reason": reason(metric.needs, orders.missing),
    }


def _summary(orders: Orders, table: FigureTable, count: int, query: FigureQuery) -> dict[str, Any]:
    compared = table.compared_span and {
        **_days(table.compared_span),
        "totals": _totals(table, table.compared_totals),
    }
    return {
        **_head(orders, table),
        "compared": compared,
        "metrics": {
            metric.id: {**_metric(orders, metric, query.returns), **_marks(metric, table.totals, table.marks)}
            for metric in table.metrics
        },
        "count": count,
        "total_count": len(table.rows),
        "totals": _totals(table, table.totals),
        "unattributed": table.unattributed and _totals(table, table.unattributed),
        "overlapping": table.is_overlapping,
    }


def _head(orders: Orders, about: FigureTable | ResolvedQuery) -> dict[str, Any]:
    """What the figures of a response have in common."""
    return {
        "reading": "confirmed" if orders.reading.confirmed else "open",
        "currency": about.currency or None,
        "converted": orders.rates is not None,
        "excluded": _excluded(orders, about.currency),
        "period": about.span and _days(about.span),
    }


def _excluded(orders: Orders, currency: str) -> dict[str, int]:
    """How many rows of the table count in no figure, by reason."""
    is_one = currency != ALL_CURRENCIES and orders.rates is None
    others = sum(count for code, count in orders.currencies() if code != currency) if is_one else 0
    counts = {**orders.left_out, "other_currency": others, "no_rate": sum(orders.facts.without_rate.values())}
    return {why: count for why, count in counts.items() if count}


def _marks(metric: Metric, figures: Figures, marks: Mapping[CheckId, Mark]) -> dict[str, Any]:
    """What is to be known about the value of a metric."""
    return {"note": metric.note(figures) or None, "marked": _mark(mark_of(metric.id, marks))}


def _mark(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    difference = None if mark.difference is None else f"{mark.difference.quantize(Decimal('0.01')):f}"
    return {"check": mark.check, "orders": mark.orders, "difference": difference, "message": mark.message}


def _days(span: Span) -> dict[str, str]:
    """The first and the last day, both included."""
    return {"from": span.start.date().isoformat(), "to": (span.end - datetime.resolution).date().isoformat()}


def _totals(table: FigureTable, totals: Figures | None) -> dict[str, str | int | None]:
    assert totals is not None
    return {metric.id: json_value(rounded(metric, table.total(metric, totals))) for metric in table.metrics}
