"""Who gets into the dashboard: settings, passwords, cookies, and what is served without a sign-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from dashboard_process import OIDC, Dashboard, dashboard
from paths import ROOT

from cache.access.client_ip import Proxies
from cache.errors import SettingsInvalid
from cache.settings import Settings
from dashboard.auth.oidc import is_listed, listed_role
from dashboard.auth.passwords import Passwords, hashed
from dashboard.auth.signin_settings import check_signin

pytestmark = pytest.mark.slow

Start = Callable[..., Dashboard]
PASSWORD = "correct horse ünïcode"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(dashboard(tmp_path, **settings))


# -- what is refused at the start


def test_off_loopback_it_does_not_start_without_a_sign_in(tmp_path: Path) -> None:
    environment = {
        "DASHBOARD_HOST": "0.0.0.0",
        "DATA_DIR": str(tmp_path),
        "ENV_FILE": os.devnull,
        "SCHEDULER": "off",
        "PATH": "",
    }
    ended = subprocess.run(
        [sys.executable, ROOT / "streamlit_app.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "would listen on 0.0.0.0 without a sign-in. Set DASHBOARD_PASSWORD" in ended.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dashboard_viewer_password": "x"}, "without DASHBOARD_PASSWORD"),
        ({**OIDC, "dashboard_password": "x"}, "Both a password and OpenID Connect"),
        ({**OIDC, "oidc_client_secret": None, "dashboard_url": None}, "OIDC_CLIENT_SECRET, DASHBOARD_URL is missing"),
        ({**OIDC, "dashboard_viewers": ""}, "Nobody can sign in"),
    ],
)
def test_a_sign_in_that_is_half_set_says_what_is_missing(here: Path, settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        check_signin("127.0.0.1", Settings.load(**settings))


def test_on_the_port_of_a_platform_the_refusal_says_why_and_what_to_do(here: Path) -> None:
    settings = Settings.load(port=80)
    with pytest.raises(SettingsInvalid, match=r"since PORT is set\. Set DASHBOARD_PASSWORD.* python api_sidecar\.py"):
        check_signin(settings.dashboard_host, settings)


def test_a_whole_sign_in_lets_it_listen_everywhere(here: Path) -> None:
    assert check_signin("0.0.0.0", Settings.load(**OIDC)) is None
    assert check_signin(None, Settings.load(dashboard_password="x")) is None


# -- passwords


def test_the_command_makes_a_hash_that_stands_for_its_password(here: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "dashboard", "hash"],
        cwd=ROOT,
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    passwords = Passwords(Settings.load(dashboard_password=made.stdout.strip()), "00")
    assert passwords.role_of_password(PASSWORD) == "operator"
    assert passwords.role_of_password(made.stdout.strip()) is None


def test_a_hash_that_was_cut_is_refused_and_not_taken_for_a_password(here: Path) -> None:
    with pytest.raises(SettingsInvalid, match="DASHBOARD_PASSWORD starts like an Argon2 hash"):
        Passwords(Settings.load(dashboard_password=hashed("x")[:30]), "00")


def test_a_cookie_is_good_for_its_role_and_ends_with_its_password(here: Path) -> None:
    both = {"dashboard_password": "one", "dashboard_viewer_password": "two"}
    passwords = Passwords(Settings.load(**both), "00")
    operator, viewer = passwords.new_session("operator"), passwords.new_session("viewer")
    assert (passwords.role_of_cookie(operator), passwords.role_of_cookie(viewer)) == ("operator", "viewer")
    assert passwords.role_of_cookie(viewer.replace("viewer", "operator")) is None
    assert Passwords(Settings.load(**both), "00").role_of_cookie(operator) == "operator"  # after a restart
    changed = Passwords(Settings.load(**both | {"dashboard_password": "three"}), "00")
    assert (changed.role_of_cookie(operator), changed.role_of_cookie(viewer)) == (None, "viewer")
    assert Passwords(Settings.load(**both), "01").role_of_cookie(operator) is None  # of another cache


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_nothing_but_the_form_and_the_health_is_served_without_a_sign_in(start: Start) -> None:
    running = start(
        DASHBOARD_PASSWORD="correct horse", DASHBOARD_URL="https://orders.example", TRUSTED_PROXIES="127.0.0.1"
    )
    with httpx2.Client(base_url=running.url) as visitor:
        assert visitor.get("/_stcore/health").status_code == 200
        assert visitor.get("/metrics").status_code == 401
        assert visitor.get("/_stcore/host-config").status_code == 401
        assert visitor.get("/static/js/index.js").status_code == 401
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        assert visitor.get("/_stcore/stream", headers=upgrade).status_code == 403
        passwords = running.identities().passwords
        forged = f"{passwords and passwords.session_cookie}=operator.forged.signature"
        assert visitor.get("/orders", headers={"Cookie": forged}).status_code == 401
        for elsewhere in ("//evil.example", "/\\evil.example", "https://evil.example"):
            away = visitor.post("/signin", data={"password": "correct horse", "next": elsewhere})
            assert (away.status_code, away.headers["Location"]) == (303, "/")
        for _ in range(10):
            assert visitor.post("/signin", data={"password": "guess"}).status_code == 401
        assert visitor.post("/signin", data={"password": "correct horse"}).status_code == 429
        other = {"X-Forwarded-For": "203.0.113.9"}  # as the proxy says that is believed
        entered = visitor.post("/signin", data={"password": "correct horse"}, headers=other)
        assert entered.status_code == 303
        assert "HttpOnly" in entered.headers["Set-Cookie"] and "Secure" in entered.headers["Set-Cookie"]
    assert "correct horse" not in running.log()


def guess(running: Dashboard, password: str = "guess", cookies: dict[str, str] | None = None, **headers: str) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = {"password": password}
    return httpx2.post(f"{running.url}/signin", data=data, cookies=cookies, headers=sent).status_code


def test_a_client_says_nothing_about_its_own_address(start: Start) -> None:
    running = start(DASHBOARD_PASSWORD="one")
    forged = [{"X_Forwarded_For": f"203.0.113.{n}", "Forwarded": f"for=203.0.113.{n}"} for n in range(12)]
    assert [guess(running, **headers) for headers in forged] == [401] * 10 + [429] * 2
    assert guess(running, "one") == 429


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_known_browser_keeps_a_way_in_while_others_are_locked_out(start: Start) -> None:
    running = start(DASHBOARD_PASSWORD="one", DASHBOARD_VIEWER_PASSWORD="two")
    passwords = running.identities().passwords
    assert passwords
    name = passwords.browser_cookie

    def known(password: str) -> dict[str, str]:
        """The cookie that stays in a browser after a sign-out."""
        answer = httpx2.post(f"{running.url}/signin", data={"password": password})
        return {name: answer.cookies[name]}

    operator, viewers = known("one"), [known("two"), known("two")]
    assert httpx2.get(f"{running.url}/_stcore/host-config", cookies=operator).status_code == 401  # it opens nothing
    assert [guess(running) for _ in range(11)] == [401] * 10 + [429]
    assert guess(running, "one", {name: "operator from 127.0.0.1.forged"}) == 429
    assert [guess(running, cookies=viewers[n % 2]) for n in range(11)] == [401] * 10 + [429]  # they count together
    assert guess(running, "one", operator) == 303


@pytest.mark.parametrize(
    ("trusted", "forwarded", "secure"),
    [
        (None, "https", False),
        ("127.0.0.1", "https", True),
        ("127.0.0.1", "http", False),
        ("10.0.0.0/8", "https", False),
    ],
)
def test_cookies_are_secure_where_a_trusted_proxy_says_https(trusted: str | None, forwarded: str, secure: bool) -> None:
    assert Proxies(trusted).is_https("127.0.0.1", [(b"x-forwarded-proto", forwarded.encode())]) is secure


def test_streamlit_run_takes_no_passwords(tmp_path: Path) -> None:
    environment = {
        "DASHBOARD_PASSWORD": "one",
        "DATA_DIR": str(tmp_path),
        "ENV_FILE": os.devnull,
        "SCHEDULER": "off",
        "PATH": "",
    }
    ended = subprocess.run(
        [sys.executable, "-c", "import streamlit_app; streamlit_app.app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Start the dashboard with `python streamlit_app.py`" in ended.stderr


@pytest.mark.not_on("sub-path", why="hosts are those of nginx")
def test_without_a_sign_in_no_other_site_gets_in_by_a_name_that_leads_here(start: Start) -> None:
    running = start(DASHBOARD_URL="http://orders.test")
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    def answered(host: str) -> int:
        headers = {**upgrade, "Host": host, "Origin": f"http://{host}"}
        with httpx2.stream("GET", f"{running.url}/_stcore/stream", headers=headers) as answer:
            return answer.status_code

    port = running.url.rpartition(":")[2]
    hosts = ("evil.example", "orders.test", f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")
    assert [answered(host) for host in hosts] == [403, 101, 101, 101, 101]


# -- OpenID Connect


@pytest.mark.parametrize(
    ("email", "listed", "named"),
    [
        ("ann@example.com", "bob@example.com, Ann@Example.com", True),
        ("ann@example.com", "@example.com", True),
        ("ann@shop.example.com", "@example.com", False),
        ("ann@badexample.com", "@example.com", False),
        ("ann", "ann@example.com,,", False),
        ("@example.com", "@example.com", False),
        ("", "", False),
        ("evil@evil.com@example.com", "@example.com", False),
        ("@evil.com@example.com", "@example.com", False),
        ("ann@", "@", False),
        ("ann@evil.com@example.com", "ann@evil.com@example.com, @evil.com@example.com", False),
    ],
)
def test_a_list_names_addresses_and_whole_domains(email: str, listed: str, named: bool) -> None:
    assert is_listed(email, listed) is named


MISSING = object()


@pytest.mark.parametrize("verified", [MISSING, None, 0, 1, "", "true", "false", False, [True]])
def test_only_an_address_that_is_verified_gives_a_role(here: Path, verified: object) -> None:
    lists = {"dashboard_operators": "ann@example.com", "dashboard_viewers": "@example.com"}
    settings = Settings.load(**OIDC | lists)
    claims = {"email": "Ann@Example.com", **({} if verified is MISSING else {"email_verified": verified})}
    assert listed_role(claims, settings) is None
    assert listed_role({**claims, "email_verified": True}, settings) == "operator"
    assert listed_role({"email": "bob@example.com", "email_verified": True}, settings) == "viewer"
    assert listed_role(claims, Settings.load(**OIDC | lists, oidc_unverified_emails="accepted")) == "operator"


@pytest.mark.parametrize("email", [MISSING, None, ["ann@example.com"], {"ann@example.com": 1}])
def test_an_account_without_an_address_has_no_role(here: Path, email: object) -> None:
    claims = {"email_verified": True, **({} if email is MISSING else {"email": email})}
    assert listed_role(claims, Settings.load(**OIDC)) is None
