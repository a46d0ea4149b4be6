"""Each kind of login, on its real servers, ends in a whole copy of the table or an error that says what to fix."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from copies import differences
from lab_fixtures import SEEDED
from long_cases import every_second, soak_but
from web_server import Handler, serving

from cache.errors import SettingsInvalid
from cache.storage.store import Cache
from lab import FaultProxy, Lab, LoginFixture
from scraper import doctor
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.errors import (
    BrowserFailed,
    BrowserNeeded,
    CertificateRefused,
    LoginRefused,
    NotPhpMyAdmin,
    ScrapeError,
    SessionLost,
    Unreachable,
)
from scraper.login.chrome_arguments import chrome_arguments
from scraper.login.login import choose_method, log_in
from scraper.login.steps.form import CaptchaShown, PasswordExpired
from scraper.login.steps.second_factor import SecondFactorRefused
from scraper.login.steps.server_choice import ServerChoiceNeeded
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

WRONG = "wr0ng-passw0rd"
ORDERS = "SELECT id AS c0, name AS c1 FROM orders"


def settings_for(fixture: LoginFixture, login: str = "http", **changes: Any) -> ScraperSettings:
    """The product's settings for a login fixture; a change to None takes one away."""
    known: dict[str, Any] = {name.lower(): value for name, value in fixture.settings().items()}
    known.setdefault("phpmyadmin_password", fixture.design.settings.get("PHPMYADMIN_PASSWORD"))  # set and empty
    given = {**known, "phpmyadmin_login": login, **changes}
    return ScraperSettings.load(**{name: value for name, value in given.items() if value is not None})


def fails(settings: ScraperSettings) -> ScrapeError:
    """The error that a login ends in."""
    with pytest.raises(ScrapeError) as caught:
        log_in(settings)
    return caught.value


def rows(settings: ScraperSettings) -> int:
    """Number of orders that a login and one export bring."""
    with Exporter(log_in(settings), settings) as export:
        return len(export.select(ORDERS, 2, 3000))


Seen = list[tuple[str, dict[str, str]]]


@contextmanager
def saying(
    page: str = "<title>Shop</title>", status: int = 200, host: str = "127.0.0.1", **headers: str
) -> Iterator[tuple[str, Seen]]:
    """A web server that says the same to everyone: its address, and the methods and headers of what it was asked."""
    seen: Seen = []

    class Saying(Handler):
        def do_GET(self) -> None:
            seen.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(page.encode())

        do_POST = do_GET

    with serving(Saying, host) as url:
        yield f"{url}/", seen


def browsers() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if "chrom" in process.name()]


# -- each login ends in the whole table


@pytest.mark.parametrize(
    ("name", "options"),
    every_second(
        [
            ("cookie", {}),
            ("http", {}),
            ("any_server", {}),
            ("config", {}),
            ("totp", {}),
            ("servers_default", {}),
            ("tls", {}),
            ("no_password", {}),
            ("subpath", {}),
            ("german", {}),
            ("servers", {}),
            ("control_panel", {}),
            ("control_panel", {"totp": True}),
        ]
    ),
    ids=lambda value: value if isinstance(value, str) else "code" if value else "",
)
def test_plain_http_logs_in_to_each_fixture(lab: Lab, cache: Cache, name: str, options: dict[str, bool]) -> None:
    with lab.login_fixture(name, **options) as fixture:
        run = sync(cache, settings_for(fixture), log_in)
    assert (run.outcome, run.error, run.rows) == ("published", None, SEEDED)
    assert run.versions["login"] == "http: PHPMYADMIN_LOGIN says so"
    assert differences(lab, "orders", cache.snapshots.open()) == []


@pytest.mark.parametrize(
    "name",
    soak_but(
        ("control_panel",),
        ["http", "servers", "any_server", "no_password", "totp", "subpath", "tls", "german", "control_panel"],
    ),
)
def test_chrome_logs_in_to_each_fixture_that_differs_for_it(lab: Lab, here: Path, name: str) -> None:
    options = {"totp": True} if name == "control_panel" else {}
    with lab.login_fixture(name, **options) as fixture:
        assert rows(settings_for(fixture, "browser")) == SEEDED
    assert browsers() == []


def test_all_of_a_sync_may_go_through_the_browser(lab: Lab, cache: Cache) -> None:
    with lab.login_fixture("subpath") as fixture:
        run = sync(cache, settings_for(fixture, "browser-only"), log_in)
    assert (run.outcome, run.error, run.rows) == ("published", None, SEEDED)
    assert differences(lab, "orders", cache.snapshots.open()) == []
    assert browsers() == []


