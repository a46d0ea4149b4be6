"""Words and numbers for people: statuses, channels, money, dates and ages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

Tone = Literal["green", "orange", "red", "blue", "violet", "gray"]


class Word(NamedTuple):
    """A code in words, and the colour of its pill."""

    text: str
    tone: Tone = "gray"


_STATUS: Mapping[str, Word] = {
    "paid": Word("Paid", "green"),
    "pending": Word("Pending", "orange"),
    "authorized": Word("Authorized", "blue"),
    "partially_paid": Word("Partially paid", "orange"),
    "partially_refunded": Word("Partially refunded", "violet"),
    "refunded": Word("Refunded", "violet"),
    "voided": Word("Voided"),
    "expired": Word("Expired", "red"),
    "": Word("No payment status"),
}
_FULFILMENT: Mapping[str, Word] = {
    "fulfilled": Word("Fulfilled", "green"),
    "partial": Word("Partly fulfilled", "orange"),
    "restocked": Word("Restocked"),
    "": Word("Unfulfilled", "orange"),
}
_CHANNEL: Mapping[str, Word] = {
    "web": Word("Online store"),
    "pos": Word("Point of sale"),
    "iphone": Word("iPhone app"),
    "android": Word("Android app"),
    "shopify_draft_order": Word("Draft orders"),
    "": Word("Unknown channel"),
}


def status(code: str | None) -> Word:
    return _word(_STATUS, code)


def fulfilment(code: str | None) -> Word:
    return _word(_FULFILMENT, code)


def channel(code: str | None) -> str:
    return _word(_CHANNEL, code).text


def discount(code: str) -> str:
    return code or "No discount code"


def _word(words: Mapping[str, Word], code: str | None) -> Word:
    code = code or ""
    return words.get(code.lower(), Word(code.replace("_", " ").capitalize()))


# -- money

_SIGNS: Mapping[str, str] = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "MXN": "MX$",
    "INR": "₹", "KRW": "₩", "BRL": "R$", "CNY": "CN¥", "HKD": "HK$", "ILS": "₪", "PHP": "₱", "VND": "₫",
}  # fmt: skip
# ISO 4217's currencies without two decimals.
_NONE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DECIMALS: Mapping[str, int] = dict.fromkeys(_NONE, 0) | dict.fromkeys(_THREE, 3)


def sign(currency: str) -> str:
    """What stands before an amount."""
    return _SIGNS.get(currency, f"{currency} " if currency else "")


def money(amount: Decimal, currency: str, whole: bool = False) -> str:
    """An amount with its currency's sign and decimals, or without decimals where it is to be `whole`."""
    decimals = 0 if whole else _DECIMALS.get(currency, 2)
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{'-' if rounded < 0 else ''}{sign(currency)}{abs(rounded):,}"


def ratio(part: int, whole: int) -> Decimal:
    """0 where there is nothing to divide by."""
    return Decimal(part) / whole if whole else Decimal(0)


def percent(fraction: Decimal, digits: int = 1) -> str:
    text = f"{fraction * 100:.{digits}f}%"
    return text.removeprefix("-") if not text.strip("-0.%") else text


# -- time

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def day(at: datetime, year: bool = True, weekday: bool = False) -> str:
    """Such as "14 Jul 2026"."""
    text = f"{at.day} {_MONTHS[at.month - 1]}" + (f" {at.year}" if year else "")
    return f"{_DAYS[at.weekday()]} {text}" if weekday else text


def month(at: datetime) -> str:
    """Such as "Jul 2026"."""
    return f"{_MONTHS[at.month - 1]} {at.year}"


def moment(at: datetime) -> str:
    """Such as "14 Jul 2026, 23:53"."""
    return f"{day(at)}, {at:%H:%M}"


def age(seconds: float) -> str:
    """How long ago, such as "5 min ago"."""
    if seconds < 60:
        return "just now"
    return f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """Such as "5 min", "3 h", "2 days"."""
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{max(minutes, 1)} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if hours < 6 and minutes % 60 else f"{hours} h"
    return f"{hours // 24} days"


def length(seconds: float) -> str:
    """A length of time with a decimal, such as "45 min", "7.5 h", "3.2 days"."""
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def size(bytes: int) -> str:
    """Such as "3.2 MB"."""
    if bytes < 1000:
        return f"{bytes} bytes"
    number, units = bytes / 1000, ["kB", "MB", "GB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.1f} {units[0]}"


def plain(text: str) -> str:
    """Text that Markdown shows as it is; a part between backquotes stays code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # a backquote without its pair
        return _escaped(" ".join(text.split()))
    return "`".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|$~:^=\"'" else c for c in text)
