"""Amounts and instants that a table stores as text or as whole numbers: in which style, and the SQL that reads them.

A style is decided for a whole column (cache/interpretation/evidence.py), never for one value: `1.234` alone may mean
two things.
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.reading import AmountStyle, InstantStyle
from cache.sql import literal

AMOUNT = "DECIMAL(18, 4)"
WHOLE_DIGITS = 14  # before its decimal point

_CURRENCY = r"(?:[A-Za-z]{1,3}\.?)?\p{Sc}?"  # US$, kr., EUR
_SIGN = r"[(+\-\x{2212}]*"
_SHAPES: Mapping[AmountStyle, str] = {
    "point": r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?",
    "comma": r"(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?",
}
# Digits that only one style explains: two groups, both marks, or a number of decimals other than three.
_DECIDED: Mapping[AmountStyle, str] = {
    "point": r"\d{1,3}(?:,\d{3})+\.\d*|\d{1,3}(?:,\d{3}){2,}|\d*\.(?:\d{1,2}|\d{4,})|(?:0|\d{4,})\.\d{3}",
    "comma": r"\d{1,3}(?:\.\d{3})+,\d*|\d{1,3}(?:\.\d{3}){2,}|\d*,(?:\d{1,2}|\d{4,})|(?:0|\d{4,}),\d{3}",
}
_UNDECIDED = r"[1-9]\d{0,2}[.,]\d{3}"
_NEGATIVE = r"^[(\-\x{2212}]|[\-\x{2212}]$"
_SIGNS = r"[()+\-\x{2212}]"
_GROUPING = "[\\s\\pZ'\u2019]"
_TRAILING = r"\p{Sc}?(?:[A-Za-z]{1,3}\.?)?(\)?[\-\x{2212}]?)$"

_DAY = r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})"
_ZONED = r":\d\d(?:\.\d+)? ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
_DOTTED = r"^\d{1,2}\.\d{1,2}\.\d"
_YEAR_FIRST = r"^[1-9]\d{3}[-/.]\d{1,2}[-/.]\d{1,2}"
_MONTH_NAMED = r"^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4}"
_CLOCKS = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "")
_RFC2822 = ("%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M %z", "%d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M %z")


def amount_sql(text: str, style: AmountStyle) -> str:
    """SQL of an amount in text; NULL where it is none.

    Args:
        text: SQL of the text.
        style: The style of its column.
    """
    bare = _bare_amount(text)
    shape = literal(_SIGN + _SHAPES[style] + r"[)\-\x{2212}]?")
    mark = "." if style == "point" else ","
    digits = f"replace(regexp_replace({bare}, '[^0-9{mark}]', '', 'g'), '{mark}', '.')"
    negative = f"regexp_matches({bare}, {literal(_NEGATIVE)})"
    value = f"try_cast({digits} AS {AMOUNT})"
    value = f"CASE WHEN {negative} THEN -{value} ELSE {value} END"
    read = f"CASE WHEN regexp_full_match({bare}, {shape}) THEN {value} END::{AMOUNT}"
    if style == "comma":
        return read
    return f"coalesce(try_cast({text} AS {AMOUNT}), {read})"  # most amounts need no pattern


def amount_counts(text: str) -> dict[str, str]:
    """SQL of how many values of a text column speak for each style, and how many for both.

    Args:
        text: SQL of the text.

    Returns:
        `point`, `comma` and `undecided`, each with an aggregate.
    """
    digits = f"regexp_replace({_bare_amount(text)}, {literal(_SIGNS)}, '', 'g')"
    patterns = [*_DECIDED.items(), ("undecided", _UNDECIDED)]
    return {name: f"count(*) FILTER (regexp_full_match({digits}, {literal(pattern)}))" for name, pattern in patterns}


def _bare_amount(text: str) -> str:
    """SQL of an amount without blanks, apostrophes and currency."""
    joined = f"regexp_replace({text}, {literal(_GROUPING)}, '', 'g')"
    leading = f"regexp_replace({joined}, {literal(f'^({_SIGN}){_CURRENCY}')}, '\\1')"
    return f"regexp_replace({leading}, {literal(_TRAILING)}, '\\1')"


def instant_sql(value: str, style: InstantStyle, timezone: str, days_timezone: str = "") -> str:
    """SQL of an instant as TIMESTAMPTZ; NULL where it is none.

    Args:
        value: SQL of a text or a whole number.
        style: The style of its column.
        timezone: IANA zone of values that name none.
        days_timezone: IANA zone of days without a time; by default the same.
    """

    def in_zone(local: str) -> str:
        zoned = f"timezone('{timezone}', {local})"
        if days_timezone in ("", timezone):
            return zoned
        return f"CASE WHEN contains({value}, ':') THEN {zoned} ELSE timezone('{days_timezone}', {local}) END"

    match style:
        case "seconds" | "milliseconds":
            micros = 1_000_000 if style == "seconds" else 1_000
            return f"make_timestamptz(nullif(try_cast({value} AS BIGINT), 0) * {micros})"
        case "rfc2822":
            text = f"regexp_replace(trim({value}), ' (?:GMT|UTC?|Z)$', ' +0000')"
            return f"try_strptime({text}, [{', '.join(map(literal, _RFC2822))}])"
        case "day_first" | "month_first":
            return in_zone(_day_sql(value, style))
        case "iso":
            text = _iso_text(value)
            clock = in_zone(f"try_cast({text} AS TIMESTAMP)")
            zoned = f"regexp_matches({text}, {literal(_ZONED)})"
            return f"CASE WHEN {zoned} THEN try_cast({text} AS TIMESTAMPTZ) ELSE {clock} END"


def _day_sql(value: str, style: InstantStyle) -> str:
    text = f"trim(regexp_replace(trim({value}), {literal(f'^{_DAY}[,T ]*')}, '\\1/\\2/\\3 '))"
    day = "%d/%m" if style == "day_first" else "%m/%d"

    def parsed(year: str) -> str:
        return f"try_strptime({text}, [{', '.join(literal(f'{day}/{year}{clock}') for clock in _CLOCKS)}])"

    return f"CASE WHEN regexp_matches({text}, '^\\d+/\\d+/\\d{{4}}') THEN {parsed('%Y')} ELSE {parsed('%y')} END"


def _iso_text(value: str) -> str:
    """SQL of a text as DuckDB reads instants."""
    text = f"regexp_replace(trim({value}), '^(\\d{{4}})[/.](\\d{{1,2}})[/.]', '\\1-\\2-')"
    text = (
        f"regexp_replace({text}, ' ?([+-]\\d\\d):?(\\d\\d)$', '\\1:\\2')"  # Shopify's export: 2025-05-01 10:00:00 +0200
    )
    return f"regexp_replace({text}, ' ([+-]\\d\\d)$', '\\1')"


def instant_counts(value: str) -> dict[str, str]:
    """SQL of how many values of a text or whole number column are written in each style.

    Args:
        value: SQL of the value.

    Returns:
        Each with an aggregate: `iso`, `rfc2822`, `seconds`, `milliseconds`; `day_first` and `month_first` where only
        one order is possible, or where points separate day and month; `undecided` where both orders are.
    """
    text = f"trim({value}::VARCHAR)"
    first, second = (f"try_cast(regexp_extract({text}, {literal(f'^{_DAY}')}, {group}) AS INTEGER)" for group in (1, 2))
    days = f"regexp_matches({text}, {literal(f'^{_DAY}')})"
    dotted = f"regexp_matches({text}, {literal(_DOTTED)})"
    number = f"try_cast(regexp_extract({text}, '^\\d+$') AS HUGEINT)"
    conditions = {
        "iso": f"regexp_matches({text}, {literal(_YEAR_FIRST)})",
        "rfc2822": f"regexp_matches({text}, {literal(_MONTH_NAMED)})",
        "seconds": f"{number} BETWEEN 100000000 AND 9999999999",
        "milliseconds": f"{number} BETWEEN 100000000000 AND 9999999999999",
        "day_first": f"{days} AND ({first} > 12 OR {dotted})",
        "month_first": f"{days} AND {second} > 12 AND NOT {dotted}",
        "undecided": f"{days} AND {first} <= 12 AND {second} <= 12 AND NOT {dotted}",
    }
    return {name: f"count(*) FILTER ({condition})" for name, condition in conditions.items()}
