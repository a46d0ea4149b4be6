"""A session of phpMyAdmin that ends is renewed by one new login, whatever kind of request meets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from copies import differences
from lab_fixtures import SEEDED

from cache.storage.store import Cache
from lab import Lab, LoginFixture
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.client.transport import HttpTransport
from scraper.errors import LoginRefused
from scraper.login.login import log_in
from scraper.login.page_transport import PageTransport
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync
from scraper.table.checksums import WHOLE, server_checksums
from scraper.table.describe import read_table

ORDERS = "SELECT id AS c0, name AS c1 FROM orders"


def settings_for(fixture: LoginFixture, **changes: Any) -> ScraperSettings:
    names = {name.lower(): value for name, value in fixture.settings().items()}
    return ScraperSettings.load(**{**names, "phpmyadmin_login": "http", **changes})


class Logins:
    """Logs in, and counts how often."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def __call__(self, settings: ScraperSettings) -> Session:
        with self.lock:
            self.count += 1
            return log_in(settings)


def rows(export: Exporter) -> int:
    return len(export.select(ORDERS, 2, 3000))


def batches(export: Exporter) -> int:
    return sum(len(batch) for batch in export.batches(ORDERS, 2))


def checksums(export: Exporter) -> int:
    table = read_table(export, "shop", "orders")
    return server_checksums(export, table, [WHOLE])[0].rows


def shown(export: Exporter) -> int:
    return SEEDED if export.show("SHOW FULL COLUMNS FROM shop.orders", "Field") else 0


def structure(export: Exporter) -> int:
    return SEEDED if "CREATE TABLE `orders`" in export.structure() else 0


def count(export: Exporter) -> int:
    return export.count()


def whole_table(export: Exporter) -> int:
    header = [str(row["Field"]) for row in export.show("SHOW FULL COLUMNS FROM shop.orders", "Field")]
    return sum(len(batch) for batch in export.raw(header))


KINDS: list[Callable[[Exporter], int]] = [rows, batches, checksums, shown, structure, count, whole_table]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("cookie", kind) for kind in KINDS],
        *[(name, rows) for name in ("config", "control_panel")],
        *[pytest.param(name, whole_table, marks=pytest.mark.soak) for name in ("config", "control_panel")],
    ],
)
def test_each_kind_of_request_renews_a_lost_session(
    lab: Lab, here: Path, name: str, kind: Callable[[Exporter], int]
) -> None:
    with lab.login_fixture(name) as fixture:
        settings, logins = settings_for(fixture), Logins()
        with Exporter(logins(settings), settings, lambda: logins(settings)) as export:
            assert kind(export) == SEEDED
            fixture.expire_sessions()
            assert kind(export) == SEEDED
    assert logins.count == 2


@pytest.mark.soak
@pytest.mark.parametrize(
    ("login", "kinds"),
    [
        pytest.param("browser", [whole_table], marks=pytest.mark.soak),  # sent without Chrome, as above
        ("browser-only", [count]),
        # the last asks for rows and for what is shown
        pytest.param("browser-only", [count, whole_table], marks=pytest.mark.soak),
    ],
)
def test_chrome_logs_in_again_for_each_kind_of_request(
    lab: Lab, here: Path, login: str, kinds: list[Callable[[Exporter], int]]
) -> None:
    with lab.login_fixture("cookie") as fixture:
        settings, logins = settings_for(fixture, phpmyadmin_login=login), Logins()
        with Exporter(logins(settings), settings, lambda: logins(settings)) as export:
            for kind in kinds:
                fixture.expire_sessions()
                assert kind(export) == SEEDED
    assert logins.count == 1 + len(kinds)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_refused_login_is_told_as_such_by_each_kind(lab: Lab, here: Path, kind: Callable[[Exporter], int]) -> None:
    with lab.login_fixture("cookie") as fixture:
        settings = settings_for(fixture)
        wrong = settings_for(fixture, phpmyadmin_password="wr0ng-passw0rd")
        with Exporter(log_in(settings), settings, lambda: log_in(wrong)) as export:
            fixture.expire_sessions()
            with pytest.raises(LoginRefused, match="Access denied"):
                kind(export)


# -- a whole sync


@contextmanager
def sessions_end(
    monkeypatch: pytest.MonkeyPatch, fixture: LoginFixture, logins: Logins, spared: Container[str] = ()
) -> Iterator[set[str]]:
    """Ends all sessions before the first request of each kind but those spared; yields the kinds that were met."""
    ended: set[str] = set()
    with monkeypatch.context() as patch:
        for transport in (HttpTransport, PageTransport):
            original = transport.post

            def post(
                self: Any, url: str, form: Mapping[str, str], sink: Any, *, original: Any = original, **options: Any
            ) -> int:
                if "logout" in url:
                    return int(original(self, url, form, sink, **options))
                kind = kind_of(form)
                with logins.lock:
                    if kind not in ended and kind not in spared:
                        ended.add(kind)
                        fixture.expire_sessions()
                return int(original(self, url, form, sink))

            patch.setattr(transport, "post", post)
        yield ended


def kind_of(form: Mapping[str, str]) -> str:
    sql = form.get("sql_query", "")
    marks = {"information_schema": "information_schema", "SHOW": "SHOW", "CONV(": "checksums", "LIMIT": "rows"}
    if sql:
        return next((kind for mark, kind in marks.items() if mark in sql), "other")
    return "count" if "real_row_count" in form else "structure" if form["what"] == "sql" else "whole table"


@pytest.mark.parametrize(
    ("refuse", "kinds", "connections"),
    [
        ([], {"information_schema", "checksums", "rows"}, 1),
        ([], {"information_schema", "checksums", "rows"}, 3),
        pytest.param(["information_schema"], {"SHOW", "checksums", "rows"}, 3, marks=pytest.mark.soak),
        (["SELECT"], {"structure", "count", "whole table"}, 1),
    ],
    ids=["usual statements", "several connections", "without information_schema", "without statements"],
)
def test_a_sync_goes_on_when_all_sessions_end_before_each_kind_of_request(
    lab: Lab, cache: Cache, monkeypatch: pytest.MonkeyPatch, refuse: list[str], kinds: set[str], connections: int
) -> None:
    options = {"refuse": refuse} if refuse else {}
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 300)
    with lab.login_fixture("firewall" if refuse else "cookie", **options) as fixture:
        logins = Logins()
        with sessions_end(monkeypatch, fixture, logins) as ended:
            run = sync(cache, settings_for(fixture, sync_connections=connections), logins)
    assert (run.error and run.error.code, run.rows) == ("unproven" if "SELECT" in refuse else None, SEEDED)
    assert kinds <= ended
    if connections == 1 and not refuse:
        assert logins.count == 1 + len(ended)
    assert differences(lab, "orders", cache.snapshots.open()) == []


@pytest.mark.soak
@pytest.mark.parametrize(
    "spared", [("information_schema", "checksums", "other"), pytest.param((), marks=pytest.mark.soak)]
)
def test_a_sync_by_chrome_alone_goes_on_when_its_sessions_end(
    lab: Lab, cache: Cache, monkeypatch: pytest.MonkeyPatch, spared: tuple[str, ...]
) -> None:
    with lab.login_fixture("cookie") as fixture:
        logins = Logins()
        with sessions_end(monkeypatch, fixture, logins, spared) as ended:
            run = sync(cache, settings_for(fixture, phpmyadmin_login="browser-only"), logins)
    assert (run.error, run.rows) == (None, SEEDED)
    assert "rows" in ended
    assert logins.count == 1 + len(ended)
