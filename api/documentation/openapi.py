"""`GET /openapi.json`: the API in OpenAPI 3.1, made from the definitions that requests are parsed by.

With a key, the document lists the columns of the newest snapshot, so that filters, `sort`, `fields` and rows are typed.
https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from isal import isal_zlib
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import Admission, Authenticator
from api.contract.error_codes import CODES, REFRESH_FAILED, ErrorCode
from api.contract.filter_schema import dimension_filters, filters, listed_columns
from api.contract.json_response import dumps
from api.contract.operation_codes import COMMON_CODES, KEY_CODES, SIGNATURE_CODES
from api.contract.operations import (
    FORMAT_HEADERS,
    LIMIT_HEADERS,
    OPERATIONS,
    SECURITY_SCHEMES,
    TEXT,
    VIEW_HEADERS,
    Operation,
    json_of,
)
from api.contract.paths import ALIASES, PREFIX
from api.contract.queries.fetch_query import PATH
from api.contract.queries.parameters import Parameter, read_parameters
from api.contract.response_models import EXAMPLE_REQUEST_ID, PROBLEM_TYPE, TASK_ID, Error, Schema, ref
from api.contract.schemas import schemas
from api.http.compute_threads import compute_in_thread
from api.http.negotiation import etag_matches
from api.routes.snapshot_view import SnapshotViews
from cache.accept_encoding import accepts_gzip
from cache.access.api_keys import key_of
from cache.access.cache_busters import NAMES as CACHE_BUSTERS
from cache.errors import CacheError, NoSnapshot, WarmingUp
from cache.export.row_format import MEDIA_TYPES
from cache.schema import Column
from cache.version import VERSION

_ABOUT = f"""\
Rows of the orders table, from a copy that is proven equal to it. Responses come at once and say how old the copy is.

`HEAD` works wherever `GET` does. Unknown parameters are refused by name, except cache busters: names that begin with \
`_`, and {", ".join(f"`{name}`" for name in CACHE_BUSTERS)}. `/health`, `/ready` and `/status` ignore all parameters. \
Every response has CORS headers, errors included.

