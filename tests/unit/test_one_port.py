"""Dashboard and API on one port: which of them answers a path, and that each keeps its own rules there.

The tests of the contract, of connections and of limits run on one port too (sidecar_process.SCRIPTS).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from cache_factory import cache_in, publish
from fronts import address_pair
from sidecar_process import KEY, Sidecar, sidecar
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from streamlit.web.server.starlette.starlette_app import _RESERVED_ROUTE_PREFIXES
from waiting import wait_for

from api.app import Api, create_app
from api.contract.operations import OPERATIONS
from api.contract.paths import ALIASES, PREFIX
from api.routes.cache_watcher import CacheWatcher
from api.server import Server
from cache.access import bounded_protocol
from cache.access.client_limits import MAX_BODY, MAX_HEAD
from cache.listen_address import listen
from cache.settings import Settings
from dashboard.auth.oidc import CALLBACK_PATH, LOGOUT_PATH
from dashboard.auth.signin import SIGN_IN_PATH, SIGN_OUT_PATH
from dashboard.pages import PAGES
from dashboard.session import Session
from dashboard.web.downloads import PATH as EXPORT_PATH
from dashboard.web.headers import HEADERS
from one_port import OnePort, OnePortProtocol, is_of_api

pytestmark = pytest.mark.slow

OF_DASHBOARD = (
    *("/", *(f"/{path}" for path in PAGES)),
    *(SIGN_IN_PATH, SIGN_OUT_PATH, CALLBACK_PATH, LOGOUT_PATH, EXPORT_PATH),
    *(f"{prefix}file" for prefix in _RESERVED_ROUTE_PREFIXES),
    *("/favicon.png", "/no-such", "/fetch-data/", "/v10/fetch-data", "/api/no-such", "//v1"),
)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"X-API-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


# -- who answers


@pytest.mark.parametrize("path", [*(operation.path for operation in OPERATIONS), *ALIASES])
def test_the_api_has_all_its_paths_under_the_prefix_and_at_the_root(path: str) -> None:
    path = path.replace("{id}", "1")
    assert is_of_api(PREFIX + path)
    assert is_of_api(path) == (path != "/")


@pytest.mark.parametrize("path", OF_DASHBOARD)
def test_everything_else_at_the_root_is_of_the_dashboard(path: str) -> None:
    assert not is_of_api(path)
    assert is_of_api(PREFIX + path)


def test_an_operation_beneath_a_page_is_of_the_api() -> None:
    assert is_of_api("/api/data")
    assert not is_of_api("/api")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"dashboard_url": "https://orders.example/"}, "http://127.0.0.1:5000"),
        ({"dashboard_url": "https://orders.example/", "port": 80}, "https://orders.example"),
        ({"port": 80}, "http://127.0.0.1:80"),
    ],
)
def test_pages_show_the_public_address_of_an_api_that_shares_it(
    here: Path, given: dict[str, Any], address: str
) -> None:
    session = SimpleNamespace(settings=Settings.load(**given))
    assert Session.api_address.fget(session) == address  # type: ignore[attr-defined]


# -- the whole of it, with a password


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("one")
    with sidecar(
        folder, "one_port", DASHBOARD_PASSWORD="one", FAILED_KEYS_LIMIT="off", CORS_ORIGINS="https://a.b"
    ) as it:
        publish(it.cache, 5)
        yield it


@pytest.fixture(scope="module")
def visitor(one: Sidecar) -> Iterator[httpx2.Client]:
    """Signed in, without a key."""
    with httpx2.Client(base_url=one.url) as client:
        assert client.post("/signin", data={"password": "one"}).status_code == 303
        yield client


def test_the_sign_in_guards_no_path_of_the_api(one: Sidecar, visitor: httpx2.Client) -> None:
    for path in ("/fetch-data", "/v1/fetch-data"):
        assert one.client.get(path).json()["count"] == 5
        assert visitor.get(path).json()["code"] == "unauthorized"
    assert httpx2.get(f"{one.url}/health").json()["status"] == "healthy"


def test_a_key_opens_nothing_of_the_dashboard(one: Sidecar, visitor: httpx2.Client) -> None:
    for path in ("/", "/orders", "/no-such", "/export"):
        assert one.client.get(path).status_code == 401
        assert visitor.get(path).status_code == (403 if path == "/export" else 200)


def test_an_unknown_path_is_404_of_the_api_only_under_the_prefix(visitor: httpx2.Client) -> None:
    answer = visitor.get(f"{PREFIX}/no-such")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = visitor.get("/no-such")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.not_on("sub-path", why="the policy names the path there")
def test_each_has_its_own_headers(one: Sidecar, visitor: httpx2.Client) -> None:
    for path in ("/", "/orders", "/_stcore/health", "/no-such"):
        answer = visitor.get(path, headers={"Origin": "https://a.b"})
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in answer.headers
    for path in ("/fetch-data", "/v1/no-such", "/status"):
        answer = one.client.get(path, headers={"Origin": "https://a.b"})
        assert answer.headers["access-control-allow-origin"] == "https://a.b"
        assert "content-security-policy" not in answer.headers


def test_the_log_of_requests_has_those_of_the_api_only(one: Sidecar, visitor: httpx2.Client) -> None:
    assert visitor.get("/customers").status_code == 200
    assert one.client.get("/v1/checks").status_code == 200
    wait_for(lambda: " path=/checks status=200 " in one.log())
    assert "customers" not in one.log()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /orders HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
        (b"GET /orders?" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST /signin HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\npassword=" + b"x" * 2 * MAX_BODY, 413),
        (b"GET /orders HTTP/1.1\r\nno colon\r\n\r\n", 400),
    ],
    ids=["head", "address", "body", "nonsense"],
)
def test_the_dashboard_refuses_in_plain_text(one: Sidecar, sent: bytes, status: int) -> None:
    head, _, body = exchange(one.url, sent).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert not body.startswith(b"{")


def exchange(url: str, sent: bytes) -> bytes:
    """All that the server sends until it ends the connection."""
    with socket.create_connection(address_pair(url), timeout=20) as raw:
        raw.sendall(sent)
        return b"".join(iter(lambda: raw.recv(65536), b""))


# -- without a password


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("unguarded"), "one_port") as running:
        yield running


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/_stcore/stream", "127.0.0.1", 101),
        ("/_stcore/stream", "attacker.example", 403),
        ("/health", "127.0.0.1", 200),
        ("/health", "attacker.example", 200),
        ("/v1/status", "127.0.0.1", 200),
    ],
)
def test_the_dashboard_takes_websockets_by_its_own_name(unguarded: Sidecar, path: str, host: str, status: int) -> None:
    with socket.create_connection(address_pair(unguarded.url), timeout=20) as raw:
        raw.sendall(HANDSHAKE.format(path=path, host=host).encode())
        assert int(raw.recv(65536).split()[1]) == status


# -- one process


def test_one_scheduler_runs_and_streams_end_with_the_process(tmp_path: Path) -> None:
    with sidecar(tmp_path, "one_port", SCHEDULER="auto", PHPMYADMIN_URL="http://127.0.0.1:9/") as running:
        with running.client.stream("GET", "/v1/events") as answer:
            lines = answer.iter_lines()
            assert next(lines)
            wait_for(lambda: running.cache.status().workers)
            time.sleep(0.5)  # by then, a second one would stand by
            assert [worker.leader for worker in running.cache.status().workers] == [True]
            running.process.terminate()
            assert list(lines)  # the end of the stream, not of the connection
        running.process.wait(20)
        assert running.cache.status().workers == ()


class StubDashboard:
    """Answers in plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("page")(scope, receive, send)

    def lifespan(self) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def run(_: Any) -> AsyncIterator[None]:
            yield

        return run


