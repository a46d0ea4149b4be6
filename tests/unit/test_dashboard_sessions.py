"""Sessions of the dashboard: a sign-out ends them, in every process, also for who copied the cookie."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cache_factory import cache_in
from dashboard_process import OIDC, Dashboard, dashboard
from starlette.responses import RedirectResponse
from starlette.types import Receive, Scope, Send
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from cache.settings import Settings
from cache.storage.records import now
from cache.storage.store import Cache
from dashboard.auth import sessions as sessions_module
from dashboard.auth.identity import Identities
from dashboard.auth.oidc import CALLBACK_PATH, cookie_secret
from dashboard.auth.sessions import Sessions
from dashboard.auth.signin import SignIn

pytestmark = pytest.mark.slow

PASSWORDS = {"DASHBOARD_PASSWORD": "one", "DASHBOARD_VIEWER_PASSWORD": "two"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, Dashboard]]:
    """Two processes of one dashboard."""
    folder = tmp_path_factory.mktemp("sessions")
    with dashboard(folder, **PASSWORDS) as first, dashboard(folder, **PASSWORDS) as second:
        yield first, second


def signed_in(running: Dashboard, password: str = "one") -> dict[str, str]:
    """The cookies of a new session."""
    answer = httpx2.post(f"{running.url}/signin", data={"password": password})
    name = session_cookie(running)
    return {name: answer.cookies[name]}


def session_cookie(running: Dashboard) -> str:
    passwords = running.identities().passwords
    assert passwords
    return passwords.session_cookie


def opens(running: Dashboard, cookies: dict[str, str]) -> bool:
    status = httpx2.get(f"{running.url}/_stcore/host-config", cookies=cookies).status_code
    assert status in (200, 401)
    return status == 200


def connects(running: Dashboard, cookies: dict[str, str]) -> bool:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with httpx2.stream("GET", f"{running.url}/_stcore/stream", headers=headers, cookies=cookies) as answer:
        return answer.status_code == 101


def sign_out(running: Dashboard, cookies: dict[str, str], **fields: str) -> httpx2.Response:
    token = running.identities().form_token(cookies)  # as the page has it
    return httpx2.post(f"{running.url}/signout", cookies=cookies, data={"token": token, **fields})


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_sign_out_ends_the_session_in_every_process(pair: tuple[Dashboard, Dashboard]) -> None:
    first, second = pair
    cookies, other = signed_in(first), signed_in(first)
    assert opens(second, cookies) and connects(second, cookies)
    answer = sign_out(second, cookies)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert f'{session_cookie(first)}=""' in answer.headers["Set-Cookie"]
    for running in pair:
        assert not opens(running, cookies) and not connects(running, cookies)
        assert opens(running, other)


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_all_of_ones_own_sessions_can_be_ended_and_no_others(pair: tuple[Dashboard, Dashboard]) -> None:
    first, second = pair
    own, viewer = [signed_in(first), signed_in(second)], signed_in(first, "two")
    assert sign_out(first, own[0], everywhere="yes").status_code == 303
    assert not any(opens(running, cookies) for running in pair for cookies in own)
    assert opens(first, viewer)


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_nothing_but_the_form_of_ones_own_page_ends_a_session(pair: tuple[Dashboard, Dashboard]) -> None:
    running, _ = pair
    cookies, other = signed_in(running), signed_in(running)
    address = f"{running.url}/signout"
    assert httpx2.get(address, cookies=cookies).status_code == 405
    for fields in ({}, {"token": ""}, {"token": "ünïcode"}, {"token": running.identities().form_token(other)}):
        answer = httpx2.post(address, cookies=cookies, data=fields)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers  # another site must not even delete the cookie
    assert httpx2.post(address, cookies=cookies, content=b"x" * 5000).status_code == 413
    assert opens(running, cookies)


def test_a_session_ends_after_seven_days_and_never_lies_ahead(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(cache.documents)
    for days in (-1, 6.9, 7.1):
        monkeypatch.setattr(sessions_module, "now", lambda days=days: now() - timedelta(days=days))
        sessions.start(f"{days} days ago", "operator")
    monkeypatch.undo()
    assert [sessions.is_active(f"{days} days ago") for days in (-1, 6.9, 7.1)] == [False, True, False]
    assert sessions.count("operator") == 1


def test_the_list_stays_short_and_gives_nobody_access(
    cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    identities = Identities(Settings.load(dashboard_password="one"), cache.documents, "00")
    assert identities.passwords
    identities.sessions.start("of somebody else", "viewer")
    name = identities.passwords.session_cookie
    cookies = [{name: identities.passwords.new_session("operator")} for _ in range(4)]
    assert identities.identify(cookies[0]) is None  # a valid cookie, but no session
    for each in cookies:
        identities.start_session(each)
    [listed] = here.rglob("sessions.json")
    assert not any(each[name] in listed.read_text() for each in cookies)
    visitors = [identities.identify(each) for each in cookies]
    assert [visitor is None for visitor in visitors] == [True, False, False, False]
    assert len({visitor.session_id for visitor in visitors if visitor}) == 3
    assert identities.sessions.is_active("of somebody else")  # nobody can push out others


# -- a disk that is full


def refused_by_a_full_disk(folder: Path, settings: Settings, method: str, path: str, **fields: str) -> bool:
    """Whether a sign-in says that the disk is full, and gives the browser no cookie."""
    cache = cache_in(folder)
    identities = Identities(settings, cache.documents, "00")
    claims = b'{"email": "a@example.com", "email_verified": true}'
    cookie = create_signed_value(cookie_secret("00"), USER_COOKIE_NAME, claims).decode()

    async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
        """Streamlit's answer to the provider's redirect."""
        response = RedirectResponse("/")
        response.set_cookie(USER_COOKIE_NAME, cookie)
        await response(scope, receive, send)

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(SignIn(signed_in, identities, settings))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, data=fields or None)

    answer = asyncio.run(ask())
    cache.close()
    return answer.status_code == 503 and "The disk is full" in answer.text and not answer.cookies


def test_a_sign_in_whose_session_cannot_be_listed_says_why(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cache.storage.local.documents.write_whole", full)
    by_password = Settings.load(dashboard_password="one")
    assert refused_by_a_full_disk(here, by_password, "POST", "/signin", password="one")
    assert refused_by_a_full_disk(here, Settings.load(**OIDC), "GET", CALLBACK_PATH)
