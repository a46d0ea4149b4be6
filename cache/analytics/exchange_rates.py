"""Exchange rates out of RATES_FILE: the value of one unit of each currency in the shop's main one, day by day.

The file is CSV in UTF-8 with the columns date, currency and rate. For days without a rate, the newest earlier one
counts. Loads no engine: the serving process of the API reads the file too.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from cache.errors import SettingsInvalid
from cache.settings import Settings

COLUMNS = ["date", "currency", "rate"]
RATE_DECIMALS = 12  # further ones are rounded away
MAX_RATE = 1_000_000
EARLIEST = date(1970, 1, 1)


class Rate(NamedTuple):
    """The value of one unit of a currency, in the main currency, from a day on."""

    day: date
    currency: str
    value: Decimal


class ExchangeRates(BaseModel, frozen=True):
    """The rates of one state of the file.

    Attributes:
        currency: ISO 4217 code of the currency that amounts are converted to.
        text: The content of the file.
    """

    currency: str
    text: str

    @cached_property
    def version(self) -> str:
        """What tells these rates from others."""
        return hashlib.sha256(f"{self.currency}\n{self.text}".encode()).hexdigest()[:16]

    @cached_property
    def rates(self) -> tuple[Rate, ...]:
        """The rates, in the order of the file.

        Raises:
            SettingsInvalid: The text does not parse. The message names the line and what is expected.
        """
        rates: dict[tuple[date, str], Rate] = {}
        for line, rate in self._parse():
            if (rate.day, rate.currency) in rates:
                raise self._invalid(line, f"{rate.currency} has a second rate for {rate.day}")
            if rate.currency == self.currency and rate.value != 1:
                raise self._invalid(line, f"the rate of {self.currency}, the main currency, is not 1")
            rates[rate.day, rate.currency] = rate
        if not rates:
            raise self._invalid(1, "the file has no rates")
        return tuple(rates.values())

    def newest(self, currency: str) -> Rate | None:
        """The rate of the last day that has one; None where the file has no rate of this currency."""
        return max((rate for rate in self.rates if rate.currency == currency), default=None)

    def _parse(self) -> Iterator[tuple[int, Rate]]:
        """Each rate with the number of its line."""
        lines = csv.reader(io.StringIO(self.text, newline=""), strict=True)
        try:
            for fields in lines:
                values = [field.strip() for field in fields]
                if lines.line_num == 1 and [value.lower() for value in values] != COLUMNS:
                    raise self._invalid(1, f"the header is not {','.join(COLUMNS)}")
                if lines.line_num > 1 and any(values):
                    yield lines.line_num, self._rate(lines.line_num, values)
        except csv.Error as error:
            raise self._invalid(lines.line_num, "it is not CSV") from error

    def _rate(self, line: int, values: list[str]) -> Rate:
        if len(values) != len(COLUMNS):
            raise self._invalid(line, f"it has {len(values)} values instead of {len(COLUMNS)}")
        try:
            day = date.fromisoformat(values[0])
        except ValueError:
            day = None
        if day is None or len(values[0]) != len("2026-01-31") or day < EARLIEST:
            raise self._invalid(line, f"the date is not one from {EARLIEST} on, in the form YYYY-MM-DD")
        currency = values[1].upper()
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise self._invalid(line, "the currency is not a code of three letters")
        return Rate(day, currency, self._value(line, values[2]))

    def _value(self, line: int, text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal(0)
        if value.is_finite() and 0 < value < MAX_RATE and (rounded := round(value, RATE_DECIMALS)):
            return rounded
        raise self._invalid(line, f"the rate is not a number above 0 and below {MAX_RATE:,} with a decimal point")

    def _invalid(self, line: int, fault: str) -> SettingsInvalid:
        return invalid_line(line, fault, self.currency)


def invalid_line(line: int, fault: str, currency: str) -> SettingsInvalid:
    """The error for a line of the file that does not parse.

    Args:
        line: Its number, from 1.
        fault: What is wrong with it, without its values: the setting may name a file that nobody should see.
        currency: The currency that rates are in.
    """
    return SettingsInvalid(
        f"RATES_FILE, line {line}: {fault}.",
        f"Each line is date,currency,rate, such as 2026-01-31,USD,0.92: the value of 1 USD in {currency} on that day.",
    )


class RatesFile:
    """The file that RATES_FILE names. It is read again when it has changed. May be used from any thread."""

    def __init__(self, path: Path, currency: str) -> None:
        """Reads nothing yet.

        Args:
            path: The file.
            currency: ISO 4217 code of the currency that its rates are in.
        """
        self._path = path
        self._currency = currency
        self._last_read: tuple[object, ExchangeRates] | None = None

    @classmethod
    def of(cls, settings: Settings) -> RatesFile | None:
        """The file of the settings, after it was read once; None where they name none.

        Raises:
            SettingsInvalid: The file cannot be read, or does not parse.
        """
        if settings.rates_file is None or settings.shop_currency is None:
            return None
        rates_file = cls(settings.rates_file, settings.shop_currency)
        rates_file.read()
        return rates_file

    @property
    def currency(self) -> str:
        """ISO 4217 code of the currency that amounts are converted to."""
        return self._currency

    def read(self) -> ExchangeRates:
        """The rates of now.

        Raises:
            SettingsInvalid: The file cannot be read, or does not parse.
        """
        try:
            status = self._path.stat()
            state = status.st_mtime_ns, status.st_size, status.st_ino
            if self._last_read is None or self._last_read[0] != state:
                rates = ExchangeRates(currency=self._currency, text=self._path.read_text(encoding="utf-8-sig"))
                _ = rates.rates  # raises where the text does not parse
                self._last_read = state, rates
            return self._last_read[1]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsInvalid(f"RATES_FILE names a file that cannot be read: {reason}.") from error