@pytest.fixture
def here_on_one_port(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server of one port in this process, with a stub in place of the dashboard. It waits a second for a client."""
    monkeypatch.setattr(bounded_protocol, "RECEIVE_SECONDS", 1)
    cache, settings = cache_in(here), Settings.load(rate_limit="off", access_log="off")
    publish(cache, 3)
    watcher = CacheWatcher(cache)
    app = OnePort(create_app(cache, settings, KEY, watcher), StubDashboard())  # type: ignore[arg-type]
    server = Server(app, watcher, OnePortProtocol, ws="websockets-sansio")
    with listen("127.0.0.1", 0, "DASHBOARD_HOST", "DASHBOARD_PORT") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()
    cache.close()


def test_the_fast_path_is_taken_on_one_port(here_on_one_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with httpx2.Client(base_url=here_on_one_port, headers={"X-API-Key": KEY}) as client:
        assert client.get("/fetch-data").json()["count"] == 3
        with monkeypatch.context() as patch:
            patch.setattr(Api, "__call__", None)
            assert [client.get(f"{prefix}/fetch-data").json()["count"] for prefix in ("", PREFIX)] == [3, 3]
            assert client.get("/").text == "page"


@pytest.mark.parametrize("path", ["/v1/fetch-data", "/status", "/orders"])
def test_a_client_that_sends_slowly_is_told_so_by_who_answers(here_on_one_port: str, path: str) -> None:
    head, _, body = exchange(here_on_one_port, f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode()).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == 408
    assert body.startswith(b"{") == (path != "/orders")