@pytest.mark.soak
def test_answers_come_through_the_browser_whole_and_its_errors_are_told(lab: Lab, here: Path) -> None:
    sql = "SELECT seq AS c0, REPEAT(CONCAT('ü', CHAR(13, 10 USING utf8mb4)), 1000) AS c1 FROM seq_1_to_5000"
    with lab.login_fixture("cookie") as fixture:
        settings = settings_for(fixture, "browser-only")
        with Exporter(log_in(settings), settings, lambda: log_in(settings)) as export:
            found = export.select(sql, 2, 5000, bound=export.row_bound)
            assert [int(number.as_py()) for number in found.column(0)] == list(range(1, 5001))
            assert set(found.column(1).to_pylist()) == {"ü\r\n" * 1000}
            assert export.received > 20_000_000
            with pytest.raises(ScrapeError, match="#1146"):
                export.select("SELECT 1 AS c0, 2 AS c1 FROM no_such_table", 2, 3000)
            first = {process.pid for process in browsers()}
            fixture.expire_sessions()
            assert len(export.select(ORDERS, 2, 3000)) == SEEDED  # by another browser
            assert first.isdisjoint(process.pid for process in browsers())
            fixture.close()
            with pytest.raises(Unreachable, match="cannot be reached"):
                export.select(ORDERS, 2, 3000)
    assert browsers() == []


def refreshing(address: str) -> str:
    return f'<meta http-equiv="Refresh" content="1; URL={address}"><p>You will be taken to phpMyAdmin.</p>'


def test_a_refresh_in_a_page_is_followed(lab: Lab, here: Path) -> None:
    with lab.login_fixture("cookie") as fixture, saying(refreshing(fixture.url)) as (url, _):
        assert rows(settings_for(fixture, phpmyadmin_url=url)) == SEEDED


def test_a_redirect_loop_of_refreshes_is_given_up(lab: Lab, here: Path) -> None:
    with (
        lab.login_fixture("cookie") as fixture,
        saying('<meta http-equiv="refresh" content="0;url=?again">') as (url, seen),
    ):
        error = fails(settings_for(fixture, phpmyadmin_url=url))
    assert isinstance(error, NotPhpMyAdmin)
    assert "redirect loop (meta refresh)" in error.message
    assert len(seen) < 10


def test_a_page_that_goes_on_by_a_script_needs_chrome(lab: Lab, here: Path) -> None:
    with lab.login_fixture("cookie") as fixture:
        script = f"<p>One moment.</p><script>setTimeout(() => {{ location.href = '{fixture.url}'; }}, 300)</script>"
        with saying(script) as (scripted, _), saying(refreshing(scripted)) as (url, _):
            error = fails(settings_for(fixture, "http", phpmyadmin_url=url))
            assert rows(settings_for(fixture, "auto", phpmyadmin_url=url)) == SEEDED  # there is one here
    assert isinstance(error, BrowserNeeded)
    assert "PHPMYADMIN_LOGIN" in error.advice


@pytest.mark.parametrize("login", soak_but(("http",), ["http", "browser"]))
def test_a_login_in_phpmyadmin_itself_needs_none_in_the_settings(lab: Lab, here: Path, login: str) -> None:
    none = {"phpmyadmin_username": None, "phpmyadmin_password": None}
    with lab.login_fixture("config") as fixture:
        assert rows(settings_for(fixture, login, **none)) == SEEDED


@pytest.mark.parametrize("name", ["cookie", "http"])
def test_no_login_is_sent_where_the_settings_have_none_that_is_asked_for(lab: Lab, here: Path, name: str) -> None:
    with lab.login_fixture(name) as fixture, FaultProxy(fixture.url) as proxy:
        error = fails(
            settings_for(fixture, phpmyadmin_url=proxy.url, phpmyadmin_username=None, phpmyadmin_password=None)
        )
        assert [request.method for request in proxy.requests] == ["GET"]
    assert isinstance(error, LoginRefused)
    assert "PHPMYADMIN_USERNAME" in error.advice


# -- what is refused


