"""A believable shop: orders of three years, the same for the same seed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from lab.data.orders import DAY, Ints, batch
from lab.data.table import Row

FIRST_NUMBER = 1001
FIRST_ID = 5_400_000_000_000
_BATCH = 20_000
_YEARS = 3


def history(rows: int, seed: int, until: datetime | None = None) -> Iterator[list[Row]]:
    """Batches of orders, oldest first, over three years.

    Args:
        rows: how many orders.
        seed: the same seed, rows and until give the same orders.
        until: an aware instant, the end of the three years; by default now, to the minute.
    """
    end = int((until or datetime.now(UTC).replace(second=0, microsecond=0)).timestamp())
    rng = np.random.default_rng(seed)
    created = _timeline(rng, rows, end)
    ids = FIRST_ID + np.cumsum(rng.integers(1, 60_000, rows))
    customers = _customers(rng, rows)
    for low in range(0, rows, _BATCH):
        part = slice(low, low + _BATCH)
        numbers = range(FIRST_NUMBER + low, FIRST_NUMBER + min(low + _BATCH, rows))
        zero_date = FIRST_NUMBER + rows // 2
        yield batch(
            np.random.default_rng([seed, low]), ids[part], numbers, created[part], customers[part], end, zero_date
        )


def _timeline(rng: np.random.Generator, rows: int, end: int) -> Ints:
    """When the orders are placed: more each year, in late November, on Sundays and in the evening."""
    hours = np.arange(end - _YEARS * 365 * DAY, end, 3600)
    day_of_year = hours // DAY % 365.25
    weekday = (hours // DAY + 3) % 7  # the epoch was a Thursday; 0 is Monday
    rate = np.exp(1.3 * np.linspace(0, 1, len(hours)))
    rate *= np.array([1.0, 0.95, 0.95, 1.0, 1.05, 1.15, 1.3])[weekday]
    rate *= 1 + 0.9 * np.exp(-(((day_of_year - 331) / 12) ** 2)) - 0.15 * np.exp(-(((day_of_year - 205) / 25) ** 2))
    rate *= 1 + 0.8 * np.cos((hours % DAY / 3600 - 19) / 24 * 2 * np.pi)
    passed = np.concatenate([[0.0], np.cumsum(rate)]) / rate.sum()
    placed: Ints = np.interp(np.sort(rng.random(rows)), passed, np.append(hours, end)).astype(np.int64)
    return placed


def _customers(rng: np.random.Generator, rows: int) -> Ints:
    """Who places them: the n-th customer; an older acquaintance comes again more often, and -1 is nobody known."""
    new = rng.random(rows) < 0.45
    new[:1] = True
    known = np.cumsum(new)
    again = (known * rng.random(rows) ** 1.6).astype(np.int64)
    customers = np.where(new, known - 1, again)
    customers[(rng.random(rows) < 0.04) & ~new] = -1
    return customers