Every path also stands under `{PREFIX}`, with the same responses. So do these aliases: \
{", ".join(f"`{alias}` of `{path}`" for alias, path in ALIASES.items())}."""

REQUEST_ID = "X-Request-ID"
_LICENSE = {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}
_HEADERS: Mapping[str, Schema] = {
    "ETag": {"description": "Tag of the response.", "example": '"12-9f3c1d20a1b2c3d4"'},
    "Last-Modified": {"description": "When the rows were last verified.", "example": "Mon, 29 Dec 2025 10:25:00 GMT"},
    "X-Generation": {"description": "Number of the snapshot.", "example": "12"},
    "X-Verified": {"description": "Whether it is proven equal to the table.", "example": "true"},
    "Link": {
        "description": "The address of the next page, relative to this one; missing on the last page.",
        "example": '<?limit=100&after=AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT>; rel="next"',
    },
    "X-Total-Count": {"description": "`total_count`, if the body is not JSON.", "example": "10000"},
    "X-Next": {"description": "`next`, if the body is not JSON.", "example": "AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT"},
    "Content-Disposition": {"description": "Name of the file.", "example": 'attachment; filename="orders.csv"'},
    "Accept-Ranges": {"description": "`Range` is supported.", "example": "bytes"},
    "Location": {"description": "Where to go next.", "example": f"/tasks/{TASK_ID}"},
    "Retry-After": {"description": "Seconds to wait.", "example": "10"},
    "RateLimit": {
        "description": "How many requests the key has left (`r`), and for how many seconds (`t`).",
        "example": '"key";r=594;t=37',
    },
    "RateLimit-Policy": {
        "description": "How many requests the key has (`q`) in so many seconds (`w`).",
        "example": '"key";q=600;w=60',
    },
    REQUEST_ID: {
        "description": "The id of the request, as the log and errors have it: that of the request, if it has one.",
        "example": EXAMPLE_REQUEST_ID,
    },
    "WWW-Authenticate": {
        "description": "How to send the key; `error` says what is wrong with the one that was sent.",
        "example": "Bearer",
    },
}


class OpenApiEndpoint:
    """The endpoint. It needs no key; with one, the document lists the columns.

    Args:
        authenticator: Authenticates requests that send a key.
        views: The open generations.
        public_path: PUBLIC_PATH.
    """

    def __init__(self, authenticator: Authenticator, views: SnapshotViews, public_path: str = "") -> None:
        self._authenticator = authenticator
        self._views = views
        self._public_path = public_path

    async def get(self, request: Request) -> Response:
        """The document.

        Raises:
            ParameterInvalid: A parameter was given.
        """
        read_parameters(request.scope["query_string"], request.url.path)
        columns: tuple[Column, ...] = ()
        hidden: tuple[str, ...] = ()
        if key_of(request.scope["headers"]) is not None:
            admission = self._authenticator.authenticate(request.scope)
            if not isinstance(admission, Admission):
                return admission
            try:
                view = await self._views.get()
                columns, hidden = view.columns, (await self._views.mask(view, admission.access)).columns
            except CacheError:
                pass  # nothing is cached, so there are no columns
        request_headers = dict(request.scope["headers"])
        gzip = accepts_gzip(request_headers.get(b"accept-encoding", b""))
        body, etag = await compute_in_thread(_encoded, columns, hidden, gzip, self._public_path)
        headers = {
            "Cache-Control": "private, no-cache",
            "ETag": etag.decode(),
            "Vary": "Accept-Encoding, X-API-Key, Authorization",
        }
        if etag_matches(request_headers.get(b"if-none-match", b""), etag):
            return Response(status_code=304, headers=headers)
        encoding = {"Content-Encoding": "gzip"} if gzip else {}
        return Response(body, media_type="application/json", headers=headers | encoding)


@lru_cache(8)
def _encoded(columns: tuple[Column, ...], hidden: tuple[str, ...], gzip: bool, public_path: str) -> tuple[bytes, bytes]:
    """The body and its ETag."""
    body = dumps(document(columns, hidden, public_path))
    if gzip:
        body = isal_zlib.compress(body, wbits=31)
    return body, b'"%s"' % hashlib.blake2b(body, digest_size=8).hexdigest().encode()


def document(columns: Sequence[Column] = (), hidden: Collection[str] = (), public_path: str = "") -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        columns: The columns of the newest snapshot; none if the reader may not know them.
        hidden: The columns that are masked.
        public_path: PUBLIC_PATH.
    """
    paths: dict[str, Any] = {}
    described = [operation for operation in OPERATIONS if operation.bodies]  # not the redirect from `/`
    for operation in described:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, columns, hidden)
    shared = {_shared(codes) for operation in described for codes in _errors(operation).values()}
    return {
        "openapi": "3.1.1",
        "info": {"title": "phpmyadmin-orders", "version": VERSION, "description": _ABOUT, "license": _LICENSE},
        "servers": [
            {"url": ".", "description": "Beside this document, wherever a proxy has it."},
            {"url": public_path + PREFIX, "description": "The same, where pages share the address."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(columns, hidden),
            "headers": {name: {"schema": TEXT, **header} for name, header in _HEADERS.items()},
            "responses": {name: _error_response([CODES[name]]) for name in COMMON_CODES if name in shared},
            "securitySchemes": dict(SECURITY_SCHEMES),
        },
    }


def _operation(operation: Operation, columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    parameters = [_parameter(parameter, operation.path, columns, hidden) for parameter in operation.parameters]
    for name, (description, example) in operation.request_headers.items():
        header = {"name": name, "in": "header", "description": description, "schema": TEXT, "example": example}
        parameters.append(header)
    if operation.filters:
        parameters.append(filters(columns, hidden) if operation.filters == "columns" else dimension_filters())
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "security": [{name: []} for name in operation.security] or [{}],
    }
    if parameters:
        described["parameters"] = parameters
    if operation.request_body:
        described["requestBody"] = {"required": True, "content": _content(json_of(operation.request_body))}
    return described | {"responses": _responses(operation)}


def _parameter(parameter: Parameter, path: str, columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    schema = dict(parameter.schema)
    if path == PATH:
        schema |= listed_columns(parameter.name, columns, hidden)
    if parameter.default not in (None, ()):
        schema["default"] = parameter.default
    array = {"style": "form", "explode": parameter.repeats} if schema["type"] == "array" else {}
    example = schema.pop("example", None) or _example(parameter)
    return {
        "name": parameter.name,
        "in": "path" if f"{{{parameter.name}}}" in path else "query",
        "required": parameter.required,
        "description": f"{parameter.description} Takes {parameter.takes}.",
        "schema": schema,
        **array,
        "example": example,
    }


def _example(parameter: Parameter) -> Any:
    """The example, in the type of the schema."""
    if parameter.schema["type"] == "string" or parameter.repeats:
        return [parameter.example] if parameter.repeats else parameter.example
    value = parameter.read(parameter.example)
    return list(value) if isinstance(value, tuple) else value


def _responses(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if operation.bodies:
        success["content"] = _content(operation.bodies)
    limits = LIMIT_HEADERS if operation.security else ()
    headers = [*operation.headers, *(FORMAT_HEADERS if operation.filters else ()), *limits]
    success["headers"] = _headers([*headers, REQUEST_ID])
    if operation.links:
        success["links"] = {
            name: {"operationId": name, "parameters": dict(parameters)} for name, parameters in operation.links.items()
        }
    responses = {str(operation.status): success}
    for status, description in operation.more.items():
        headers_of_status = {} if status == 204 else {"headers": _headers(VIEW_HEADERS)}
        responses[str(status)] = {"description": description, **headers_of_status}
    if "timeout" in operation.codes:
        responses[str(REFRESH_FAILED)] = {
            "description": "The code of the error that the sync ended with: the refresh that `wait` requested failed.",
            "content": _content(json_of("Error")),
            "headers": _headers(["Location"]),
        }
    return dict(sorted((responses | _error_responses(operation)).items()))


def _error_responses(operation: Operation) -> dict[str, Any]:
    """The errors of an operation, by status."""
    return {
        str(status): {"$ref": f"#/components/responses/{shared}"}
        if (shared := _shared(codes))
        else _error_response(codes)
        for status, codes in _errors(operation).items()
    }


def _errors(operation: Operation) -> dict[int, list[ErrorCode]]:
    """The error codes of an operation, by status."""
    names = {*operation.codes, *COMMON_CODES, *(KEY_CODES if operation.security else ())}
    names |= {*SIGNATURE_CODES} if "signed" in operation.security else set()
    errors: dict[int, list[ErrorCode]] = {}
    for code in CODES.values():
        if code.name in names:
            errors.setdefault(code.status, []).append(code)
    return errors


def _shared(codes: Sequence[ErrorCode]) -> str | None:
    """The name of the response that several operations have for these codes."""
    return codes[0].name if len(codes) == 1 and codes[0].name in COMMON_CODES else None


def _error_response(codes: Sequence[ErrorCode]) -> dict[str, Any]:
    """The response of codes that have one status."""
    examples = {code.name: {"summary": code.occurs, "value": _error_example(code)} for code in codes}
    headers = {
        429: ["Retry-After"],
        503: ["Retry-After"],
        401: ["WWW-Authenticate"],
        403: ["WWW-Authenticate"],
        504: ["Location"],
    }
    response = {
        "description": "; ".join(f"`{code.name}`: {code.occurs}" for code in codes),
        "content": {
            MEDIA_TYPES["json"]: {"schema": ref("Error"), "examples": examples},
            PROBLEM_TYPE: {"schema": ref("Problem")},
        },
    }
    response["headers"] = _headers([*headers.get(codes[0].status, ()), REQUEST_ID])
    return response


def _error_example(code: ErrorCode) -> dict[str, Any]:
    state: Literal["error", "pending"] = "pending" if code.name in (NoSnapshot.code, WarmingUp.code) else "error"
    example = Error(status=state, message=code.message, code=code.name, request_id=EXAMPLE_REQUEST_ID)
    return example.model_dump()


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(bodies: Mapping[str, Schema]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in bodies.items()}
