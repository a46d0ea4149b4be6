"""`POST /sign`: signs an address, for clients that cannot send a key."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import admission_of
from api.contract.errors import ParameterInvalid
from api.contract.json_response import JsonResponse
from api.contract.paths import without_prefix
from api.contract.queries.parameters import read_parameters
from api.contract.queries.sign_request import ADVICE, SIGNABLE, SignRequest
from api.contract.response_models import SignedUrl
from cache.access.signed_urls import EXPIRES, SIGNATURE
from cache.storage.records import now


async def sign(request: Request) -> Response:
    """Signs an address.

    Raises:
        ParameterInvalid: The body is not a SignRequest, or its path cannot be signed.
    """
    admission = admission_of(request)
    read_parameters(admission.query, request.url.path)
    try:
        wanted = SignRequest.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the body"
        raise ParameterInvalid(f"{name[:50]} of POST /sign does not parse: {first['msg']}.", ADVICE) from None
    path, _, query = wanted.path.partition("?")
    signed_path = without_prefix(path)
    if signed_path not in SIGNABLE:
        raise ParameterInvalid("This path cannot be signed.", f"Paths that can: {', '.join(SIGNABLE)}.")
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if names & {EXPIRES, SIGNATURE} or "#" in query:
        raise ParameterInvalid("This address is signed already, or has a fragment.", "Leave those parts out.")
    expires_at = now() + timedelta(minutes=wanted.minutes)
    address = admission.authenticator.sign(admission.access, signed_path, query, expires_at)
    address = path.removesuffix(signed_path) + address
    return JsonResponse(SignedUrl(status="success", address=address, expires_at=expires_at))
