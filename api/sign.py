"""`POST /sign`: makes an address that stands for the key, for a while, where a key cannot be sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer, iso
from api.errors import ParameterInvalid
from api.gate import Gate, access_of
from api.parameters import parameters
from cache.access.signed_urls import EXPIRES, MAX_MINUTES, SIGNATURE
from cache.storage.records import now

SIGNABLE = ("/fetch-data", "/events", "/changes")
_SIGNABLE = rf"^({'|'.join(SIGNABLE)})(\?[^#]*)?$"
_ADVICE = f'It takes JSON: {{"path": "/fetch-data?format=csv", "minutes": 10}}; minutes are 1 to {MAX_MINUTES}.'


def _whole(number: object) -> object:
    """To JSON, 6.0 is a whole number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Wish(BaseModel):
    """What is to be signed: an address from its path on, and for how many minutes."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(max_length=8_000, json_schema_extra={"pattern": _SIGNABLE})]
    minutes: Annotated[int, Field(strict=True, ge=1, le=MAX_MINUTES), BeforeValidator(_whole)] = 10


class Sign:
    """The endpoint."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def post(self, request: Request) -> Response:
        parameters(request)
        try:
            wish = Wish.model_validate_json(await request.body())
        except ValidationError as error:
            at = error.errors()[0]
            name = ".".join(map(str, at["loc"])) or "the body"
            raise ParameterInvalid(f"{name[:50]} of POST /sign does not parse: {at['msg']}.", _ADVICE) from None
        path, _, query = wish.path.partition("?")
        if path not in SIGNABLE:
            raise ParameterInvalid("This path cannot be signed.", f"{', '.join(SIGNABLE)} can.")
        names = {part.partition("=")[0] for part in query.split("&")}
        if names & {EXPIRES, SIGNATURE} or "#" in query:
            raise ParameterInvalid("This address is signed already, or has a fragment.", "Leave those parts out.")
        expires_at = now() + timedelta(minutes=wish.minutes)
        address = self._gate.sign(access_of(request), path, query, expires_at)
        return Answer({"status": "success", "address": address, "expires_at": iso(expires_at)})
