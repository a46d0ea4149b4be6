"""Texts of a query string as values: what each kind of column takes, to the last one that fits."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cache.errors import BadFilter
from cache.query.values import parse_value
from cache.schema import Column, Kind

INTEGER, UNSIGNED = "a whole number of up to 64 bits", "a whole number from 0 to 2^64 - 1"
DECIMAL = "a decimal number of up to 38 digits, such as 598.94"
INSTANT = "an ISO 8601 date or instant, such as 2025-12-29 or 2025-12-29T10:25:00Z"
NOON = datetime(2025, 12, 29, 12, tzinfo=UTC)


def column(kind: Kind, digits: int = 12, decimals: int = 2) -> Column:
    return Column(name="total", type=kind, kind=kind, nullable=True, digits=digits, decimals=decimals)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "0", 0),
        ("integer", "+5", 5),
        ("integer", "-9223372036854775808", -(2**63)),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "0" * 39 + "7", 7),
        ("unsigned", "0", 0),
        ("unsigned", "18446744073709551615", 2**64 - 1),
        ("boolean", "true", 1),
        ("boolean", "TRUE", 1),
        ("boolean", "1", 1),
        ("boolean", "false", 0),
        ("boolean", "0", 0),
        ("decimal", "598.94", Decimal("598.94")),
        ("decimal", "-1e3", Decimal("-1000")),
        ("decimal", "9" * 36 + ".99", Decimal("9" * 36 + ".99")),
        ("decimal", "0." + "0" * 27 + "1", Decimal("1e-28")),
        ("float", "0.1", 0.10000000149011612),
        ("float", "-2.5", -2.5),
        ("double", "0.1", 0.1),
        ("double", "1e308", 1e308),
        ("date", "2025-12-29", date(2025, 12, 29)),
        ("datetime", "2025-12-29T12:00:00", NOON),
        ("datetime", "2025-12-29T13:00:00+01:00", NOON),
        ("timestamp", "2025-12-29T12:00:00Z", NOON),
        ("timestamp", "2025-12-29", datetime(2025, 12, 29, tzinfo=UTC)),
        ("text", " paid ", " paid "),
        ("json", "[]", "[]"),
        ("bytes", "3q2+7w==", b"\xde\xad\xbe\xef"),
        ("bytes", "", b""),
    ],
)
def test_a_text_is_read_as_its_column_is_typed(kind: Kind, text: str, value: Any) -> None:
    parsed = parse_value(text, column(kind))
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "takes"),
    [
        ("integer", "9223372036854775808", INTEGER),
        ("integer", "-9223372036854775809", INTEGER),
        ("integer", "1.0", INTEGER),
        ("integer", "", INTEGER),
        ("integer", "1_000", INTEGER),
        ("integer", "0" * 41, INTEGER),
        ("unsigned", "-1", UNSIGNED),
        ("unsigned", "18446744073709551616", UNSIGNED),
        ("boolean", "maybe", "true or false"),
        ("boolean", "2", "true or false"),
        ("decimal", "NaN", DECIMAL),
        ("decimal", "Infinity", DECIMAL),
        ("decimal", "much", DECIMAL),
        ("decimal", "9" * 37, DECIMAL),  # with two decimals, as the column has them
        ("decimal", "9" * 39, DECIMAL),
        ("decimal", "1e38", DECIMAL),
        ("decimal", "0." + "0" * 28 + "1", DECIMAL),  # before ten digits, as the column has them
        ("float", "1e39", "a number"),
        ("float", "nan", "a number"),
        ("double", "inf", "a number"),
        ("double", "one", "a number"),
        ("date", "2025-13-01", "an ISO 8601 date, such as 2025-12-29"),
        ("datetime", "yesterday", INSTANT),
        ("timestamp", "0001-01-01T00:00:00+14:00", INSTANT),
        ("bytes", "%%", "bytes in base64"),
        ("bytes", "abc", "bytes in base64"),
    ],
)
def test_a_text_that_is_no_such_value_is_refused_with_what_is_taken(kind: Kind, text: str, takes: str) -> None:
    with pytest.raises(BadFilter) as error:
        parse_value(text, column(kind))
    assert error.value.message == f"total does not take {text!r}."
    assert error.value.advice == f"It takes {takes}."


@pytest.mark.parametrize(
    ("digits", "decimals", "text", "fits"),
    [
        (0, 0, "9" * 38, True),
        (0, 0, "9" * 37 + ".9", True),
        (0, 0, "9" * 38 + ".9", False),
        (38, 38, "0.5", True),
        (38, 38, "1.5", False),
        (38, 38, "0." + "0" * 36 + "1", True),
        (38, 10, "0.0000000001", True),
        (38, 10, "0.00000000001", False),
        (38, 0, "0", True),
        (38, 0, "0.1", False),
    ],
)
def test_a_decimal_has_to_fit_one_type_with_the_column(digits: int, decimals: int, text: str, fits: bool) -> None:
    described = column("decimal", digits, decimals)
    if fits:
        assert parse_value(text, described) == Decimal(text)
    else:
        with pytest.raises(BadFilter):
            parse_value(text, described)


def test_a_long_wrong_text_is_shown_in_part() -> None:
    with pytest.raises(BadFilter) as error:
        parse_value("x" * 81, column("integer"))
    assert error.value.message == f"total does not take {'x' * 80!r}."
