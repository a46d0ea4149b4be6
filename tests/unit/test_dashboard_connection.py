"""Clients of the dashboard that send too much, too slowly, or go away."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import httpx2
import pytest
from cache_factory import cache_in
from dashboard_process import Dashboard, dashboard
from fronts import address_pair
from starlette.responses import PlainTextResponse

from cache.access import bounded_protocol
from cache.access.client_limits import MAX_BODY, MAX_HEAD
from cache.listen_address import listen
from cache.settings import Settings
from dashboard.auth.identity import Identities
from dashboard.auth.signin import SignIn
from dashboard.web.server import bounded_server

pytestmark = pytest.mark.slow

FORM = b"POST /signin HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npassword="


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("connection"), DASHBOARD_PASSWORD="one") as started:
        yield started


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard's server and sign-in in this process, without pages. It waits a second for a client."""
    cache = cache_in(tmp_path_factory.mktemp("hasty"))
    settings = Settings.load(dashboard_password="one")
    app = SignIn(PlainTextResponse("page"), Identities(settings, cache.documents, "00"), settings)
    with pytest.MonkeyPatch.context() as patch, listen("127.0.0.1", 0, "DASHBOARD_HOST", "DASHBOARD_PORT") as listener:
        patch.setattr(bounded_protocol, "RECEIVE_SECONDS", 1)
        server = bounded_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()
    cache.close()


def connected(url: str) -> socket.socket:
    return socket.create_connection(address_pair(url), timeout=10)


def answer(raw: socket.socket) -> bytes:
    """All that the server sends until it ends the connection."""
    return b"".join(iter(lambda: raw.recv(65536), b""))


@pytest.mark.parametrize("half", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", FORM], ids=["line", "head", "form"])
def test_half_requests_are_ended(hasty: str, half: bytes) -> None:
    clients = [connected(hasty) for _ in range(20)]
    for raw in clients:
        raw.sendall(half)
    for raw in clients:
        with raw:
            assert answer(raw).startswith(b"HTTP/1.1 408 ")
    assert httpx2.post(f"{hasty}/signin", data={"password": "one"}).status_code == 303


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
        (FORM.replace(b"100", b"1000000") + b"x" * 2 * MAX_BODY, 413),
        (b"nonsense\r\n\r\n", 400),
    ],
    ids=["head", "body", "nonsense"],
)
def test_the_dashboard_has_the_limits_of_the_api(running: Dashboard, sent: bytes, status: int) -> None:
    with connected(running.url) as raw:
        raw.sendall(sent)
        assert int(answer(raw).split()[1]) == status


def test_a_client_that_goes_away_leaves_no_traceback(running: Dashboard) -> None:
    for sent in (FORM, FORM.replace(b"/signin", b"/signout"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with connected(running.url) as raw:
            raw.sendall(sent)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for _ in range(3):  # the server has noticed by then
        assert httpx2.post(f"{running.url}/signin", data={"password": "one"}).status_code == 303
    assert "Traceback" not in running.log() and "Exception" not in running.log()