@pytest.mark.parametrize(
    ("name", "changes", "said", "setting"),
    [
        ("cookie", {"phpmyadmin_password": WRONG}, "Access denied", "PHPMYADMIN_PASSWORD"),
        ("german", {"phpmyadmin_password": WRONG}, "Anmeldung am MySQL-Server", "PHPMYADMIN_PASSWORD"),
        ("cookie", {"phpmyadmin_password": ""}, "without a password is forbidden", "PHPMYADMIN_PASSWORD"),
        ("http", {"phpmyadmin_password": WRONG}, "Access denied", "PHPMYADMIN_PASSWORD"),
        ("subpath", {"phpmyadmin_http_password": WRONG}, "refused its own login", "PHPMYADMIN_HTTP_PASSWORD"),
        ("subpath", {"phpmyadmin_http_username": None}, "asks for a password of its own", "PHPMYADMIN_HTTP_USERNAME"),
        ("control_panel", {"phpmyadmin_portal_password": WRONG}, "The login is invalid", "PHPMYADMIN_PORTAL_PASSWORD"),
        ("servers_default", {"phpmyadmin_server": None}, r"of 1 \(Old shop\), 2 \(Shop\)", "PHPMYADMIN_PASSWORD"),
    ],
    ids=["cookie", "german", "empty", "http", "web server", "web server, none", "control panel", "server"],
)
def test_a_refused_login_says_who_refused_it_and_which_setting_to_fix(
    lab: Lab, here: Path, name: str, changes: dict[str, str | None], said: str, setting: str
) -> None:
    with lab.login_fixture(name) as fixture, pytest.raises(LoginRefused, match=said) as caught:
        log_in(settings_for(fixture, **changes))
    assert setting in caught.value.advice
    assert not caught.value.transient
    assert caught.value.stops_schedule
    assert WRONG not in str(caught.value)


def test_a_wrong_password_is_sent_once(lab: Lab, cache: Cache) -> None:
    with lab.login_fixture("cookie") as fixture, FaultProxy(fixture.url) as proxy:
        run = sync(cache, settings_for(fixture, phpmyadmin_url=proxy.url, phpmyadmin_password=WRONG), log_in)
        assert (run.outcome, run.error and run.error.code) == ("failed", "login_refused")
        assert [request.method for request in proxy.requests].count("POST") == 1


def test_an_expired_password_is_told_as_such(lab: Lab, here: Path) -> None:
    with lab.login_fixture("cookie") as fixture, lab.faults.expired_password():
        errors = [fails(settings_for(fixture)), fails(settings_for(fixture, "browser"))]
        with lab.faults.variables(disconnect_on_expired_password=1):
            errors.append(fails(settings_for(fixture)))
    assert [type(error) for error in errors] == [PasswordExpired] * 3
    own_words = "The password has expired: #1820 - You must SET PASSWORD before executing this statement"
    assert [error.message for error in errors[:2]] == [own_words] * 2
    assert PasswordExpired.stops_schedule


@pytest.mark.parametrize(
    ("secret", "said"), [(None, "asks for a code"), ("JBSWY3DPEHPK3PXP", "Two-factor authentication failed")]
)
def test_a_second_factor_that_is_missing_or_wrong(lab: Lab, here: Path, secret: str | None, said: str) -> None:
    with lab.login_fixture("totp") as fixture, pytest.raises(SecondFactorRefused, match=said) as caught:
        log_in(settings_for(fixture, phpmyadmin_totp_secret=secret))
    assert "PHPMYADMIN_TOTP_SECRET" in caught.value.advice
    assert caught.value.stops_schedule


def test_a_wrong_code_for_a_control_panel(lab: Lab, here: Path) -> None:
    with (
        lab.login_fixture("control_panel", totp=True) as fixture,
        pytest.raises(SecondFactorRefused, match="code is invalid") as caught,
    ):
        log_in(settings_for(fixture, phpmyadmin_portal_totp_secret="JBSWY3DPEHPK3PXP"))
    assert "PHPMYADMIN_PORTAL_TOTP_SECRET" in caught.value.advice


@pytest.mark.parametrize("login", ["http", "browser"])
def test_a_captcha_is_told_before_any_login_is_tried(lab: Lab, here: Path, login: str) -> None:
    with lab.login_fixture("captcha") as fixture, FaultProxy(fixture.url) as proxy:
        assert isinstance(fails(settings_for(fixture, login, phpmyadmin_url=proxy.url)), CaptchaShown)
        assert "POST" not in [request.method for request in proxy.requests]


def test_a_choice_of_servers_is_named_with_its_choices(lab: Lab, here: Path) -> None:
    with lab.login_fixture("servers") as fixture:
        with pytest.raises(ServerChoiceNeeded, match=r"1 \(Old shop\), 2 \(Shop\)") as caught:
            log_in(settings_for(fixture, phpmyadmin_server=None))
        assert caught.value.stops_schedule
        with pytest.raises(ServerChoiceNeeded, match="no server 'New shop'"):
            log_in(settings_for(fixture, phpmyadmin_server="New shop"))
        assert rows(settings_for(fixture, phpmyadmin_server="Shop")) == SEEDED


