"""What the reading leaves open: Settings and the overview say what each answer would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import Row, publish
from page_run import backend_of, captions, run, table
from schema_corpus import FOLDER, load
from schema_orders import as_copied, columns_of, in_key_order
from streamlit.testing.v1 import AppTest

from cache.reading import QUESTIONS, StoredReading
from cache.schema import Column, Kind
from cache.storage.documents import READING, SETUP
from dashboard.backend import Backend

pytestmark = pytest.mark.slow

SCHEMA = load(FOLDER / "ambiguous_dates")
COLUMNS = columns_of(SCHEMA)
ROWS = as_copied(in_key_order(SCHEMA), COLUMNS)
HEADER = ["Answer", "Orders", "Total sales", "First order", "Last order"]


def column(name: str, kind: Kind = "text") -> Column:
    digits, decimals = (12, 2) if kind == "decimal" else (0, 0)
    key = int(name == "id")
    return Column(name=name, type=kind, kind=kind, nullable=not key, key=key, digits=digits, decimals=decimals)


@pytest.fixture
def ambiguous(tmp_path: Path) -> Iterator[Backend]:
    """60 orders on the 2nd to the 10th of each month of 2025, such as 04/11/2025 10:15 in UTC."""
    with backend_of(tmp_path, ROWS, COLUMNS, shop_timezone="Europe/London") as backend:
        yield backend


def texts(page: AppTest) -> str:
    return " ".join(each.value for each in page.markdown).replace("\\", "")


@pytest.mark.slow
def test_settings_show_what_each_answer_would_give(ambiguous: Backend) -> None:
    page = run(ambiguous, "set-up", {})
    assert table(page, QUESTIONS["dates"]) == [
        HEADER,
        ["Day before month", "60", "£2,094.00", "2 Jan 2025, 10:15", "10 Dec 2025, 10:15"],
        ["Month before day", "60", "£2,094.00", "1 Feb 2025, 10:15", "12 Oct 2025, 11:15"],
    ]
    page.selectbox(key="set_up instants").set_value("day_first").run()
    page.button(key="save_set_up").click().run()
    assert ambiguous.cache.documents.read(SETUP).instants == {"created_at": "day_first"}
    assert table(page, QUESTIONS["dates"]) == []


def test_the_overview_names_the_answers_in_one_line(ambiguous: Backend) -> None:
    assert (
        "**Figures are not confirmed.** Day and month of the dates can be read in two ways. "
        "Day before month: 60 orders, £2,094.00, 2 Jan 2025 – 10 Dec 2025; "
        "Month before day: 60 orders, £2,094.00, 1 Feb 2025 – 12 Oct 2025."
    ) in texts(run(ambiguous, "overview", {"period": "all"}))


def test_the_answers_to_what_a_row_is_differ_in_orders_and_sales(tmp_path: Path) -> None:
    """Each of 60 numbers stands in three rows, and no column shows why."""
    columns = [column("id", "integer"), column("order_number"), column("total_price", "decimal")]
    rows: list[Row] = [
        {"id": str(i), "order_number": f"#{i // 3}", "total_price": f"{10 + i % 3}.00"} for i in range(180)
    ]
    with backend_of(tmp_path, rows, columns) as backend:
        lines = table(run(backend, "set-up", {}), QUESTIONS["grain"])
    assert [line[:3] for line in lines[1:]] == [
        ["A row is an order", "180", "1,980.00"],
        ["A row is a line item of an order", "60", "720.00"],
    ]


def test_the_decimal_mark_makes_amounts_a_thousand_times_larger(tmp_path: Path) -> None:
    columns = [column("id", "integer"), column("name"), column("total_price")]
    rows: list[Row] = [{"id": str(i), "name": f"#{i}", "total_price": "1.250"} for i in range(60)]
    with backend_of(tmp_path, rows, columns) as backend:
        lines = table(run(backend, "set-up", {}), QUESTIONS["amounts"])
    assert [line[1:3] for line in lines[1:]] == [["60", "75.00"], ["60", "75,000.00"]]


def test_data_that_suggests_another_reading_shows_both(ambiguous: Backend) -> None:
    run(ambiguous, "overview", {"period": "all"})

    def day_first(stored: StoredReading) -> StoredReading:
        assert stored.reading
        reading = stored.reading.model_copy(update={"instants": {"created_at": "day_first"}})
        return stored.model_copy(update={"reading": reading})

    ambiguous.cache.documents.change(READING, day_first)
    lines = table(run(ambiguous, "set-up", {}), QUESTIONS["changed"])
    assert [[line[0], line[3]] for line in lines[1:]] == [
        ["As it is read now", "2 Jan 2025, 10:15"],
        ["As the data suggests", "1 Feb 2025, 10:15"],
    ]


def test_answers_for_a_large_table_are_of_its_newest_rows(ambiguous: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.orders_loader.SAMPLE_ROWS", 10)
    publish(ambiguous.cache, ROWS, columns=COLUMNS, segments=6)
    overview = run(ambiguous, "overview", {"period": "all"})
    assert "In the newest 10 rows: Day before month: 10 orders, " in texts(overview)
    assert "Figures of the newest 10 rows." in captions(run(ambiguous, "set-up", {}))
