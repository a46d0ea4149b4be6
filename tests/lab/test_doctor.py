"""The doctor names the broken link and what to do, for each way in which a set-up can be broken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from cache_factory import cache_in, publish
from web_server import Handler, serving

from cache.errors import Trouble
from cache.settings import Settings
from cache.storage.records import Run
from checks.generation import check_generation
from lab import Lab
from scraper import doctor
from scraper.client.session import Session
from scraper.doctor import Finding
from scraper.login.login import log_in

CHECKS = [
    *(
        "env_file",
        "settings",
        "data_dir",
        "cache",
        "permissions",
        "memory",
        "browser",
        "driver",
        "sandbox",
        "reachable",
    ),
    *("login", "table", "key", "privileges"),
]


@pytest.fixture
def examine(
    lab: Lab, here: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Finding]]:
    """What the doctor finds with the lab's settings, some of them changed. It takes a login that is still good."""
    for name, value in lab.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CACHE_URL", f"file:{here / 'cache'}")
    monkeypatch.setattr(doctor, "log_in", lambda _: session)

    def findings(**changes: str) -> dict[str, Finding]:
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        return {finding.id: finding for finding in doctor.examine()}

    return findings


@contextmanager
def answering(status: int, page: str) -> Iterator[str]:
    """A web server that says the same to everyone; its address."""

    class Answering(Handler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(page.encode())

    with serving(Answering) as url:
        yield f"{url}/"


def broken(findings: dict[str, Finding]) -> list[str]:
    return [id for id, finding in findings.items() if not finding.fine]


def test_it_works(examine: Callable[..., dict[str, Finding]]) -> None:
    findings = examine()
    assert list(findings) == CHECKS
    assert broken(findings) == []
    assert "28 columns" in findings["table"].what


def test_it_says_whether_orders_add_up(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    with closing(cache_in(here)) as cache:
        publish(cache, 50, check=partial(check_generation, cache, Settings()))
        figures = examine()["figures"]
    assert figures.fine
    assert figures.what.endswith("orders add up")


# 1-4: settings


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PHPMYADMIN_URL": "localhost/phpmyadmin"}, "PHPMYADMIN_URL"),
        ({"PHPMYADMIN_DATABASE": ""}, "PHPMYADMIN_DATABASE"),
        ({"SYNC_INTERVAL_MINUTES": "often"}, "SYNC_INTERVAL_MINUTES"),
        ({"SOURCE_TIMEZONE": "Berlin"}, "SOURCE_TIMEZONE"),
    ],
)
def test_a_setting_that_does_not_parse_is_named(
    examine: Callable[..., dict[str, Finding]], changes: dict[str, str], named: str
) -> None:
    findings = examine(**changes)
    assert broken(findings)[0] == "settings"
    assert named in findings["settings"].what
    assert "docs/configuration.md" in findings["settings"].advice
    assert "login" not in findings  # what needs a broken link is not tried


# 5-6: the cache