@pytest.mark.parametrize("login", ["http", "browser"])
def test_a_certificate_of_an_unknown_ca_is_refused(lab: Lab, here: Path, login: str) -> None:
    with lab.login_fixture("tls") as fixture:
        error = fails(settings_for(fixture, login, phpmyadmin_ca_file=None))
    assert isinstance(error, CertificateRefused)
    assert "PHPMYADMIN_CA_FILE" in error.advice


@pytest.mark.parametrize("login", ["http", "browser"])
def test_a_certificate_of_another_ca_is_refused(lab: Lab, here: Path, login: str) -> None:
    with lab.login_fixture("tls") as fixture, lab.login_fixture("tls") as other:
        ca = other.settings()["PHPMYADMIN_CA_FILE"]
        assert isinstance(fails(settings_for(fixture, login, phpmyadmin_ca_file=ca)), CertificateRefused)


def test_a_ca_file_that_holds_no_certificate_is_a_wrong_setting(lab: Lab, here: Path) -> None:
    (here / "ca.pem").write_text("nothing")
    with lab.login_fixture("tls") as fixture, pytest.raises(SettingsInvalid, match="PHPMYADMIN_CA_FILE"):
        log_in(settings_for(fixture, phpmyadmin_ca_file="ca.pem"))


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"phpmyadmin_portal_password_field": "secret"}, "PHPMYADMIN_PORTAL_PASSWORD_FIELD"),
        ({"phpmyadmin_portal_link": "a#mysql"}, "PHPMYADMIN_PORTAL_LINK"),
    ],
)
def test_a_control_panel_with_other_names_is_told_by_the_setting(
    lab: Lab, here: Path, changes: dict[str, str], setting: str
) -> None:
    with lab.login_fixture("control_panel") as fixture, pytest.raises(NotPhpMyAdmin) as caught:
        log_in(settings_for(fixture, **changes))
    assert setting in caught.value.advice


# -- settings and choices


def test_headers_by_setting_go_with_login_and_exports(lab: Lab, here: Path) -> None:
    headers = json.dumps({"X-Access-Token": "letmein-please"})
    with lab.login_fixture("cookie") as fixture:
        settings = settings_for(fixture, phpmyadmin_headers=headers)
        session = log_in(settings)
        assert "letmein-please" not in f"{settings!r} {session!r}"
    for login in ("http", "browser"):
        with saying() as (url, seen):
            changed = settings.model_copy(update={"phpmyadmin_url": url, "phpmyadmin_login": login})
            assert isinstance(fails(changed), NotPhpMyAdmin)
            with Exporter(replace(session, export_url=url), changed) as export, pytest.raises(ScrapeError):
                export.select(ORDERS, 2, 3000)
        assert {headers.get("x-access-token") for _, headers in seen} == {"letmein-please"}
        assert {"GET", "POST"} == {method for method, _ in seen}


@pytest.mark.parametrize("login", ["http", "browser"])
def test_no_secret_follows_a_redirect_to_another_host(lab: Lab, session: Session, here: Path, login: str) -> None:
    given = {
        "phpmyadmin_headers": json.dumps({"X-Access-Token": "letmein-please"}),
        "phpmyadmin_http_username": "web",
        "phpmyadmin_http_password": "web-please",
    }
    asks = {"WWW_Authenticate": 'Basic realm="Tools"', "status": 401}
    with (
        lab.login_fixture("cookie") as fixture,
        saying(host="127.0.0.2", **asks) as (elsewhere, seen),  # type: ignore[arg-type]
        saying(status=302, Location=elsewhere, Set_Cookie="crumb=please") as (url, at_home),
    ):
        settings = settings_for(fixture, login, phpmyadmin_url=url, **given)
        error = fails(settings)
        own = replace(session, export_url=url, headers=tuple(settings.headers.items()))
        with Exporter(own, settings) as export, pytest.raises(SessionLost):
            export.select(ORDERS, 2, 3000)
        assert doctor.reachable(settings).fine  # it answers; whether with a login form is for the login to see
    assert isinstance(error, LoginRefused)
    assert {headers.get("x-access-token") for _, headers in at_home} == {"letmein-please"}
    assert "please" not in str(seen)
    assert not any("authorization" in headers for _, headers in seen)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phpmyadmin_headers", "X-Access-Token: secret-1"),
        ("phpmyadmin_headers", '{"X-Access-Token": 1}'),
        ("phpmyadmin_totp_secret", "secret-1!"),
        ("phpmyadmin_login", "secret-1"),
        ("phpmyadmin_portal_url", "secret-1"),
    ],
)
def test_a_wrong_login_setting_is_named_without_its_value(
    settings: ScraperSettings, lab: Lab, name: str, value: str
) -> None:
    given = {key.lower(): text for key, text in lab.settings().items()}
    with pytest.raises(SettingsInvalid, match=name.upper()) as caught:
        ScraperSettings.load(**{**given, name: value})
    assert "secret-1" not in str(caught.value)


