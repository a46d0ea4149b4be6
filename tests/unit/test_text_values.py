"""Amounts and instants in text are read as people write them, and as nothing where they are none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.interpretation.text_values import (
    AmountStyle,
    InstantStyle,
    amount_counts,
    amount_sql,
    instant_counts,
    instant_sql,
)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def amount(database: duckdb.DuckDBPyConnection, text: str, style: AmountStyle) -> Decimal | None:
    row = database.execute(f"SELECT {amount_sql('v', style)} FROM (SELECT ?::VARCHAR AS v)", [text]).fetchone()
    assert row is not None
    value: Decimal | None = row[0]
    return value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("99.00", "99"),
        ("1,234.50", "1234.50"),
        ("$1234.50", "1234.50"),
        ("1234.50 USD", "1234.50"),
        ("US$ 1,000", "1000"),
        ("CHF 1'234.50", "1234.50"),
        ("(12.00)", "-12"),
        ("-$5.00", "-5"),
        ("5.00-", "-5"),
        ("\u22127.5", "-7.5"),
        (" .5 ", "0.5"),
        ("1,23,4", None),
        ("1.234,50", None),
        ("n/a", None),
        ("", None),
    ],
)
def test_amounts_with_a_decimal_point(database: duckdb.DuckDBPyConnection, text: str, wanted: str | None) -> None:
    assert amount(database, text, "point") == (None if wanted is None else Decimal(wanted))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1234,50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1\u202f234,50 €", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1.234", "1234"),
        ("-0,99", "-0.99"),
        ("kr. 10,00", "10"),
        ("12.34", None),
    ],
)
def test_amounts_with_a_decimal_comma(database: duckdb.DuckDBPyConnection, text: str, wanted: str | None) -> None:
    assert amount(database, text, "comma") == (None if wanted is None else Decimal(wanted))


@pytest.mark.slow
@given(
    value=st.decimals(-(10**9), 10**9, places=2),
    style=st.sampled_from(("point", "comma")),
    group=st.booleans(),
    currency=st.sampled_from(("{}", "${}", "{} EUR", "€ {}", "{}\u00a0kr")),
)
def test_any_amount_comes_back(value: Decimal, style: AmountStyle, group: bool, currency: str) -> None:
    text = f"{value:,.2f}" if group else f"{value:.2f}"
    if style == "comma":
        text = text.translate(str.maketrans(",.", ".,"))
    with duckdb.connect() as database:
        assert amount(database, currency.format(text), style) == value


def test_a_lone_group_of_three_digits_decides_nothing(database: duckdb.DuckDBPyConnection) -> None:
    texts = ["1.234", "1,234", "12.50", "1.234,00", "7", "0.125", "1,234,567"]
    terms = amount_counts("v")
    values = ", ".join(f"('{text}')" for text in texts)
    row = database.execute(f"SELECT {', '.join(terms.values())} FROM (VALUES {values}) AS t(v)").fetchone()
    assert row is not None
    assert dict(zip(terms, row, strict=True)) == {"point": 3, "comma": 1, "undecided": 2}


MORNING = datetime(2025, 10, 7, 5, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("2025-10-07 07:50:00 +0200", "iso"),
        ("2025-10-07T07:50:00+02 ", "iso"),
        ("2025-10-07 07:50:00 +02:00", "iso"),
        ("2025-10-07 07:50:00", "iso"),
        ("2025/10/7 07:50", "iso"),
        ("2025-10-07T05:50:00Z", "iso"),
        ("07.10.2025 07:50", "day_first"),
        ("7/10/25 07:50", "day_first"),
        ("07/10/2025, 7:50 AM", "day_first"),
        ("10/07/2025 07:50", "month_first"),
        ("Tue, 07 Oct 2025 07:50:00 +0200", "rfc2822"),
        ("07 Oct 2025 05:50:00 GMT", "rfc2822"),
        ("1759816200", "seconds"),
        ("1759816200000", "milliseconds"),
    ],
)
def test_instants_in_every_style(database: duckdb.DuckDBPyConnection, text: str, style: InstantStyle) -> None:
    sql = f"SELECT {instant_sql('v', style, 'Europe/Berlin')} FROM (SELECT ?::VARCHAR AS v)"
    row = database.execute(sql, [text]).fetchone()
    assert row is not None
    assert row[0] == MORNING


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("2025-10-07", "iso"),
        ("13/10/2025", "day_first"),
        ("07.10.2025", "day_first"),
        ("10/13/25 09:17", "month_first"),
        ("10/07/2025", "undecided"),
        ("Tue, 07 Oct 2025 07:50:00 +0200", "rfc2822"),
        ("1759816200", "seconds"),
        ("1759816200000", "milliseconds"),
    ],
)
def test_a_value_speaks_for_its_style_alone(database: duckdb.DuckDBPyConnection, text: str, style: str) -> None:
    terms = instant_counts("v")
    row = database.execute(f"SELECT {', '.join(terms.values())} FROM (SELECT ?::VARCHAR AS v)", [text]).fetchone()
    assert row is not None
    assert [name for name, count in zip(terms, row, strict=True) if count] == [style]
