"""Cases of a test of which only a part runs in `make test`: one of each kind. The others run in `make soak`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def soak_but(short: Container[object], cases: Iterable[Any]) -> list[Any]:
    """Mark cases for `make soak`.

    Args:
        short: the cases that `make test` runs.
        cases: all cases, each one value.
    """
    return [pytest.param(case, marks=() if case in short else pytest.mark.soak) for case in cases]


def every_second(cases: Iterable[Any]) -> list[Any]:
    """Mark every second case for `make soak`. Each case is a tuple of values."""
    return [pytest.param(*case, marks=pytest.mark.soak if number % 2 else ()) for number, case in enumerate(cases)]
