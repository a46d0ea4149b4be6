"""No password leaves for a host that the settings do not name, nor from https to http."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from long_cases import soak_but
from selenium.webdriver import Chrome
from web_server import Handler, serving

from lab import nginx
from scraper.errors import BrowserFailed, LoginRefused, NotPhpMyAdmin
from scraper.login.chrome import chrome as start_chrome
from scraper.login.chrome_arguments import chrome_arguments
from scraper.login.chrome_page_driver import ChromePageDriver
from scraper.login.http_page_driver import HttpPageDriver
from scraper.login.login import choose_method, log_in
from scraper.login.steps import follow_steps
from scraper.settings import ScraperSettings

SECRET = "s3cret-please"
Answer = tuple[int, dict[str, str], str]
Site = Callable[[str, str], Answer]
Login = Callable[[ScraperSettings], object]


def settings_for(url: str, login: str = "http", **changes: Any) -> ScraperSettings:
    given = {"phpmyadmin_username": "reader", "phpmyadmin_password": SECRET, "phpmyadmin_database": "shop"}
    return ScraperSettings.load(**{**given, "phpmyadmin_url": url, "phpmyadmin_login": login, **changes})


def panel_settings(url: str) -> ScraperSettings:
    changes = {"phpmyadmin_portal_url": url, "phpmyadmin_portal_username": "me", "phpmyadmin_portal_password": SECRET}
    return settings_for(url, phpmyadmin_username=None, phpmyadmin_password=None, **changes)


def form(action: str = "", head: str = "", button: str = "") -> str:
    """A page with the fields of phpMyAdmin's form and of a control panel's."""
    return f"""<!doctype html><html><head><title>Login</title>{head}</head><body>
    <form method="post" action="{action}"><input id="input_username" name="user">
    <input id="input_password" name="pass" type="password"><button type="submit" {button}>Log in</button></form>
    <form method="post" action="{action}"><input name="code"><button type="submit">Go</button></form></body></html>"""


@contextmanager
def site(answer: Site, host: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server: its address, and all that it is sent (with their URLs and headers)."""
    sent: list[str] = []

    class Answering(Handler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            sent.append(f"{self.command} {self.path} {body} {self.headers}")
            status, headers, page = answer(self.command, self.path)
            self.send_response(status)
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(page)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.encode())

        do_POST = do_GET

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "server.pem", certificate / "server.key")
    with serving(Answering, host, context) as url:
        yield f"{url}/", sent


def everywhere(status: int, location: str = "", page: str = "") -> Site:
    return lambda method, path: (status, {"Location": location} if location else {}, page)


def after_the_form(status: int, location: str) -> Site:
    """Shows a form, and redirects what it sends."""
    return lambda method, path: (
        (status, {"Location": location}, "") if method == "POST" else (200, {}, form(action="/login"))
    )


SITES: dict[str, Callable[[str], Site]] = {
    "a redirect to another form": lambda there: everywhere(302, there),
    "a refresh": lambda there: everywhere(200, page=f'<meta http-equiv="refresh" content="0;url={there}">'),
    "the action of the form": lambda there: everywhere(200, page=form(action=f"{there}login")),
    "a redirect that repeats the form (307)": lambda there: after_the_form(307, there),
    "a redirect that repeats the form (308)": lambda there: after_the_form(308, there),
}
ONLY_IN_CHROME: dict[str, Callable[[str], Site]] = {
    "a script": lambda there: everywhere(200, page=f"<script>location.href = '{there}'</script>"),
    "a base address": lambda there: everywhere(200, page=form("login", head=f'<base href="{there}">')),
    "the action of a button": lambda there: everywhere(200, page=form("/login", button=f'formaction="{there}"')),
    "a script that changes the action": lambda there: everywhere(
        200, page=form("/login", button=f"""onclick="this.form.action = '{there}'" """)
    ),
}


def by_http(settings: ScraperSettings) -> None:
    with HttpPageDriver(settings) as page:
        page.open(settings.start_url)
        follow_steps(page, settings)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    """One Chrome that may connect to 127.0.0.1 alone."""
    with start_chrome(*chrome_arguments(settings_for("http://127.0.0.1/", "browser"))) as driver:
        yield driver


@pytest.fixture
def by_chrome(chrome: Chrome) -> Login:
    def login(settings: ScraperSettings) -> None:
        page = ChromePageDriver(chrome, settings)
        page.open(settings.start_url)
        follow_steps(page, settings)

    return login


def refused(login: Login, answer: Callable[[str], Site], settings: Callable[[str], ScraperSettings]) -> None:
    """Another host gets nothing, and the error names it."""
    with (
        site(everywhere(200, page=form()), "127.0.0.2") as (there, stolen),
        site(answer(there)) as (here, _),
        pytest.raises(LoginRefused, match="sent only to hosts that the settings name") as caught,
    ):
        login(settings(here))
    assert SECRET not in str(stolen)
    assert there.rstrip("/") in caught.value.message
    assert SECRET not in str(caught.value)