def test_a_control_panel_without_its_login_is_a_wrong_setting(lab: Lab, here: Path) -> None:
    given = {key.lower(): text for key, text in lab.settings().items()}
    with pytest.raises(SettingsInvalid, match="PHPMYADMIN_PORTAL_PASSWORD is missing"):
        ScraperSettings.load(**given, phpmyadmin_portal_url="https://h/login/", phpmyadmin_portal_username="me")


@pytest.mark.parametrize(
    ("setting", "path", "memory", "way", "why"),
    [
        ("auto", None, 250 << 20, "browser", "chromium-headless-shell"),
        ("auto", None, (250 << 20) - 1, "http", "249 MB are available"),
        ("auto", "", 1 << 30, "http", "no Chrome"),
        ("http", None, 1 << 30, "http", "PHPMYADMIN_LOGIN"),
        ("browser-only", "", 0, "browser-only", "PHPMYADMIN_LOGIN"),
    ],
)
def test_the_method_is_chosen_by_what_the_machine_has(
    settings: ScraperSettings,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    path: str | None,
    memory: int,
    way: str,
    why: str,
) -> None:
    monkeypatch.setattr("scraper.login.login.available_memory", lambda: memory)
    if path is not None:
        monkeypatch.setenv("PATH", path)
    chosen, reason = choose_method(settings.model_copy(update={"phpmyadmin_login": setting}))
    assert chosen == way
    assert why in reason


def test_chrome_is_not_started_where_the_kernel_would_end_processes(
    settings: ScraperSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.login.login.available_memory", lambda: (170 << 20) - 1)
    with pytest.raises(BrowserFailed, match="170 MB of memory and 169 MB are available") as caught:
        log_in(settings.model_copy(update={"phpmyadmin_login": "browser"}))
    assert "PHPMYADMIN_LOGIN=http" in caught.value.advice


def test_a_machine_without_chrome_logs_in_by_itself(
    lab: Lab, cache: Cache, monkeypatch: pytest.MonkeyPatch, settings: ScraperSettings
) -> None:
    monkeypatch.setattr("scraper.login.login.find_browser", lambda _: None)
    run = sync(cache, settings, log_in)
    assert (run.outcome, run.versions["login"]) == ("published", "http: There is no Chrome or Chromium on the PATH")


def test_what_is_kept_of_a_page_without_a_browser_is_its_html(lab: Lab, here: Path) -> None:
    with lab.login_fixture("control_panel") as fixture:
        settings = settings_for(fixture, phpmyadmin_portal_password=WRONG)
        fails(settings)
    assert [path.suffix for path in settings.diagnostics_dir.iterdir()] == [".html"]
    assert "The login is invalid" in next(settings.diagnostics_dir.iterdir()).read_text()


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy's address, and the hosts that it was asked to connect to (CONNECT, RFC 9110)."""
    asked: list[str] = []

    class Connecting(Handler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            host, _, port = self.path.partition(":")
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                answers = threading.Thread(target=self._copy, args=(there, self.connection))
                answers.start()
                self._copy(self.connection, there)
                answers.join()

        def _copy(self, source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(1 << 16):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

    with serving(Connecting) as url:
        yield url, asked


@pytest.mark.parametrize("login", ["http", "browser"])
def test_a_proxy_of_the_environment_is_used_for_all_of_phpmyadmin(
    lab: Lab, here: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    """The certificate that Chrome is told to accept is fetched through it, too."""
    with proxy() as (url, asked), lab.login_fixture("tls") as fixture:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        if login == "browser":
            arguments = chrome_arguments(settings_for(fixture, login))
            assert arguments[-1].startswith("--ignore-certificate-errors-spki-list=")
        else:
            assert rows(settings_for(fixture, login)) == SEEDED
    assert set(asked) == {urlsplit(fixture.url).netloc}