def test_a_file_in_the_place_of_the_cache_folder(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    (here / "cache").write_text("")
    assert "CACHE_URL" in examine()["cache"].advice


def test_a_damaged_journal(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    (here / "var/kept").mkdir(parents=True)
    (here / "var/kept/journal.sqlite").write_text("no database" * 1000)
    findings = examine()
    assert broken(findings) == ["cache"]
    assert "journal.sqlite" in findings["cache"].what


# 7-9: what logs in


def test_too_little_memory(examine: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=200 << 20))
    findings = examine(PHPMYADMIN_LOGIN="browser")
    assert broken(findings) == ["memory"]
    assert "200 MB" in findings["memory"].what


def test_no_browser(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    findings = examine(PATH=str(here), PHPMYADMIN_LOGIN="browser")
    assert broken(findings) == ["browser"]
    assert "apt-get install chromium" in findings["browser"].advice


def test_no_browser_where_plain_http_may_log_in(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    findings = examine(PATH=str(here))
    assert broken(findings) == []
    assert "plain HTTP" in findings["browser"].advice


def test_a_browser_without_a_driver(
    examine: Callable[..., dict[str, Finding]], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = here / "chromium"
    browser.write_text("#!/bin/sh\necho Chromium 1.2\n")
    browser.chmod(0o755)
    monkeypatch.setattr("webdriver_manager.chrome.ChromeDriverManager.install", lambda _: 1 / 0)
    findings = examine(PATH=str(here), PHPMYADMIN_LOGIN="browser")
    assert broken(findings) == ["driver"]
    assert "chromium-driver" in findings["driver"].advice


# 10-13: the address and the login


def test_an_address_where_nobody_listens(examine: Callable[..., dict[str, Finding]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but it does not listen
        findings = examine(PHPMYADMIN_URL=f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert broken(findings) == ["reachable"]
    assert "cannot be reached" in findings["reachable"].what
    assert "login" not in findings


def test_an_address_that_is_not_there(examine: Callable[..., dict[str, Finding]]) -> None:
    with answering(404, "Not Found") as url:
        findings = examine(PHPMYADMIN_URL=url)
    assert broken(findings) == ["reachable"]
    assert "404" in findings["reachable"].what


def test_a_page_that_is_no_phpmyadmin(
    examine: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "log_in", log_in)
    with answering(200, "<h1>Welcome to nginx!</h1>") as url:
        findings = examine(PHPMYADMIN_URL=url)
    assert broken(findings) == ["login"]
    assert "login form" in findings["login"].what
    assert "PHPMYADMIN_URL" in findings["login"].advice


def test_a_wrong_password(examine: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "log_in", log_in)
    findings = examine(PHPMYADMIN_PASSWORD="wrong-Passw0rd")
    assert broken(findings) == ["login"]
    assert "Access denied" in findings["login"].what
    assert "PHPMYADMIN_PASSWORD" in findings["login"].advice
    assert "wrong-Passw0rd" not in str(findings)


# 14-18: behind the login


def test_a_table_that_this_login_does_not_see(examine: Callable[..., dict[str, Finding]]) -> None:
    findings = examine(PHPMYADMIN_TABLE="ordres")
    assert broken(findings) == ["table"]
    assert "ordres" in findings["table"].what
    assert "shop.orders" in findings["table"].advice  # what it sees


def test_a_database_that_this_login_does_not_see(examine: Callable[..., dict[str, Finding]]) -> None:
    findings = examine(PHPMYADMIN_DATABASE="shops")
    assert broken(findings) == ["table"]
    assert "shop.orders" in findings["table"].advice


def test_a_table_of_which_this_login_may_not_read_a_column(
    examine: Callable[..., dict[str, Finding]], lab: Lab
) -> None:
    user = f"'{lab.settings()['PHPMYADMIN_USERNAME']}'@'127.0.0.1'"
    with lab.connect("mysql") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE apart")
        try:
            cursor.execute("CREATE TABLE apart.orders (id INT PRIMARY KEY, secret TEXT)")
            cursor.execute(f"GRANT SELECT (id) ON apart.orders TO {user}")
            cursor.execute(f"GRANT INSERT (secret) ON apart.orders TO {user}")  # so that it sees the column
            findings = examine(PHPMYADMIN_DATABASE="apart")
        finally:
            cursor.execute(f"REVOKE ALL ON apart.orders FROM {user}")
            cursor.execute("DROP DATABASE apart")
    assert broken(findings) == ["privileges"]
    assert "SELECT" in findings["privileges"].advice


def test_a_database_that_is_down(examine: Callable[..., dict[str, Finding]], lab: Lab) -> None:
    lab.stop_database()
    try:
        findings = examine()
    finally:
        lab.start_database()
    assert broken(findings) == ["table"]


def test_a_table_without_a_key_is_told_what_that_costs(examine: Callable[..., dict[str, Finding]], lab: Lab) -> None:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE keyless (note TEXT)")
        try:
            findings = examine(PHPMYADMIN_TABLE="keyless")
        finally:
            cursor.execute("DROP TABLE keyless")
    assert broken(findings) == []
    assert "whole table" in findings["key"].advice


# 19-20: a firewall


@pytest.mark.parametrize(
    ("refuse", "named", "advice"),
    [
        (["information_schema", "WITH ROLLUP"], "information_schema, WITH ROLLUP", "verify the copy"),
        (["SELECT"], "SELECT", "Ask the host"),
    ],
)
def test_a_firewall_that_a_sync_goes_round_is_named_and_nothing_is_broken(
    examine: Callable[..., dict[str, Finding]],
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    refuse: list[str],
    named: str,
    advice: str,
) -> None:
    monkeypatch.setattr(doctor, "log_in", log_in)
    with lab.login_fixture("firewall", refuse=refuse) as fixture:
        findings = examine(PHPMYADMIN_URL=fixture.url, PHPMYADMIN_LOGIN="http")
    assert broken(findings) == []
    assert f"refuses {named}." in findings["firewall"].what
    assert advice in findings["firewall"].advice
    assert "28 columns" in findings["table"].what


def test_a_firewall_that_lets_nothing_through(
    examine: Callable[..., dict[str, Finding]], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "log_in", log_in)
    with lab.login_fixture(
        "firewall", refuse=["table"]
    ) as fixture:  # each form after the login names it, and no token can
        findings = examine(PHPMYADMIN_URL=fixture.url, PHPMYADMIN_LOGIN="http")
    assert broken(findings) == ["table"]
    assert "firewall" in findings["table"].advice


# 21: the last sync


def test_what_the_last_sync_failed_of_is_told(examine: Callable[..., dict[str, Finding]], here: Path) -> None:
    cache = cache_in(here)
    run = Run(trigger="test", outcome="failed", error=Trouble(code="x", message="It rained.", advice="Take a coat."))
    cache.runs.begin(run)
    cache.runs.finish(run)
    cache.close()
    assert "It rained. Take a coat." in examine()["cache"].advice


def test_line_items_in_another_table_are_named_with_the_view_that_works(
    examine: Callable[..., dict[str, Finding]], lab: Lab
) -> None:
    user = f"'{lab.settings()['PHPMYADMIN_USERNAME']}'@'127.0.0.1'"
    with lab.connect("mysql") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE normal")
        try:
            cursor.execute("CREATE TABLE normal.orders (id INT PRIMARY KEY, name TEXT, total_price DECIMAL(12,2))")
            cursor.execute(
                "CREATE TABLE normal.order_items (order_id INT, title TEXT, quantity INT, price DECIMAL(9,2))"
            )
            cursor.execute("INSERT INTO normal.orders VALUES (1, '#1', 60), (2, '#2', 0)")
            cursor.execute("INSERT INTO normal.order_items VALUES (1, 'Cup', 2, 25), (1, 'Pen', 1, 10)")
            cursor.execute(f"GRANT SELECT ON normal.* TO {user}")
            findings = examine(PHPMYADMIN_DATABASE="normal")
            advice = findings["line_items"].advice
            cursor.execute(advice[advice.index("CREATE VIEW") : advice.index(";")])
            cursor.execute("SELECT * FROM normal.orders_with_items ORDER BY id, line_item_price")
            rows = cursor.fetchall()
            of_view = examine(PHPMYADMIN_DATABASE="normal", PHPMYADMIN_TABLE="orders_with_items")
        finally:
            cursor.execute(f"REVOKE ALL ON normal.* FROM {user}")
            cursor.execute("DROP DATABASE normal")
    assert broken(findings) == broken(of_view) == []
    assert [(row[1], row[3], row[4]) for row in rows] == [("#1", "Pen", 1), ("#1", "Cup", 2), ("#2", None, None)]
    assert "line_items" not in of_view
