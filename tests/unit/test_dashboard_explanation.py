"""What the overview says of the list behind a figure."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from cache_factory import Row
from page_run import backend_of, captions, links, run, table
from shop_factory import SHOP_COLUMNS, shop

from dashboard.text.formatting import counted

pytestmark = pytest.mark.slow


def dollar_orders() -> list[Row]:
    return [row for row in shop(90) if row["currency"] == "USD" and row["test"] == "0"][:40]


def test_a_marked_figure_says_what_is_wrong_above_its_list(tmp_path: Path) -> None:
    rows = dollar_orders()
    rows[5]["total_price"] = str(Decimal(rows[5]["total_price"] or 0) + 100)
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        marked = run(backend, "overview", {"period": "all", "explain": "total_sales"})
        sound = run(backend, "overview", {"period": "all", "explain": "customers"})
    assert [text for text, _ in links(marked) if text.startswith("± $100.00 · 1 order has")]
    assert not [text for text, _ in links(sound) if "±" in text]


def test_events_have_order_time_kind_and_amount(tmp_path: Path) -> None:
    rows = dollar_orders()
    with backend_of(tmp_path, rows, SHOP_COLUMNS) as backend:
        shown = run(backend, "overview", {"period": "all", "explain": "gross_sales"})
    header, first, *others = table(shown, "Events")
    assert header == ["Order", "Time", "Event", "Amount"]
    assert (first[0], first[2]) == (rows[0]["name"], "Sale · goods")
    amounts = [Decimal(line[3].replace("$", "").replace(",", "")) for line in (first, *others)]
    assert shown.header[0].value.replace("\\", "") == f"${sum(amounts):,}"
    assert f"{counted(len(amounts), 'event')}, in order of time" in captions(shown)


def test_a_page_beyond_the_last_one_shows_the_last_one_and_says_so(tmp_path: Path) -> None:
    with backend_of(tmp_path, dollar_orders(), SHOP_COLUMNS) as backend:
        shown = run(backend, "overview", {"period": "all", "explain": "orders", "page": "9"})
    assert len(table(shown, "Events")) == len(dollar_orders()) + 1
    assert any("There is no page 9." in text.value for text in shown.markdown)
    assert counted(len(dollar_orders()), "event") in captions(shown)
