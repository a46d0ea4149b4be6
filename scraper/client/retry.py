"""Retries after growing pauses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from scraper.errors import ScrapeError, SessionLost

PAUSES = (1.0, 4.0, 12.0)  # seconds before each retry

Result = TypeVar("Result")
log = logging.getLogger(__name__)


def retry(step: Callable[[], Result], before_retry: Callable[[], None] = lambda: None) -> Result:
    """Runs a step, and runs it again while it fails with a transient error.

    A lost session is not retried: the exporter has already logged in again once.

    Args:
        step: What may fail.
        before_retry: Runs before each retry, for example to ask for fewer rows.

    Raises:
        ScrapeError: The step failed with an error that is not transient, or failed on the last retry too.
    """
    for pause in PAUSES:
        try:
            return step()
        except ScrapeError as error:
            if not error.transient or isinstance(error, SessionLost):
                raise
            log.warning("trying again in %g s: %s", pause, error.message)
            before_retry()
            time.sleep(pause)
    return step()
