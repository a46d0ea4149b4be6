"""`POST /sign`: signs an address, for clients that cannot send a key.

An address that would be refused is not signed. The error is the one that the address would get.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import ADMISSION, Admission, admission_of
from api.contract.error_codes import CODES
from api.contract.errors import ParameterInvalid
from api.contract.json_response import JsonResponse
from api.contract.paths import own_path
from api.contract.queries.parameters import read_parameters
from api.contract.queries.sign_request import ADVICE, SIGNABLE, SignRequest
from api.contract.response_models import SignedUrl
from cache.access.signed_urls import EXPIRES, SIGNATURE
from cache.errors import OrdersError
from cache.storage.records import now


class SignEndpoint:
    """The endpoint.

    Args:
        checks: For each path of SIGNABLE, what raises the error of a request that is refused.
    """

    def __init__(self, checks: Mapping[str, Callable[[Request], Awaitable[object]]]) -> None:
        self._checks = checks

    async def post(self, request: Request) -> Response:
        """Signs an address.

        Raises:
            ParameterInvalid: The body is not a SignRequest, or its path cannot be signed.
            OrdersError: The address would be refused.
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
        signed_path = own_path(path)
        if signed_path not in SIGNABLE:
            raise ParameterInvalid("This path cannot be signed.", f"Paths that can: {', '.join(SIGNABLE)}.")
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        if names & {EXPIRES, SIGNATURE} or "#" in query:
            raise ParameterInvalid("This address is signed already, or has a fragment.", "Leave those parts out.")
        await self._check(signed_path, admission._replace(query=query.encode()))
        expires_at = now() + timedelta(minutes=wanted.minutes)
        address = admission.authenticator.sign(admission.access, signed_path, query, expires_at)
        address = path + address.removeprefix(signed_path)
        return JsonResponse(SignedUrl(status="success", address=address, expires_at=expires_at))

    async def _check(self, path: str, admission: Admission) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": admission.query,
            "headers": [],
            ADMISSION: admission,
        }
        try:
            await self._checks[path](Request(scope))
        except OrdersError as error:
            if error.code not in CODES or CODES[error.code].status < 500:
                raise  # any other may be over when the address is used
