"""Each login fixture is what its name says: a client that knows its steps gets in, and no other."""

import base64
import csv
import hmac
import html
import io
import json
import re
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx2
import psutil
import pytest
from lab_fixtures import SEEDED

from lab import FaultProxy, Lab, LabError, LoginFixture

pytestmark = pytest.mark.soak  # they are those of the lab; the logins of the product use the same ones

ORDERS = "SELECT id AS c0, name AS c1 FROM orders ORDER BY id"
PAIRS = (
    "SELECT a.id AS c0, b.note AS c1 FROM orders a, orders b"  # 4,000,000 rows: seconds, and more than any buffer holds
)
BIG = "SELECT REPEAT('x', 12000000) AS c0, 1 AS c1"
CSV = "text/comma-separated-values"


@contextmanager
def client(fixture: LoginFixture, **options: object) -> Iterator[httpx2.Client]:
    """A client with no cookies, which follows redirects; relative addresses are the fixture's."""
    with httpx2.Client(base_url=fixture.url, trust_env=False, timeout=60, follow_redirects=True, **options) as made:  # type: ignore[arg-type]
        yield made


def hidden(page: str, form: str = 'id="login_form"') -> dict[str, str]:
    """The hidden fields of a form."""
    fields = page.partition(form)[2].partition("</form>")[0]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', fields)
    return {name: html.unescape(value) for name, value in found}


def log_in(http: httpx2.Client, fixture: LoginFixture, **changes: str) -> httpx2.Response:
    """The page after phpMyAdmin's login form; keyword arguments are fields that differ."""
    settings = fixture.settings()
    account = {"pma_username": settings["PHPMYADMIN_USERNAME"], "pma_password": settings["PHPMYADMIN_PASSWORD"]}
    address = f"index.php?server={changes['server']}" if "server" in changes else "index.php"
    return http.post("index.php?route=/", data={**hidden(http.get(address).text), **account, **changes})


def is_in(page: httpx2.Response) -> bool:
    return "logged_in:true" in page.text


def export(http: httpx2.Client, page: httpx2.Response, sql: str = ORDERS, **changes: str) -> httpx2.Response:
    """The answer to an export that starts from a page of phpMyAdmin."""
    token = re.findall(r'token:"([^"]+)"', page.text)[0]
    form = {
        "what": "csv",
        "export_type": "table",
        "db": "shop",
        "table": "orders",
        "single_table": "TRUE",
        "sql_query": sql,
        "quick_or_custom": "custom",
        "output_format": "sendit",
        "filename_template": "@TABLE@",
        "charset": "utf-8",
        "compression": "none",
        "allrows": "1",
        "csv_structure_or_data": "data",
        "csv_separator": ",",
        "csv_enclosed": '"',
        "csv_escaped": '"',
        "csv_terminated": "\\n",
        "csv_null": "NULL",
        "csv_columns": "something",
        "token": token,
    }
    return http.post(page.url.join("index.php?route=/export"), data={**form, **changes})


def delivers(answer: httpx2.Response) -> bool:
    """Whether an answer to ORDERS is the whole of them."""
    return answer.text.startswith('"c0","c1"\n"') and answer.text.count("\n") == SEEDED + 1


