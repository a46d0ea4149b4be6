"""Two shops on one machine: two `serve.py`, each with a DATA_DIR and ports of its own, in one browser."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from serve_process import Served, served

from cache.settings import Settings
from dashboard.auth.passwords import Passwords

PASSWORD = "the same for both"


def test_cookies_have_the_same_names_in_all_processes_of_one_cache_only() -> None:
    settings = Settings.load(dashboard_password=PASSWORD)
    one, again, other = (Passwords(settings, secret) for secret in ("00", "00", "01"))

    assert (one.session_cookie, one.browser_cookie) == (again.session_cookie, again.browser_cookie)
    assert {one.session_cookie, one.browser_cookie}.isdisjoint({other.session_cookie, other.browser_cookie})


@pytest.mark.slow
def test_two_shops_run_side_by_side_and_keep_their_sessions(tmp_path: Path) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with (
        served(folders[0], DASHBOARD_PASSWORD=PASSWORD) as first,
        served(folders[1], DASHBOARD_PASSWORD=PASSWORD) as second,
        httpx2.Client() as browser,  # like a browser, it sends cookies to every port of a host
    ):
        keys = {one.wait_for("API key  ").split()[-1] for one in (first, second)}
        assert len(keys) == 2

        for one in (first, second):
            assert browser.post(f"{url(one)}/signin", data={"password": PASSWORD}).status_code == 303
        assert [opens(browser, one) for one in (first, second)] == [True, True]

        browser.cookies.clear()
        assert [opens(browser, one) for one in (first, second)] == [False, False]


def url(one: Served) -> str:
    return f"http://127.0.0.1:{one.dashboard_port}"


def opens(browser: httpx2.Client, one: Served) -> bool:
    return browser.get(f"{url(one)}/_stcore/host-config").is_success
