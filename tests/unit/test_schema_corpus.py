"""The corpus of schemas is well formed: its rows fit its tables, and its figures agree with each other."""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from schema_corpus import FOLDER, Figures, Schema, SchemaColumn, corpus, load

FORMS = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%d %H:%M:%S", "timestamp": "%Y-%m-%d %H:%M:%S"}
BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
FOLDERS = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())


@pytest.fixture(params=FOLDERS)
def schema(request: pytest.FixtureRequest) -> Schema:
    return load(FOLDER / request.param)


def test_every_folder_is_a_schema() -> None:
    assert [each.name for each in corpus()] == FOLDERS


def test_the_table_opens_with_who_stores_orders_so_and_holds_one_statement(schema: Schema) -> None:
    assert re.fullmatch(r"(-- .+\n)+CREATE TABLE orders \(\n[^;]+\n\)[^;]*;\n", schema.ddl)
    assert len(schema.columns) == len({column.name for column in schema.columns}) > 0


def test_rows_fit_the_columns(schema: Schema) -> None:
    assert schema.rows
    for row in schema.rows:
        for column in schema.columns:
            check(column, row[column.name])


def test_the_primary_key_is_unique(schema: Schema) -> None:
    key = [column.name for column in schema.columns if column.key]
    if key:
        assert len({tuple(row[name] for name in key) for row in schema.rows}) == len(schema.rows)


def test_what_the_truth_names_exists(schema: Schema) -> None:
    truth = schema.truth
    assert ZoneInfo(truth.timezone) and ZoneInfo(truth.source_timezone)
    assert set(truth.roles.values()) <= {column.name for column in schema.columns}
    assert (truth.reading == "open") == (bool(truth.questions) or len(schema.rows) < 50)
    stated = {name for figures in truth.figures for name in figures.model_fields_set}
    assert not stated & set(truth.cannot_tell)
    periods = [(figures.period, figures.currency) for figures in truth.figures]
    assert len(periods) == len(set(periods))


def test_net_and_total_sales_are_the_sums_of_their_parts(schema: Schema) -> None:
    for figures in schema.truth.figures:
        if figures.net_sales is not None and figures.gross_sales is not None:
            taken_off = amounts(figures, "discounts", "returns", "cancellations")
            assert figures.net_sales == figures.gross_sales - taken_off
        if figures.total_sales is not None and figures.net_sales is not None:
            added = amounts(figures, "adjustments", "shipping", "taxes", "duties", "tips", "fees")
            assert figures.total_sales == figures.net_sales + added


def amounts(figures: Figures, *names: str) -> Decimal:
    return sum((getattr(figures, name) or Decimal(0) for name in names), Decimal(0))


def check(column: SchemaColumn, text: str | None) -> None:
    """Raise AssertionError or ValueError where a value does not fit its column."""
    type, _, rest = column.type.removesuffix(" unsigned").partition("(")
    size = [int(each) for each in re.findall(r"\d+", rest)]
    if text is None:
        assert column.nullable, column
    elif type in ("decimal", "float", "double"):
        digits, places = size or (18, 4)
        whole, _, fraction = text.lstrip("-").partition(".")
        assert Decimal(text).is_finite() and len(whole) <= digits - places and len(fraction) <= places, (column, text)
    elif type in BITS:
        lowest = 0 if column.type.endswith(" unsigned") else -(2 ** (BITS[type] - 1))
        assert lowest <= int(text) < lowest + 2 ** BITS[type], (column, text)
    elif type == "json":
        json.loads(text)
    elif type in FORMS:
        datetime.strptime(text.partition(".")[0], FORMS[type])
    elif type == "enum":
        assert f"'{text}'" in rest, (column, text)
    else:
        assert type in ("varchar", "char", "text", "mediumtext", "longtext"), column
        assert len(text) <= (size[0] if size else 2**16), (column, text)
