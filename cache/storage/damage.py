"""Reads records that may be damaged: a damaged one is left out, and reported in the log once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError

log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=BaseModel)


def intact(model: type[Model], bodies: Iterable[str], where: str) -> Iterator[Model]:
    """Yields the records that are intact.

    Args:
        model: The class of the records.
        bodies: The records in JSON.
        where: Names the place of the records in the log.
    """
    for body in bodies:
        try:
            yield model.model_validate_json(body)
        except ValidationError as error:
            report(where, error)


def report(where: str, error: ValidationError) -> None:
    """Reports damage in the log, once for each fault. The log does not repeat the values: they may be secret."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    _report(where, "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'JSON'}: {fault['type']}" for fault in faults))


@lru_cache(1_000)
def _report(where: str, faults: str) -> None:
    log.warning("%s has a damaged record, which is left out (%s).", where, faults)
