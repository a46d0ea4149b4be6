"""The body of POST /sign."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.contract.paths import ALIASES, PREFIX
from cache.access.signed_urls import MAX_MINUTES

SIGNABLE = ("/fetch-data", "/events", "/changes", "/figures", "/figures/events")  # paths that a signed address may have
ADVICE = f'It takes JSON: {{"path": "/fetch-data?format=csv", "minutes": 10}}; minutes are 1 to {MAX_MINUTES}.'
_PATHS = (*SIGNABLE, *(alias for alias, path in ALIASES.items() if path in SIGNABLE))
_PATTERN = rf"^({PREFIX})?({'|'.join(_PATHS)})(\?[^#]*)?$"


def _whole(number: object) -> object:
    """In JSON, 6.0 is a whole number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class SignRequest(BaseModel):
    """The address to sign, from its path on, and for how many minutes."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[
        str, Field(max_length=8_000, json_schema_extra={"pattern": _PATTERN}, examples=["/fetch-data?format=csv"])
    ]
    minutes: Annotated[int, Field(strict=True, ge=1, le=MAX_MINUTES, examples=[10]), BeforeValidator(_whole)] = 10
