"""Wait for something that other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 60) -> T:
    """Call a condition until it holds.

    Args:
        condition: tells whether it holds, by a value.
        seconds: how long to wait at most.

    Returns:
        The value.

    Raises:
        AssertionError: it does not hold in time.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"it did not happen within {seconds} seconds"
        time.sleep(0.05)
    return value
