"""Codes, amounts, dates and durations as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

from cache.currencies import decimals_of

_PUNCTUATION = re.compile(
    r"(?P<apart>"
    r":(?=//|[\w+-]+:)"  # https://…, :smile:
    r"|(?<=[\w.+-])@(?=[\w-])|(?<=www)\."  # a@b.c, www.…
    r"|(?<=[<>~=-])[-=>]"  # ->, --, >=
    r")|[!-/:-@\[-`{-~]",
    re.IGNORECASE,
)

# A sign, the currency, the digits, and a percent sign or a mark such as that of a month that is not over.
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)(?:[A-Z]{0,3}[^\w\s.,+-]?|[A-Z]{3} )(?P<digits>\d[\d,]*(?:\.\d+)?)(?P<unit>%?)(?: pts|\*)?"
)

Tone = Literal["green", "orange", "red", "blue", "violet", "gray"]


class Label(NamedTuple):
    """The text for a code, and the colour of its pill."""

    text: str
    tone: Tone = "gray"


_STATUS: Mapping[str, Label] = {
    "paid": Label("Paid", "green"),
    "pending": Label("Pending", "orange"),
    "authorized": Label("Authorized", "blue"),
    "partially_paid": Label("Partially paid", "orange"),
    "partially_refunded": Label("Partially refunded", "violet"),
    "refunded": Label("Refunded", "violet"),
    "voided": Label("Voided"),
    "expired": Label("Expired", "red"),
    "": Label("No payment status"),
}
_FULFILMENT: Mapping[str, Label] = {
    "fulfilled": Label("Fulfilled", "green"),
    "partial": Label("Partly fulfilled", "orange"),
    "restocked": Label("Restocked"),
    "": Label("Unfulfilled", "orange"),
}
_CHANNEL: Mapping[str, Label] = {
    "web": Label("Online store"),
    "pos": Label("Point of sale"),
    "iphone": Label("iPhone app"),
    "android": Label("Android app"),
    "shopify_draft_order": Label("Draft orders"),
    "": Label("Unknown channel"),
}


def status(code: str | None) -> Label:
    """The label of a payment status of Shopify."""
    return _label(_STATUS, code)


def fulfilment(code: str | None) -> Label:
    """The label of a fulfilment status of Shopify."""
    return _label(_FULFILMENT, code)


def channel(code: str | None) -> str:
    """The name of a sales channel of Shopify."""
    return _label(_CHANNEL, code).text


def _label(labels: Mapping[str, Label], code: str | None) -> Label:
    """The label of a code; of an unknown one its words, and of anything that is no code the value as it is."""
    code = code or ""
    words = code.replace("_", " ").capitalize() if re.fullmatch(r"[A-Za-z_]+", code) else code
    return labels.get(code.lower(), Label(words))


# -- money

_SIGNS: Mapping[str, str] = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "CAD": "CA$",
    "AUD": "A$",
    "NZD": "NZ$",
    "MXN": "MX$",
    "INR": "₹",
    "KRW": "₩",
    "BRL": "R$",
    "CNY": "CN¥",
    "HKD": "HK$",
    "ILS": "₪",
    "PHP": "₱",
    "VND": "₫",
}


def sign(currency: str) -> str:
    """What is written before an amount in a currency (ISO 4217 code)."""
    return _SIGNS.get(currency, f"{currency} " if currency else "")


def money(amount: Decimal, currency: str, whole: bool = False) -> str:
    """An amount with the sign and the decimals of its currency.

    Args:
        amount: The amount.
        currency: ISO 4217 code; "" for none.
        whole: Whether to leave out the decimals.
    """
    decimals = 0 if whole else decimals_of(currency)
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    return f"{'-' if rounded < 0 else ''}{sign(currency)}{abs(rounded):,}"


def exact(number: Decimal | int) -> str:
    """A number as programs read it, such as "-1234.5"."""
    return f"{Decimal(number).normalize():f}"


def number_in(text: str) -> Decimal | None:
    """The number in a text that this module or `dashboard.text.metrics` wrote, such as -1234.5 in "-$1,234.50".

    A percentage becomes a fraction, as spreadsheets have it. None for a text that is no number, such as "–".
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number = Decimal(f"{match['sign'].replace('+', '')}{match['digits'].replace(',', '')}")
    return number / 100 if match["unit"] == "%" else number


def ratio(part: int, whole: int) -> Decimal:
    """`part` / `whole`; 0 where `whole` is 0."""
    return Decimal(part) / whole if whole else Decimal(0)


def percent(fraction: Decimal, digits: int = 1) -> str:
    """Such as "9.5%" for 0.095."""
    text = f"{fraction * 100:.{digits}f}%"
    return text.removeprefix("-") if not text.strip("-0.%") else text


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things, such as "1 order" or "1,200 orders". `plural` is the noun for several, if not with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def place(number: int, rows: int, shown: int, count: int, noun: str) -> str:
    """Which part of a list a page shows, such as "51–100 of 168 orders"; all of a list of one page: "3 orders".

    Args:
        number: The number of the page, from 1.
        rows: How many rows a page has at most.
        shown: How many rows this page has.
        count: How many rows the list has.
        noun: What they are.
    """
    whole = counted(count, noun)
    first = (number - 1) * rows + 1
    return whole if shown in (0, count) else f"{first:,}–{first + shown - 1:,} of {whole}"


# -- time

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def day(at: date, year: bool = True, weekday: bool = False) -> str:
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
    """How long ago something was, such as "5 min ago"."""
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


def literal(text: str) -> str:
    """Markdown that shows a value as it is, whatever is in it: an address, a shortcode, a formula, an entity.

    For Markdown itself, a backslash before punctuation is enough. Streamlit then looks for addresses, shortcodes and
    arrows in the text that comes out. It finds none that begins in one element and ends in another, so one character
    of each stands in a `:color[]` of its own, which has no colour. White space is shown as one space.
    """
    return _escaped(" ".join(text.split()))


def plain(text: str) -> str:
    """Markdown that shows a sentence of ours as it is, and what is between backquotes as code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # a backquote without its pair
        return literal(text)
    return "`".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(lambda found: f":color[\\{found[0]}]" if found["apart"] else f"\\{found[0]}", text)
