"""Parses texts of a query string as values of the column's kind."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from cache.errors import BadFilter
from cache.schema import Column, Kind

Value = str | int | float | Decimal | date | datetime | bytes

FLAGS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)
"""What stands for true and false, in any case."""
MAX_DIGITS = 38  # digits of DuckDB's widest DECIMAL
_SHOWN = 80  # maximum number of characters of an invalid text in a message


def parse_value(text: str, column: Column) -> Value:
    """Reads a text as a value that DuckDB can compare with the column.

    If the column contains instants, a date means midnight in UTC. An instant without a zone is UTC.

    Args:
        text: The text in the query string, decoded.
        column: The column that the value is compared with.

    Returns:
        A value of the Python type of the column's kind. A boolean is 0 or 1.

    Raises:
        BadFilter: The text is not such a value. The message names the column and valid values.
    """
    parse, takes = _PARSERS[column.kind]
    try:
        value = parse(text)
        if isinstance(value, Decimal):
            _check_width(value, column)
        return value
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise BadFilter.value(column.name, text[:_SHOWN], takes + _plus_hint(text, parse)) from error


def _plus_hint(text: str, parse: Callable[[str], Value]) -> str:
    """What to say of a text that is a value with `+` in place of each blank: a query string has `+` for a blank."""
    if " " not in text:
        return ""
    try:
        parse(text.replace(" ", "+"))
    except (ValueError, InvalidOperation, OverflowError):
        return ""
    return "; in an address, write + as %2B"


def accepted_values(kind: Kind) -> str:
    """Returns a description of the values that a column of this kind accepts."""
    return _PARSERS[kind][1]


def _signed(text: str) -> int:
    return _integer(text, -(2**63), 2**63 - 1)


def _unsigned(text: str) -> int:
    return _integer(text, 0, 2**64 - 1)


def _integer(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
        raise ValueError
    number = int(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _boolean(text: str) -> int:
    if text.lower() not in FLAGS:
        raise ValueError
    return int(FLAGS[text.lower()])


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or max(number.adjusted() + 1, 1) + max(-exponent, 0) > MAX_DIGITS:
        raise ValueError
    return number


def _check_width(number: Decimal, column: Column) -> None:
    """Raises ValueError if no DECIMAL type fits both sides: DuckDB compares two DECIMALs in one type."""
    whole = max(number.adjusted() + 1, column.digits - column.decimals)
    if whole + max(-int(number.as_tuple().exponent), column.decimals) > MAX_DIGITS:
        raise ValueError


def _single(text: str) -> float:
    """Rounds to a FLOAT value, since the JSON of the rows has the shortest number that reads as the same FLOAT."""
    return float(struct.unpack("<f", struct.pack("<f", _double(text)))[0])


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_INSTANT = (_instant, "an ISO 8601 date or instant, such as 2025-12-29 or 2025-12-29T10:25:00Z")
_TEXT = (str, "a text")
_PARSERS: Mapping[Kind, tuple[Callable[[str], Value], str]] = {  # parser, and a description of accepted values
    "integer": (_signed, "a whole number of up to 64 bits"),
    "unsigned": (_unsigned, "a whole number from 0 to 2^64 - 1"),
    "boolean": (_boolean, "true or false"),
    "decimal": (_decimal, f"a decimal number of up to {MAX_DIGITS} digits, such as 598.94"),
    "float": (_single, "a number"),
    "double": (_double, "a number"),
    "date": (date.fromisoformat, "an ISO 8601 date, such as 2025-12-29"),
    "datetime": _INSTANT,
    "timestamp": _INSTANT,
    "text": _TEXT,
    "json": _TEXT,
    "bytes": (_bytes, "bytes in base64"),
}
