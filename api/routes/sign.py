"""`POST /sign`: makes an address that stands for the key, for a while, where a key cannot be sent."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import Gate, access_of
from api.contract.errors import ParameterInvalid
from api.contract.json_response import Answer, iso
from api.contract.parameters import parameters
from api.contract.sign_request import ADVICE, SIGNABLE, Wish
from cache.access.signed_urls import EXPIRES, SIGNATURE
from cache.storage.records import now


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
            raise ParameterInvalid(f"{name[:50]} of POST /sign does not parse: {at['msg']}.", ADVICE) from None
        path, _, query = wish.path.partition("?")
        if path not in SIGNABLE:
            raise ParameterInvalid("This path cannot be signed.", f"{', '.join(SIGNABLE)} can.")
        names = {part.partition("=")[0] for part in query.split("&")}
        if names & {EXPIRES, SIGNATURE} or "#" in query:
            raise ParameterInvalid("This address is signed already, or has a fragment.", "Leave those parts out.")
        expires_at = now() + timedelta(minutes=wish.minutes)
        address = self._gate.sign(access_of(request), path, query, expires_at)
        return Answer({"status": "success", "address": address, "expires_at": iso(expires_at)})
