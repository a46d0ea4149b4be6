"""`GET /openapi.json`: the API in OpenAPI 3.1, made from the definitions that requests are parsed by.

With a key it lists the columns of the newest snapshot, so that filters, `sort`, `fields` and rows are typed.
https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from isal import isal_zlib
from starlette.requests import Request
from starlette.responses import Response

from api.auth.authentication import Access, Gate, key_of
from api.contract.error_codes import CODES, REFRESH_FAILED, Code
from api.contract.fetch_query import MEDIA_TYPES, PATH
from api.contract.filter_schema import filters, listed_columns
from api.contract.json_response import dumps
from api.contract.operations import (
    ANYONE,
    KEYED,
    OF_FORMATS,
    OF_VIEW,
    OPERATIONS,
    SECURITY,
    SIGNED,
    TEXT,
    Operation,
    json_of,
)
from api.contract.parameters import Parameter, parameters
from api.contract.response_models import Schema, ref, schemas
from api.routes.prepared import matches, takes_gzip
from api.routes.snapshot_view import Views
from cache.errors import CacheError
from cache.schema import Column
from cache.version import VERSION

_ABOUT = """\
The orders table, from a copy that is proven equal to it; answers come at once and say how old they are.

`HEAD` works wherever `GET` does. Parameters whose names begin with `_` are ignored; any other that is not described
here is refused by name. Headers that let pages of other origins call stand on every answer, errors too."""

_HEADERS: Mapping[str, Schema] = {
    "ETag": {"description": "Tag of all that the answer says.", "example": '"12-9f3c1d20a1b2c3d4"'},
    "Last-Modified": {"description": "When the rows were last verified.", "example": "Mon, 29 Dec 2025 10:25:00 GMT"},
    "X-Generation": {"description": "Number of the snapshot.", "example": "12"},
    "X-Verified": {"description": "Whether it is proven equal to the table.", "example": "true"},
    "X-Total-Count": {"description": "`total_count`, where the body is not JSON.", "example": "10000"},
    "X-Next": {"description": "`next`, where the body is not JSON.", "example": "AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT"},
    "Content-Disposition": {"description": "Name of the file.", "example": 'attachment; filename="orders.csv"'},
    "Accept-Ranges": {"description": "That parts of the file may be asked for.", "example": "bytes"},
    "Location": {"description": "Where to go next.", "example": "/tasks/5f2c"},
    "Retry-After": {"description": "Seconds to wait.", "example": "10"},
    "WWW-Authenticate": {"description": "How to send the key.", "example": "Bearer"},
}


class Description:
    """The endpoint."""

    def __init__(self, gate: Gate, views: Views) -> None:
        self._gate = gate
        self._views = views

    async def get(self, request: Request) -> Response:
        parameters(request)
        columns: tuple[Column, ...] = ()
        hidden: frozenset[str] = frozenset()
        if key_of(request.scope["headers"]) is not None:
            access = self._gate.admit(request.scope)
            if not isinstance(access, Access):
                return access
            try:
                view = await self._views.get()
                columns, hidden = view.columns, view.personal if access.masked else hidden
            except CacheError:
                pass  # nothing is cached: there are no columns to tell
        asked = dict(request.scope["headers"])
        gzip = takes_gzip(asked.get(b"accept-encoding", b""))
        body, tag = _encoded(columns, hidden, gzip)
        headers = {"Cache-Control": "private, no-cache", "ETag": tag.decode(),
                   "Vary": "Accept-Encoding, X-API-Key, Authorization"}  # fmt: skip
        if matches(asked.get(b"if-none-match", b""), tag):
            return Response(status_code=304, headers=headers)
        packing = {"Content-Encoding": "gzip"} if gzip else {}
        return Response(body, media_type="application/json", headers=headers | packing)


@lru_cache(8)
def _encoded(columns: tuple[Column, ...], hidden: frozenset[str], gzip: bool) -> tuple[bytes, bytes]:
    """The body and its ETag."""
    body = dumps(document(columns, hidden))
    if gzip:
        body = isal_zlib.compress(body, wbits=31)
    return body, b'"%s"' % hashlib.blake2b(body, digest_size=8).hexdigest().encode()


def document(columns: Sequence[Column] = (), hidden: Collection[str] = ()) -> dict[str, Any]:
    """The description. Parameters: `columns` of the newest snapshot, if they are to be told; `hidden` are those that
    the key may not see."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, columns, hidden)
    return {
        "openapi": "3.1.1",
        "info": {"title": "phpmyadmin-orders", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "./"}],
        "paths": paths,
        "components": {
            "schemas": schemas(columns, hidden),
            "headers": {name: {"schema": TEXT, **header} for name, header in _HEADERS.items()},
            "responses": {name: _refused([CODES[name]]) for name in ANYONE},
            "securitySchemes": dict(SECURITY),
        },
    }