@pytest.mark.usefixtures("chrome")
@pytest.mark.parametrize("settings", [settings_for, panel_settings], ids=["database", "control panel"])
@pytest.mark.parametrize("answer", SITES.values(), ids=SITES)
def test_no_password_goes_to_another_host(
    answer: Callable[[str], Site], settings: Callable[[str], ScraperSettings]
) -> None:
    refused(by_http, answer, settings)


@pytest.mark.parametrize("name", soak_but(("the action of the form", *ONLY_IN_CHROME), SITES | ONLY_IN_CHROME))
def test_chrome_sends_no_password_to_another_host(by_chrome: Login, name: str) -> None:
    refused(by_chrome, (SITES | ONLY_IN_CHROME)[name], settings_for)


def test_chrome_sends_no_password_of_a_control_panel_elsewhere(by_chrome: Login) -> None:
    refused(by_chrome, SITES["the action of the form"], panel_settings)
    refused(by_chrome, SITES["a redirect that repeats the form (307)"], panel_settings)


@pytest.mark.usefixtures("chrome")
def test_a_form_of_another_host_gets_no_password_back_home() -> None:
    """A page of another host could read what is entered."""
    with site(everywhere(200)) as (here, sent), site(everywhere(200, page=form(here)), "127.0.0.2") as (there, _):
        with (
            site(everywhere(302, there)) as (start, _),
            pytest.raises(LoginRefused, match=r"leads to http://127\.0\.0\.2"),
        ):
            by_http(settings_for(start))
        assert sent == []


@pytest.mark.usefixtures("chrome")
@pytest.mark.parametrize("login", ["http", "browser"])
@pytest.mark.parametrize("way", ["action", "redirect", "first page"])
def test_no_password_goes_from_https_to_http(here: Path, login: str, way: str) -> None:
    nginx.certificates(here)
    with site(everywhere(200, page=form())) as (there, stolen):
        answer = {
            "action": everywhere(200, page=form(f"{there}login")),
            "redirect": after_the_form(307, there),
            "first page": everywhere(302, there),
        }[way]
        with (
            site(answer, certificate=here) as (start, _),
            pytest.raises(LoginRefused, match=r"leads to http://127\.0\.0\.1.* never from https to http"),
        ):
            log_in(settings_for(start, login, phpmyadmin_ca_file=here / "ca.pem"))
    assert SECRET not in str(stolen)


@pytest.mark.usefixtures("chrome")
def test_chrome_behind_a_proxy_asks_it_for_named_hosts_only(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(after_the_form(307, "http://other.test/")) as (proxy, sent):
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)  # Selenium reaches its driver on this machine all the same
        with pytest.raises(LoginRefused, match=r"leads to http://other\.test"):
            log_in(settings_for("http://shop.test/", "browser"))
    assert any(SECRET in request for request in sent)
    assert {request.split()[1].split("/")[2] for request in sent} == {"shop.test"}


@pytest.mark.usefixtures("chrome")
def test_the_shell_is_not_used_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would reach every host through the proxy."""
    monkeypatch.setattr("scraper.login.chrome.BROWSERS", ("chromium-headless-shell",))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    method, reason = choose_method(settings_for("http://shop.test/", "auto"))
    assert (method, "that can use a proxy" in reason) == ("http", True)
    with pytest.raises(BrowserFailed, match="no Chrome or Chromium that can use a proxy"):
        log_in(settings_for("http://shop.test/", "browser"))


@pytest.mark.usefixtures("chrome")
def test_a_host_named_with_http_that_turned_to_https_stays_there(here: Path) -> None:
    nginx.certificates(here)
    with (
        site(everywhere(200)) as (plain, stolen),
        site(everywhere(200, page=form(f"{plain}login")), certificate=here) as (tls, _),
        site(everywhere(302, tls)) as (start, _),
        pytest.raises(LoginRefused, match="never from https to http"),
    ):
        by_http(settings_for(start, phpmyadmin_ca_file=here / "ca.pem"))
    assert stolen == []


@pytest.mark.usefixtures("chrome")
def test_a_session_is_not_sent_to_another_host() -> None:
    """The export form, too, says where it is sent."""
    logged_in = '<script>CommonParams.setAll({logged_in:"true",version:"5.2.1",token:"t0ken",server:"1"});</script>'
    page = logged_in + '<form name="dump" action="http://127.0.0.2/export"></form>'
    with (
        site(everywhere(200, page=page)) as (here, _),
        pytest.raises(LoginRefused, match=r"leads to http://127\.0\.0\.2"),
    ):
        log_in(settings_for(here))


@pytest.mark.usefixtures("chrome")
def test_headers_go_unencrypted_only_where_the_settings_say_http() -> None:
    """A panel with http allows nothing unencrypted for phpMyAdmin's host, which is named with https."""
    changes = {
        "phpmyadmin_headers": json.dumps({"X-Access-Token": SECRET}),
        "phpmyadmin_portal_username": "me",
        "phpmyadmin_portal_password": "panel",
    }
    with (
        site(everywhere(200), "127.0.0.2") as (plain, stolen),
        site(everywhere(302, plain)) as (panel, _),
        pytest.raises(NotPhpMyAdmin),
    ):
        named = plain.replace("http:", "https:")
        by_http(settings_for(named, phpmyadmin_portal_url=panel, **changes))
    assert SECRET not in str(stolen)
