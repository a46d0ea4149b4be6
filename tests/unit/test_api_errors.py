"""Every error of the API has the shape that api/contract/error_responses.py states, on every route."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import publish
from fronts import address_pair
from sidecar_process import KEY, Sidecar, served_here, sidecar
from starlette.requests import Request
from waiting import wait_for

from api.contract.operations import OPERATIONS
from api.routes.sign import SignEndpoint
from cache.access.api_keys import ApiKey, digest
from cache.storage.documents import API_KEYS
from cache.storage.records import now

ROUTES = {operation.path.replace("{id}", "1"): operation.method.upper() for operation in OPERATIONS}
KEYED = [operation.path.replace("{id}", "1") for operation in OPERATIONS if operation.access != "none"]
STRICT = [
    operation.path.replace("{id}", "1")
    for operation in OPERATIONS
    if "parameter_invalid" in operation.codes and operation.id != "getFeed"  # a feed that is none says nothing
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache)
        yield running


def error(answer: httpx2.Response, status: int) -> dict[str, Any]:
    """The body, once it is proven to be an error of the one shape."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body: dict[str, Any] = answer.json()
    assert list(body) == ["status", "message", "code", "request_id"]
    assert body.pop("request_id") == answer.headers["x-request-id"]
    assert body["status"] == "error"
    assert body["message"]
    assert body["code"].isidentifier()
    return body


@pytest.mark.parametrize("path", ROUTES)
def test_a_method_that_an_address_does_not_take_is_405(api: Sidecar, path: str) -> None:
    answer = api.client.delete(path)
    assert error(answer, 405)["code"] == "method_not_allowed"
    assert ROUTES[path] in answer.headers["allow"].split(", ")


@pytest.mark.parametrize("path", KEYED)
def test_a_missing_key_is_401(api: Sidecar, path: str) -> None:
    answer = httpx2.request(ROUTES[path], api.url + path)
    assert error(answer, 401) == {"status": "error", "message": "Unauthorized access", "code": "unauthorized"}
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", KEYED)
def test_a_wrong_key_is_401_and_its_challenge_says_so(api: Sidecar, path: str) -> None:
    for headers in ({"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
        answer = httpx2.request(ROUTES[path], api.url + path, headers=headers)
        assert error(answer, 401)["message"] == "Unauthorized access"
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.slow
def test_a_challenge_names_what_is_wrong(api: Sidecar) -> None:
    reader, old = (
        ApiKey(name=name, digest=digest(name), scopes=("read",), created_at=now(), expires_at=ends)
        for name, ends in (("reader", None), ("old", now()))
    )
    for key in (reader, old):
        api.cache.documents.change(API_KEYS, lambda keys, key=key: keys.add(key))
    signed = wait_for(lambda: (answer := ask(api, "reader", "/sign")).status_code == 200 and answer).json()["address"]
    for answer, status, challenge in (
        (ask(api, "reader", "/refresh"), 403, 'Bearer error="insufficient_scope", scope="refresh"'),
        (ask(api, "old", "/refresh"), 401, 'Bearer error="invalid_token"'),
        (httpx2.get(f"{api.url}{signed}x"), 401, 'Bearer error="invalid_token"'),
        (httpx2.get(f"{api.url}/fetch-data"), 401, "Bearer"),
    ):
        assert error(answer, status)
        assert answer.headers["www-authenticate"] == challenge


def ask(api: Sidecar, key: str, path: str) -> httpx2.Response:
    return httpx2.post(api.url + path, headers={"X-API-Key": key}, json={"path": "/fetch-data"})


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/fetch-data?limit=x", KEY, 400),
        ("GET", "/fetch-data", "wrong", 401),
        ("POST", "/refresh", KEY, 503),
        ("GET", "/nowhere", KEY, 404),
        ("DELETE", "/fetch-data", KEY, 405),
        ("GET", "/tasks/1", KEY, 404),
        ("POST", "/sign", KEY, 400),
        ("HEAD", "/fetch-data?limit=x", KEY, 400),
    ],
)
def test_errors_are_problem_details_where_they_are_accepted(
    api: Sidecar, method: str, path: str, key: str, status: int
) -> None:
    problem_type = "application/problem+json"
    plain, problem = (
        httpx2.request(method, api.url + path, headers={"X-API-Key": key, "Accept": accept, "X-Request-ID": "a.b-1"})
        for accept in ("*/*", f"application/json, {problem_type}")
    )
    assert (plain.status_code, problem.status_code) == (status, status)
    assert (plain.headers["content-type"], problem.headers["content-type"]) == ("application/json", problem_type)
    for name in ("retry-after", "www-authenticate", "allow", "access-control-allow-origin", "cache-control"):
        assert problem.headers.get(name) == plain.headers.get(name)
    if method != "HEAD":
        assert problem.json() == {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": plain.json()["message"],
            "code": plain.json()["code"],
            "request_id": "a.b-1",
        }


