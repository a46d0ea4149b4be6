"""The product below a path of a host: the setting, links, cookies, and what the API says of its addresses.

Behind real proxies: tests/browser/test_sub_path.py and tests/soak/test_behind_caddy.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from cache_factory import cache_in
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import serve
import streamlit_app
from api.documentation.openapi import document
from api.http.relative_locations import RelativeLocations
from cache.errors import SettingsInvalid
from cache.settings import Settings
from dashboard import session as session_module
from dashboard.auth.identity import Identities
from dashboard.auth.signin import SignIn
from dashboard.session import Session
from dashboard.web.headers import HEADERS, headers_below
from dashboard.web.inject_css import STYLED_PAGE, styled_page
from dashboard.web.sub_path import BelowPath, OwnCookies

# -- the setting


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ""),
        ({"dashboard_url": "https://a.example/"}, ""),
        ({"public_path": "/orders"}, "/orders"),
        ({"public_path": "/shops/two_2.~-"}, "/shops/two_2.~-"),
        ({"dashboard_url": "https://a.example/orders/"}, "/orders"),
        ({"dashboard_url": "https://a.example/orders", "public_path": "/orders"}, "/orders"),
    ],
)
def test_the_path_is_that_of_either_setting(here: Path, given: dict[str, str], path: str) -> None:
    assert Settings.load(**given).public_path == path


@pytest.mark.parametrize(
    "path",
    ["orders", "/", "/orders/", "//orders", "/a//b", "/a/../b", "/.a", "/a b", "/ö", '/"', "/a?b", "/a;b", "/a\n"],
)
def test_a_path_of_a_wrong_form_is_refused(here: Path, path: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"PUBLIC_PATH .*is not a path such as /orders"):
        Settings.load(public_path=path)


def test_a_wrong_path_in_the_url_of_the_dashboard_is_refused(here: Path) -> None:
    with pytest.raises(SettingsInvalid, match="the path of DASHBOARD_URL is not a path such as /orders"):
        Settings.load(dashboard_url="https://a.example/a b")


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example/other", "https://a.example/orders/two"])
def test_a_path_that_is_not_that_of_the_url_is_refused(here: Path, url: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"PUBLIC_PATH .*is not the path of DASHBOARD_URL"):
        Settings.load(public_path="/orders", dashboard_url=url)


# -- without it, nothing changes


def test_without_a_path_page_headers_and_options_stay_as_they_are(here: Path) -> None:
    assert styled_page("") == STYLED_PAGE
    assert headers_below("") == HEADERS
    assert "server.baseUrlPath" not in streamlit_app.dashboard_options(Settings.load(), "127.0.0.1", 1)
    assert document()["servers"][1]["url"] == "/v1"


# -- addresses


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"public_path": "/orders"}, "https://a.example:8443/orders/v1"),
        ({"public_path": "/orders", "port": 80}, "https://a.example:8443/orders"),
        ({"dashboard_url": "https://b.example/orders/"}, "https://b.example/orders/v1"),
        ({"dashboard_url": "https://b.example/orders/", "port": 80}, "https://b.example/orders"),
    ],
)
def test_pages_show_the_address_of_the_api_behind_the_proxy(
    here: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], address: str
) -> None:
    context = SimpleNamespace(url="https://a.example:8443/orders/api")
    monkeypatch.setattr(session_module.st, "context", context)
    session = SimpleNamespace(settings=Settings.load(**given))
    assert Session.api_address.fget(session) == address  # type: ignore[attr-defined]


def test_the_start_says_where_the_dashboard_opens(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given, said in (
        ({"public_path": "/orders"}, "http://127.0.0.1:8501 (open it at /orders/ of its proxy)\n"),
        ({"dashboard_url": "https://a.example/orders"}, "https://a.example/orders\n"),
    ):
        serve._announce((), Settings.load(**given), "key", threading.Event())
        assert f"Dashboard  {said}" in capsys.readouterr().out


def test_streamlit_run_refuses_a_path(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(public_path="/orders")
    backend = SimpleNamespace(settings=settings, identities=SimpleNamespace(required=False))
    monkeypatch.setattr(streamlit_app, "shared_backend", lambda: backend)
    monkeypatch.setattr(streamlit_app.st, "get_option", lambda _: "127.0.0.1")
    with pytest.raises(SystemExit, match="cannot be below PUBLIC_PATH"):
        _ = streamlit_app.app


def test_the_page_says_where_the_server_is_and_its_policy_allows_that() -> None:
    page = styled_page("/orders")
    assert page.index(b'BACKEND_BASE_URL: location.origin + "/orders"') < page.index(b'src="./static/')
    assert headers_below("/orders")["Content-Security-Policy"] != HEADERS["Content-Security-Policy"]


def test_openapi_names_the_prefix_below_the_path() -> None:
    assert [each["url"] for each in document(public_path="/orders")["servers"]] == [".", "/orders/v1"]


@pytest.mark.parametrize(("path", "location"), [("/refresh", "tasks/1"), ("/", "tasks/1"), ("/api/data", "../tasks/1")])
def test_a_location_of_the_api_is_relative_to_the_request(path: str, location: str) -> None:
    app = RelativeLocations(RedirectResponse("/tasks/1"))
    answer = run(app, lambda client: client.get(path))
    assert answer.headers["Location"] == location


# -- cookies and forms of the dashboard


class Host:
    """A host with an instance at its root, one at /orders and one below that, each behind a proxy that strips it."""

    PATHS = ("/orders/two", "/orders", "")

    def __init__(self, folder: Path) -> None:
        self._apps: dict[str, ASGIApp] = {}
        self.identities: dict[str, Identities] = {}
        self.caches = []
        for path in self.PATHS:
            settings = Settings.load(dashboard_password="one", public_path=path)
            cache = cache_in(folder / f"of{path.replace('/', '-')}")
            self.caches.append(cache)
            self.identities[path] = Identities(settings, cache.documents, path)
            app: ASGIApp = SignIn(self._page, self.identities[path], settings)
            self._apps[path] = OwnCookies(app, path) if path else app

    @staticmethod
    async def _page(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"])(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = next(path for path in self.PATHS if scope["path"].startswith(f"{path}/"))
        await self._apps[path]({**scope, "path": scope["path"].removeprefix(path)}, receive, send)


@pytest.fixture
def host(here: Path) -> Iterator[Host]:
    made = Host(here)
    yield made
    for cache in made.caches:
        cache.close()


def run(app: ASGIApp, ask: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]) -> httpx2.Response:
    async def asked() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://a.example") as client:
            return await ask(client)

    return asyncio.run(asked())


def test_instances_on_one_host_do_not_sign_each_other_out(host: Host) -> None:
    async def ask(browser: httpx2.AsyncClient) -> httpx2.Response:
        async def states() -> Mapping[str, int]:
            return {path: (await browser.get(f"{path}/page")).status_code for path in Host.PATHS}

        for path in reversed(Host.PATHS):
            answer = await browser.post(f"{path}/signin", data={"password": "one", "next": "/page"})
            assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}/page")
        assert await states() == dict.fromkeys(Host.PATHS, 200)
        paths = {cookie.name: cookie.path for cookie in browser.cookies.jar}
        passwords = host.identities["/orders"].passwords
        assert passwords
        name = passwords.session_cookie
        assert paths[f"{name}.orders"] == "/orders"
        assert sorted(str(path) for each, path in paths.items() if "signin" in each) == ["/", "/orders", "/orders/two"]
        cookie = next(each.value for each in browser.cookies.jar if each.name == f"{name}.orders")
        token = host.identities["/orders"].form_token({name: cookie or ""})
        left = await browser.post("/orders/signout", data={"token": token})
        assert (left.status_code, left.headers["Location"]) == (303, "/orders/")
        assert await states() == {"/orders/two": 200, "/orders": 401, "": 200}
        assert f"{name}.orders" not in {each.name for each in browser.cookies.jar}
        return left

    run(host, ask)


def test_the_form_is_sent_below_the_path_and_keeps_the_page(host: Host) -> None:
    answer = run(host, lambda client: client.get("/orders/explore?a=b", headers={"Accept": "text/html"}))
    assert answer.status_code == 401
    assert 'action="/orders/signin"' in answer.text
    assert 'name="next" value="/explore?a=b"' in answer.text


def test_a_sign_in_leads_to_no_other_host(host: Host) -> None:
    for elsewhere in ("//evil.example", "https://evil.example"):
        form = {"password": "one", "next": elsewhere}
        answer = run(host, lambda client, form=form: client.post("/orders/signin", data=form))  # type: ignore[misc]
        assert answer.headers["Location"] == "/orders/"


def test_every_cookie_but_the_shared_token_gets_the_path() -> None:
    async def sets(scope: Scope, receive: Receive, send: Send) -> None:
        response = PlainTextResponse(str(dict(scope["headers"]).get(b"cookie", b"").decode()))
        response.set_cookie("_streamlit_user", "a=b;c", path="/orders", httponly=True)
        response.headers.append("set-cookie", "_streamlit_xsrf=2|a; Path=/; SameSite=Lax")
        await response(scope, receive, send)

    sent = {"Cookie": "_streamlit_user=root; _streamlit_user.orders=own; _streamlit_xsrf=2|a; other=1; x.orders.two=2"}
    answer = run(OwnCookies(sets, "/orders"), lambda client: client.get("/", headers=sent))
    assert answer.text == "_streamlit_user=own; _streamlit_xsrf=2|a"
    user, token = answer.headers.get_list("set-cookie")
    assert user == r'_streamlit_user.orders="a=b\073c"; HttpOnly; SameSite=lax; Path=/orders'
    assert token == "_streamlit_xsrf=2|a; Path=/; SameSite=Lax"


def test_streamlit_gets_each_request_with_the_path() -> None:
    async def shows(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"{scope['path']} {scope['raw_path'].decode()}")(scope, receive, send)

    answer = run(BelowPath(shows, "/orders", "our own browser"), lambda client: client.get("/a%20b"))
    assert answer.text == "/orders/a b /orders/a%20b"