def code(secret: str) -> str:
    """The present code of an authenticator app (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1")
    start = digest[19] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def processes(lab: Lab) -> list[int]:
    """The servers of a lab that still run."""
    state = json.loads((lab.path / "lab.json").read_text())
    ids = [pid for marks in state["running"].values() for pid, _ in marks]
    return [pid for pid in ids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


# -- logins


def test_it_works(lab: Lab) -> None:
    with lab.login_fixture("cookie") as fixture, client(fixture) as http:
        page = log_in(http, fixture)
        assert is_in(page)
        assert delivers(export(http, page))


def test_an_http_login_is_asked_for_by_phpmyadmin_with_status_401(lab: Lab) -> None:
    with lab.login_fixture("http") as fixture:
        settings = fixture.settings()
        account = settings["PHPMYADMIN_USERNAME"], settings["PHPMYADMIN_PASSWORD"]
        with client(fixture) as http:
            refused = http.get("")
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith('Basic realm="phpMyAdmin ')
            assert http.get("", auth=(account[0], "wrong")).status_code == 401
        with client(fixture, auth=account) as http:
            page = http.get("")
            assert is_in(page)
            assert delivers(export(http, page))


def test_a_config_login_is_in_without_being_asked(lab: Lab) -> None:
    with lab.login_fixture("config") as fixture, client(fixture) as http:
        page = http.get("")
        assert is_in(page)
        assert "login_form" not in page.text
        assert delivers(export(http, page))


def test_without_a_default_server_the_login_form_comes_after_the_choice(lab: Lab) -> None:
    with lab.login_fixture("servers") as fixture, client(fixture) as http:
        first = http.get("").text
        assert 'id="select_server"' in first
        assert 'id="login_form"' not in first
        page = log_in(http, fixture, server=fixture.settings()["PHPMYADMIN_SERVER"])
        assert is_in(page)
        assert delivers(export(http, page, server="2"))
        assert not delivers(export(http, page))


def test_the_default_server_is_the_wrong_one(lab: Lab) -> None:
    with lab.login_fixture("servers_default") as fixture:
        with client(fixture) as http:
            assert re.search(r'value="1"\s+selected="selected"', http.get("").text)
            refused = log_in(http, fixture, server="1")
            assert not is_in(refused)
            assert "Cannot log in" in refused.text
        with client(fixture) as http:
            page = log_in(http, fixture, server="2")
            assert is_in(page)
            assert delivers(export(http, page, server="2"))


def test_a_second_factor_is_asked_for_after_the_password(lab: Lab) -> None:
    with lab.login_fixture("totp") as fixture, client(fixture) as http:
        asked = log_in(http, fixture)
        assert is_in(asked)  # phpMyAdmin says so already; only the field tells
        assert 'name="2fa_code"' in asked.text
        assert not delivers(export(http, asked))
        form = 'class="disableAjax"'
        wrong = http.post(asked.url, data={**hidden(asked.text, form), "2fa_code": "000000"})
        assert "Two-factor authentication failed." in wrong.text
        right = code(fixture.settings()["PHPMYADMIN_TOTP_SECRET"])
        page = http.post(wrong.url, data={**hidden(wrong.text, form), "2fa_code": right})
        assert 'name="2fa_code"' not in page.text
        assert delivers(export(http, page))


def test_a_sub_path_is_closed_by_a_password_of_the_web_server(lab: Lab) -> None:
    with lab.login_fixture("subpath") as fixture:
        settings = fixture.settings()
        assert fixture.url.endswith("/tools/phpmyadmin/")
        with client(fixture) as http:
            assert http.get("").headers["WWW-Authenticate"] == 'Basic realm="Tools"'
        with client(fixture, auth=(settings["PHPMYADMIN_HTTP_USERNAME"], settings["PHPMYADMIN_HTTP_PASSWORD"])) as http:
            page = log_in(http, fixture)
            assert is_in(page)
            assert delivers(export(http, page))
            assert {cookie.path for cookie in http.cookies.jar} == {"/tools/phpmyadmin/"}


def test_tls_is_trusted_by_the_private_ca_alone(lab: Lab) -> None:
    with lab.login_fixture("tls") as fixture:
        with client(fixture) as http, pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            http.get("")
        with client(
            fixture, verify=ssl.create_default_context(cafile=fixture.settings()["PHPMYADMIN_CA_FILE"])
        ) as http:
            page = log_in(http, fixture)
            assert is_in(page)
            assert delivers(export(http, page))
            assert "pmaAuth-1_https" in http.cookies


def test_a_german_phpmyadmin_speaks_german(lab: Lab) -> None:
    with lab.login_fixture("german") as fixture, client(fixture) as http:
        assert "Die Anmeldung am MySQL-Server ist fehlgeschlagen" in log_in(http, fixture, pma_password="wrong").text
        page = log_in(http, fixture)
        assert is_in(page)
        assert "<h1>Fehler</h1>" in export(http, page, "SELECT 1, 2 FROM nothing").text


def test_a_captcha_that_nobody_solved_keeps_the_right_password_out(lab: Lab) -> None:
    with lab.login_fixture("captcha") as fixture, client(fixture) as http:
        page = http.get("").text
        assert 'class="g-recaptcha"' in page
        assert set(re.findall(r"https?://[^/]+", re.search(r"<script src=.*captcha.*", page)[0])) == {fixture.url[:-1]}  # type: ignore[index]
        refused = log_in(http, fixture)
        assert not is_in(refused)
        assert "Missing reCAPTCHA verification" in refused.text


def test_a_short_session_ends_when_nothing_is_asked(lab: Lab) -> None:
    with lab.login_fixture("short_session", seconds=1) as fixture, client(fixture) as http:
        page = log_in(http, fixture)
        assert delivers(export(http, page))
        time.sleep(2.1)  # phpMyAdmin counts whole seconds
        late = export(http, page)
        assert "automatically logged out due to inactivity of 1 seconds" in late.text
        assert 'id="input_username"' in late.text


def test_sessions_that_expire_lead_back_to_the_login_form(lab: Lab) -> None:
    with lab.login_fixture("cookie") as fixture, client(fixture) as http:
        page = log_in(http, fixture)
        assert delivers(export(http, page))
        fixture.expire_sessions()
        assert 'id="input_username"' in export(http, page).text
        assert delivers(export(http, log_in(http, fixture)))


@pytest.mark.parametrize("totp", [False, True], ids=["password", "password and code"])
def test_a_control_panel_leads_into_a_path_of_its_session(lab: Lab, totp: bool) -> None:
    with lab.login_fixture("control_panel", totp=totp) as fixture, client(fixture) as http:
        panel = fixture.control_panel
        assert panel
        fields = {panel.username_field: panel.username, panel.password_field: panel.password}
        form = hidden(http.get(panel.url).text, "<form")
        assert http.post(panel.url, data={**form, **fields, panel.password_field: "wrong"}).status_code == 401
        home = http.post(panel.url, data={**form, **fields})
        if totp:
            form = hidden(home.text, "<form")
            assert http.post(home.url, data={**form, panel.code_field: "000000"}).status_code == 401
            home = http.post(home.url, data={**form, panel.code_field: code(panel.totp_secret)})
        link = re.findall(r'<a id="item_php_my_admin"[^>]* href="([^"]+)"', home.text)[0]
        page = http.get(home.url.join(link))
        assert re.fullmatch(r"/cpsess\d{10}/3rdparty/phpMyAdmin/index.php", page.url.path)
        assert is_in(page)
        assert delivers(export(http, page))
        elsewhere = re.sub(r"cpsess\d+", "cpsess1111111111", str(page.url))
        assert http.get(elsewhere).url == panel.url
        fixture.expire_sessions()
        assert http.get(page.url).url == panel.url


def test_a_firewall_refuses_what_it_is_told_to_and_nothing_else(lab: Lab) -> None:
    with (
        lab.login_fixture("firewall", refuse=["information_schema", "CONCAT_WS("], status=406) as fixture,
        client(fixture) as http,
    ):
        page = log_in(http, fixture)
        assert delivers(export(http, page))
        long = f"LENGTH('{'x' * 100_000}')"
        for sql in (
            "SELECT 1, 2 FROM INFORMATION_SCHEMA.TABLES",
            "SELECT 1, CONCAT_WS('#', id) FROM orders",
            f"SELECT {long}, CONCAT_WS(',', 1)",
        ):
            refused = export(http, page, sql)
            assert (refused.status_code, "Request blocked" in refused.text) == (406, True)
        assert export(http, page, f"SELECT {long} AS c0, 2 AS c1").text == '"c0","c1"\n"100000","2"\n'


@pytest.mark.parametrize(
    ("config", "php", "sql", "end"),
    [
        ({"ExecTimeLimit": 1}, {}, PAIRS, "\n"),
        pytest.param({"ExecTimeLimit": 1}, {"display_errors": "1"}, PAIRS, "<br />\n", marks=pytest.mark.soak),
        ({"MemoryLimit": "0"}, {"memory_limit": "24M"}, BIG, '"c0","c1"\n'),
        ({"MemoryLimit": "0"}, {"memory_limit": "24M", "display_errors": "1"}, BIG, "<br />\n"),
        ({}, {"max_execution_time": "1", "disable_functions": "set_time_limit"}, PAIRS, "\n"),
    ],
    ids=["time", "time, shown", "memory", "memory, shown", "PHP's own time"],
)
def test_limits_of_phpmyadmin_and_php_end_an_export_with_status_200(
    lab: Lab, config: dict[str, object], php: dict[str, str], sql: str, end: str
) -> None:
    with lab.login_fixture("cookie", config=config, php=php) as fixture, client(fixture) as http:
        page = log_in(http, fixture)
        answer = export(http, page, sql)
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, CSV)
        assert answer.text.startswith('"c0","c1"\n')
        assert answer.text.endswith(end)
        assert ("<b>Fatal error</b>" in answer.text[-400:]) == ("display_errors" in php)
        assert answer.text.count("\n") < (SEEDED**2 if sql is PAIRS else 5)
        assert delivers(export(http, page))


def test_a_door_that_there_is_not_is_named_with_those_there_are(lab: Lab) -> None:
    before = processes(lab)
    with pytest.raises(LabError, match=r"no login fixture 'cellar'.*cookie, http"):
        lab.login_fixture("cellar")
    assert processes(lab) == before


def test_a_closed_door_leaves_nothing_behind(lab: Lab) -> None:
    before = processes(lab)
    with lab.login_fixture("control_panel") as fixture:
        folder = fixture.phpmyadmin.folder
        assert len(processes(lab)) > len(before)
    fixture.close()
    assert processes(lab) == before
    assert not folder.exists()


@pytest.mark.soak
def test_doors_end_with_the_lab(lab_folder: Path) -> None:
    lab = Lab(lab_folder)
    try:
        lab.up()
        fixture = lab.login_fixture("subpath")
        assert httpx2.get(fixture.url, trust_env=False).status_code == 401
        before = processes(lab)
        assert {psutil.Process(pid).uids().effective for pid in before}.isdisjoint({0})
    finally:
        lab.down()
    assert processes(lab) == []
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in before)
    lab.down(delete=True)
    fixture.close()
    assert not lab.path.exists()


# -- the proxy


def test_a_fault_proxy_passes_all_on_and_keeps_the_requests(lab: Lab) -> None:
    with lab.login_fixture("cookie") as fixture, FaultProxy(fixture.url) as proxy:
        with httpx2.Client(base_url=proxy.url, trust_env=False, follow_redirects=True) as http:
            page = log_in(http, fixture)
            answer = export(http, page)
        assert delivers(answer)
        assert proxy.statements == [ORDERS]
        last = proxy.requests[-1]
        assert (last.method, last.status, last.sent) == ("POST", 200, len(answer.content))
        assert fixture.settings()["PHPMYADMIN_PASSWORD"] not in repr(proxy.requests)


class Proxied:
    """A proxy in front of a cookie login, and a client that is logged in through it."""

    def __init__(self, proxy: FaultProxy, http: httpx2.Client, page: httpx2.Response) -> None:
        self.proxy = proxy
        self._http = http
        self._page = page

    def export(self, sql: str = ORDERS) -> httpx2.Response:
        return export(self._http, self._page, sql)


@pytest.fixture(scope="module")
def logged_in(lab: Lab) -> Iterator[Proxied]:
    with (
        lab.login_fixture("cookie") as fixture,
        FaultProxy(fixture.url) as proxy,
        httpx2.Client(base_url=proxy.url, trust_env=False, follow_redirects=True, timeout=60) as http,
    ):
        yield Proxied(proxy, http, log_in(http, fixture))


@pytest.fixture
def proxied(logged_in: Proxied) -> Iterator[Proxied]:
    """The same one for all tests, without faults at the start."""
    logged_in.proxy.clear()
    return logged_in


def test_a_body_can_be_cut_after_rows_and_after_bytes_and_looks_whole(proxied: Proxied) -> None:
    notes = "SELECT id AS c0, note AS c1 FROM orders ORDER BY id LIMIT 300"
    whole = proxied.export(notes).text
    rows = list(csv.reader(io.StringIO(whole, newline="")))
    assert whole.count("\n") > len(rows)  # some notes hold line breaks
    proxied.proxy.cut(rows=250, times=1)
    cut = proxied.export(notes)
    assert (cut.status_code, list(csv.reader(io.StringIO(cut.text, newline="")))) == (200, rows[:251])
    proxied.proxy.cut(size=100, times=1)
    assert proxied.export(notes).content == whole.encode()[:100]
    assert proxied.export(notes).text == whole


def test_a_connection_can_be_reset_before_and_within_an_answer(proxied: Proxied) -> None:
    for size in (0, 5_000):
        proxied.proxy.reset(size=size, times=1)
        with pytest.raises(httpx2.ReadError):
            proxied.export()
    assert [request.sent for request in proxied.proxy.requests[-2:]] == [0, 5_000]
    assert delivers(proxied.export())


def test_an_answer_can_stall_at_its_start_and_within(proxied: Proxied) -> None:
    for size in (0, 5_000):
        proxied.proxy.stall(0.3, size=size, times=1)
        began = time.monotonic()
        assert delivers(proxied.export())
        assert time.monotonic() - began >= 0.3


def test_a_body_can_be_slow(proxied: Proxied) -> None:
    proxied.proxy.slow(100_000, times=1)
    began = time.monotonic()
    answer = proxied.export()
    assert delivers(answer)
    assert time.monotonic() - began >= len(answer.content) / 100_000


def test_a_body_can_be_added_to_and_replaced(proxied: Proxied) -> None:
    error = "<br />\n<b>Fatal error</b>:  Maximum execution time of 30 seconds exceeded"
    proxied.proxy.append(error, times=1)
    assert proxied.export().text.endswith('"\n' + error)
    proxied.proxy.replace('<div class="alert alert-danger" role="alert">no</div>', times=1)
    answer = proxied.export()
    assert answer.text == '<div class="alert alert-danger" role="alert">no</div>'
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (
        200,
        "text/comma-separated-values",
    )


def test_the_request_that_is_spoiled_can_be_chosen(proxied: Proxied) -> None:
    proxied.proxy.fail(503, "busy", matching="FROM orders", skip=1, times=2)
    answers = [proxied.export(sql).status_code for sql in (ORDERS, "SELECT 1, 2", ORDERS, ORDERS, ORDERS)]
    assert answers == [200, 200, 503, 503, 200]


def test_a_fault_proxy_ends_while_an_answer_stalls(lab: Lab) -> None:
    with lab.login_fixture("cookie") as fixture:
        with FaultProxy(fixture.url) as proxy:
            proxy.stall(600, matching="index.php")
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.get(f"{proxy.url}index.php", trust_env=False, timeout=0.3)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(proxy.url, trust_env=False)


# -- the database


@pytest.mark.parametrize("what", ["QUERY", "CONNECTION"])
def test_a_killed_statement_leaves_an_export_short(
    lab: Lab, proxied: Proxied, what: Literal["QUERY", "CONNECTION"]
) -> None:
    with lab.faults.killing(what, matching="FROM orders a, orders b", times=1) as killed:
        answer = proxied.export(PAIRS)
    assert len(killed) == 1
    assert answer.status_code == 200
    assert answer.text.count("\n") < SEEDED**2
    assert delivers(proxied.export())


def test_a_limit_of_the_server_holds_while_it_is_set(lab: Lab, proxied: Proxied) -> None:
    with lab.faults.variables(max_statement_time=0.2):
        assert proxied.export(PAIRS).text.count("\n") < SEEDED**2
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_statement_time")
        assert cursor.fetchone() == (0,)


def test_an_expired_password_lets_nobody_read_until_it_is_put_right(lab: Lab) -> None:
    with lab.login_fixture("cookie") as fixture:
        with lab.faults.expired_password():
            with client(fixture) as http:
                page = log_in(http, fixture)
                assert is_in(page)  # MariaDB's way: in, but with a single right, to set the password
                assert "You must SET PASSWORD" in page.text
                assert not delivers(export(http, page))
            with lab.faults.variables(disconnect_on_expired_password=1), client(fixture) as http:
                page = log_in(http, fixture)
                assert not is_in(page)
                assert "Your password has expired" in page.text
        with client(fixture) as http:
            assert delivers(export(http, log_in(http, fixture)))


def test_a_table_can_be_copied_into_another_engine(lab: Lab, proxied: Proxied) -> None:
    with lab.faults.copy("orders", "orders_myisam"):
        assert delivers(proxied.export("SELECT id AS c0, name AS c1 FROM orders_myisam ORDER BY id"))
        engine = "SELECT engine AS c0, 1 AS c1 FROM information_schema.tables WHERE table_name = 'orders_myisam'"
        assert proxied.export(engine).text == '"c0","c1"\n"MyISAM","1"\n'
    assert "doesn't exist" in html.unescape(proxied.export("SELECT 1, 2 FROM orders_myisam").text)