def test_a_success_is_no_problem(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data?limit=1", headers={"Accept": "application/problem+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["status"] == "success"


@pytest.mark.parametrize("path", STRICT)
def test_an_unknown_parameter_is_400_and_is_named_without_its_value(api: Sidecar, path: str) -> None:
    body = error(api.client.request(ROUTES[path], f"{path}?key=hidden"), 400)
    assert body["code"] == "parameter_invalid"
    assert "'key'" in body["message"]
    assert "hidden" not in body["message"]


NORMALISED = pytest.param(
    "/../etc/passwd", marks=pytest.mark.not_on("one-port", "sub-path", why="clients cut such a path themselves")
)
NUL = pytest.param("/%00", marks=pytest.mark.not_on("sub-path", why="nginx refuses it itself"))


@pytest.mark.parametrize("path", ["/no-such", "/fetch-data/", "/tasks/", "/tasks/1/2", NUL, NORMALISED])
def test_an_unknown_address_is_404(api: Sidecar, path: str) -> None:
    assert error(api.client.get(path), 404)["code"] == "not_found"


def test_an_unknown_task_is_404(api: Sidecar) -> None:
    assert error(api.client.get("/tasks/1"), 404)["code"] == "unknown_task"


def test_a_refresh_that_nobody_would_run_is_503(api: Sidecar) -> None:
    answer = api.client.post("/refresh")
    assert error(answer, 503)["code"] == "no_worker"
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["bytes=5-1", "bytes=99999999-", "potatoes=1-2", "bytes=-", "bytes=a-b", "bytes"])
def test_a_range_that_no_part_answers_is_ignored(api: Sidecar, wanted: str) -> None:
    answer = api.client.get("/fetch-data?format=parquet", headers={"Range": wanted})
    assert answer.status_code == 200
    assert answer.content[:4] == answer.content[-4:] == b"PAR1"


def test_not_ready_is_503(api: Sidecar) -> None:
    assert error(api.client.get("/ready"), 503)["code"] == "no_worker"


@pytest.mark.slow
def test_a_cache_with_no_intact_generation_is_503(tmp_path_factory: pytest.TempPathFactory) -> None:
    with sidecar(tmp_path_factory.mktemp("damaged")) as running:
        publish(running.cache)
        for file in (running.folder / "cache" / "segments").glob("*/rows.json"):
            file.unlink()
        assert error(running.client.get("/fetch-data"), 503)["code"] == "range_damaged"
        status = running.client.get("/status").json()
        assert (status["cache_exists"], status["verified"]) == (True, False)
        assert "has a damaged" in status["reason"] or "lacks rows.json" in status["reason"]


@pytest.mark.slow
def test_a_fault_is_500_without_a_trace_and_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_: SignEndpoint, __: Request) -> None:
        raise RuntimeError("hunter2")

    with served_here(tmp_path, 3, api__routes__sign__SignEndpoint__post=fails) as (url, _):
        answer = httpx2.post(f"{url}/sign", headers={"X-API-Key": KEY}, json={"path": "/fetch-data"})
        assert error(answer, 500)["code"] == "internal_error"
        assert not re.search("Traceback|RuntimeError|hunter2", answer.text)
        assert httpx2.get(f"{url}/health").status_code == 200
    assert caplog.text.count("Exception in ASGI application") == 1
    assert caplog.text.count("RuntimeError: hunter2") == 1


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /fetch-data?refresh=%FF%FE HTTP/1.1",
        b"GET /fetch-data?%00=1 HTTP/1.1",
        b"GET /fetch-data?&&=& HTTP/1.1",
        b"GET /tasks/%2e%2e%2f%ff HTTP/1.1",
        b"BREW /fetch-data HTTP/1.1",
        b"nonsense",
        b"GET //fetch-data HTTP/1.1",
        b"GET http://elsewhere.example/fetch-data HTTP/1.1",
        b"GET /fetch-data HTTP/9.9",
    ],
)
def test_a_malformed_request_is_refused_and_harms_nothing(api: Sidecar, request_line: bytes) -> None:
    with socket.create_connection(address_pair(api.url), timeout=10) as raw:
        raw.sendall(request_line + b"\r\nHost: x\r\nX-API-Key: \xff\xfe\r\nConnection: close\r\n\r\n")
        status = raw.recv(65536).split(b" ")[1]
    assert status.startswith(b"4")
    assert api.client.get("/health").status_code == 200