def _operation(operation: Operation, columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    described = [_parameter(parameter, operation.path, columns, hidden) for parameter in operation.parameters]
    for name, (says, example) in operation.asked_headers.items():
        described.append({"name": name, "in": "header", "description": says, "schema": TEXT, "example": example})
    if operation.columns:
        described.append(filters(columns, hidden))
    wish = {"requestBody": {"required": True, "content": _content(json_of(operation.wish))}} if operation.wish else {}
    return {
        "operationId": operation.id,
        "summary": operation.says,
        "security": [{name: []} for name in operation.security] or [{}],
        **({"parameters": described} if described else {}),
        **wish,
        "responses": _responses(operation),
    }


def _parameter(asked: Parameter, path: str, columns: Sequence[Column], hidden: Collection[str]) -> dict[str, Any]:
    schema = {**asked.schema, **listed_columns(asked.name, columns, hidden)} if path == PATH else dict(asked.schema)
    if asked.default not in (None, ()):
        schema["default"] = asked.default
    several = {"style": "form", "explode": asked.repeats} if schema["type"] == "array" else {}
    example = schema.pop("example", None) or _example(asked)
    return {
        "name": asked.name,
        "in": "path" if f"{{{asked.name}}}" in path else "query",
        "required": asked.required,
        "description": f"{asked.description} Takes {asked.takes}.",
        "schema": schema,
        **several,
        "example": example,
    }


def _example(asked: Parameter) -> Any:
    """Of the type that the schema says."""
    if asked.schema["type"] == "string" or asked.repeats:
        return [asked.example] if asked.repeats else asked.example
    value = asked.read(asked.example)
    return list(value) if isinstance(value, tuple) else value


def _responses(operation: Operation) -> dict[str, Any]:
    right: dict[str, Any] = {"description": operation.says}
    if operation.bodies:
        right["content"] = _content(operation.bodies)
    headers = [
        *operation.headers,
        *(OF_FORMATS if operation.columns else ()),
    ]
    if headers:
        right["headers"] = _headers(headers)
    if operation.links:
        right["links"] = {
            name: {"operationId": name, "parameters": dict(parameters)} for name, parameters in operation.links.items()
        }
    found = {str(operation.status): right}
    for status, says in operation.more.items():
        found[str(status)] = {"description": says, "headers": _headers(OF_VIEW)}
    names = [*operation.codes, *(KEYED if operation.security else ())]
    names += [*SIGNED] if "signed" in operation.security else []
    if "timeout" in operation.codes:
        said = "A code of a sync: the refresh that `wait` asked for has failed."
        found[str(REFRESH_FAILED)] = {"description": said, "content": _content(json_of("Error")),
                                      "headers": _headers(["Location"])}  # fmt: skip
    for status in sorted({CODES[name].status for name in (*names, *ANYONE)}):
        codes = [code for code in CODES.values() if code.status == status and code.name in (*names, *ANYONE)]
        alone = len(codes) == 1 and codes[0].name in ANYONE
        found[str(status)] = {"$ref": f"#/components/responses/{codes[0].name}"} if alone else _refused(codes)
    return dict(sorted(found.items()))


def _refused(codes: Sequence[Code]) -> dict[str, Any]:
    said = {
        code.name: {
            "summary": code.means,
            "value": {
                "status": "pending" if code.name == "no_snapshot" else "error",
                "message": code.message,
                "code": code.name,
            },
        }
        for code in codes
    }
    headers = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"], 504: ["Location"]}
    named = headers.get(codes[0].status)
    return {
        "description": "; ".join(f"`{code.name}`: {code.means}" for code in codes),
        "content": {MEDIA_TYPES["json"]: {"schema": ref("Error"), "examples": said}},
        **({"headers": _headers(named)} if named else {}),
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(bodies: Mapping[str, Schema]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in bodies.items()}
