"""POST /export/table: the file has the rows of the table, with exact numbers, and is safe to open."""

from __future__ import annotations

import io
from decimal import Decimal

import openpyxl
import polars
import pytest

from dashboard.web.table_files import ShownTable, table_file

COLUMNS = [
    {"label": "Product", "number": False},
    {"label": "Sales", "number": True},
    {"label": "Change", "number": True},
]
ROWS = [["Desk, “oak”", "12345.67", "0.125"], ["=1+1", "-3", ""]]


def shown(format: str, columns: object = COLUMNS, rows: object = ROWS) -> ShownTable:
    return ShownTable.model_validate({"format": format, "name": "Products", "columns": columns, "rows": rows})


def test_csv_has_a_byte_order_mark_exact_numbers_and_no_formula() -> None:
    text = table_file(shown("csv")).decode()
    assert text == '\ufeffProduct,Sales,Change\r\n"Desk, “oak”",12345.67,0.125\r\n\'=1+1,-3.00,\r\n'


def test_excel_has_numbers_where_the_page_has_amounts() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(table_file(shown("xlsx")))).active
    assert [tuple(row) for row in sheet.values] == [
        ("Product", "Sales", "Change"),
        ("Desk, “oak”", 12345.67, 0.125),
        ("=1+1", -3, None),
    ]


def test_parquet_has_decimals() -> None:
    frame = polars.read_parquet(table_file(shown("parquet")))
    assert frame["Sales"].to_list() == [Decimal("12345.67"), Decimal("-3.00")]
    assert frame["Change"].to_list() == [Decimal("0.125"), None]


@pytest.mark.parametrize("format", ["csv", "xlsx", "parquet"])
def test_a_table_without_rows_has_its_header(format: str) -> None:
    assert table_file(shown(format, rows=[]))


def test_a_column_with_a_text_in_it_is_text() -> None:
    columns, rows = [{"label": "Change", "number": True}], [["0.5"], ["new"]]
    assert table_file(shown("csv", columns, rows)).decode().splitlines()[1:] == ["0.5", "new"]


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (COLUMNS, [["one cell"]]),
        (COLUMNS, [[]]),
        ([{"label": "n", "number": True}], [["1" * 60]]),
        ([{"label": "n", "number": True}], [["1e-90"]]),
    ],
)
def test_what_is_no_table_is_refused(columns: object, rows: object) -> None:
    with pytest.raises(ValueError):
        table_file(shown("csv", columns, rows))


def test_infinity_is_a_text() -> None:
    assert b"Infinity" in table_file(shown("csv", [{"label": "n", "number": True}], [["Infinity"]]))
