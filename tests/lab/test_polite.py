"""A sync goes easy on the server: one request at a time or as many as it may, rests, packed rows, pages that fit."""

from __future__ import annotations

import gzip
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from copies import Copies, differences
from lab_fixtures import SEEDED, settings_of
from long_cases import soak_but
from web_server import Handler, serving

from cache.errors import SettingsInvalid
from cache.storage.records import Run
from cache.storage.store import Cache
from lab import Lab
from lab.fault_proxy import FaultProxy
from scraper.client import gunzip
from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.errors import AnswerCut
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync

HEAD = b'"c0","c1"\n'


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    with FaultProxy(lab.url) as proxy:
        yield proxy


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 200 rows, so that the lab's orders have ten."""
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 200)
    monkeypatch.setattr("scraper.sync.segment_assembler.SEGMENT_ROWS", 500)
    monkeypatch.setattr("scraper.sync.reconcile.FIRST_ROWS", 500)
    monkeypatch.setattr("scraper.sync.reconcile.LEAST_BUDGET", 500)


def synced(copies: Copies, url: str, table: str = "orders", **changes: object) -> Run:
    """A sync through an address, its logins by plain HTTP."""
    chosen = {"phpmyadmin_url": url, "phpmyadmin_table": table, "phpmyadmin_login": "http", **changes}
    return sync(copies.cache, copies.settings.model_copy(update=chosen), log_in)


def logins(proxy: FaultProxy) -> int:
    return sum("pma_username" in request.form for request in proxy.requests)


def sessions(proxy: FaultProxy) -> set[str]:
    """The tokens of the logins that sent statements."""
    return {request.form["token"] for request in proxy.requests if request.statement}


def limits(proxy: FaultProxy) -> list[int]:
    """How many rows each page was asked for with."""
    found = [re.search(r"LIMIT (\d+)$", sql) for sql in proxy.statements if sql.startswith("SELECT t.`id`")]
    return [int(limit[1]) for limit in found if limit and limit[1] != "1"]


# -- how many at once


def test_by_default_one_request_is_sent_at_a_time_with_one_login(
    copies: Copies, proxy: FaultProxy, pages: None
) -> None:
    assert synced(copies, proxy.url).outcome == "published"
    copies.execute("UPDATE orders SET note = 'changed' ORDER BY id DESC LIMIT 3")
    assert synced(copies, proxy.url).outcome == "published"
    assert copies.differences() == []
    assert proxy.most_at_once == 1
    assert logins(proxy) == 2  # one a sync


def test_several_connections_send_pages_at_once_each_with_its_own_login(
    copies: Copies, proxy: FaultProxy, pages: None
) -> None:
    proxy.stall(0.1, matching=" LIMIT ")
    assert synced(copies, proxy.url, sync_connections=3).outcome == "published"
    assert copies.differences() == []
    assert proxy.most_at_once == 3
    assert (logins(proxy), len(sessions(proxy))) == (3, 3)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("session-")]


def test_several_connections_compare_at_once(copies: Copies, proxy: FaultProxy, pages: None) -> None:
    assert copies.sync().outcome == "published"
    copies.execute("UPDATE orders SET note = 'changed again' WHERE id % 50 = 0")
    proxy.stall(0.2, matching="WITH ROLLUP")
    assert synced(copies, proxy.url, sync_connections=2).outcome == "published"
    assert copies.differences() == []
    assert proxy.most_at_once == 2


def test_a_sync_that_needs_few_statements_logs_in_once(copies: Copies, proxy: FaultProxy) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(1, "x")])
    assert synced(copies, proxy.url, table, sync_connections=4).outcome == "published"
    assert synced(copies, proxy.url, table, sync_connections=4).outcome == "unchanged"
    assert logins(proxy) == 2


_some = random.Random(1)
KEYS = {
    "dense": range(150),
    "one gap": [*range(50), *range(10**9, 10**9 + 100)],
    "sparse first": [*range(0, 10**6, 2 * 10**4), *range(10**6, 10**6 + 100)],
    "negative": range(-75, 75),
    "the widest": [-(2**63), *range(-20, 130), 2**63 - 1],
    "anywhere": sorted({_some.randrange(-(2**63), 2**63) for _ in range(150)}),
    "a page": range(10),
}


@pytest.mark.parametrize("keys", soak_but(("the widest", "a page"), KEYS))
def test_whatever_the_keys_several_connections_bring_all_rows_in_order(
    copies: Copies, small_pages: None, keys: str
) -> None:
    table = copies.table("id BIGINT PRIMARY KEY, note TEXT", [(key, f"note {key}") for key in KEYS[keys]])
    assert copies.sync(table, sync_connections=3).error is None
    assert copies.differences(table) == []
    copies.execute(f"UPDATE {table} SET note = 'changed' WHERE id % 7 = 0")
    copies.execute(f"DELETE FROM {table} WHERE id % 11 = 0")
    assert copies.sync(table, sync_connections=3).error is None
    assert copies.differences(table) == []


def test_rows_that_share_a_key_stay_together_with_several_connections(copies: Copies, small_pages: None) -> None:
    rows = [(a, b) for a in range(2**64 - 30, 2**64) for b in range(a % 16)]
    table = copies.table("a BIGINT UNSIGNED, b INT, PRIMARY KEY (a, b)", rows)
    assert copies.sync(table, sync_connections=3).error is None
    assert copies.differences(table) == []


def test_pages_that_are_cut_are_continued_with_several_connections(
    copies: Copies, proxy: FaultProxy, pages: None
) -> None:
    proxy.cut(rows=90, matching=" LIMIT ", skip=2, times=6)
    assert synced(copies, proxy.url, sync_connections=3).error is None
    assert copies.differences() == []


@pytest.mark.soak
def test_a_table_that_is_only_counted_comes_over_several_connections_too(
    copies: Copies, proxy: FaultProxy, pages: None
) -> None:
    proxy.fail(403, matching="CONV(")
    run = synced(copies, proxy.url, sync_connections=3)
    assert (run.outcome, run.rows) == ("unverified", SEEDED)
    assert len(sessions(proxy)) == 3
    assert differences(copies.lab, "orders", copies.cache.snapshots.open()) == []


def test_one_connection_brings_all_pages_where_max_key_is_blocked(
    copies: Copies, proxy: FaultProxy, pages: None
) -> None:
    proxy.fail(403, matching="DESC LIMIT 1")
    assert synced(copies, proxy.url, sync_connections=3).outcome == "published"
    copies.execute("UPDATE orders SET note = 'and again' WHERE id % 3 = 0")
    assert synced(copies, proxy.url, sync_connections=3).outcome == "published"
    assert copies.differences() == []


# -- what fails


def test_what_fails_in_one_session_stops_all_and_is_told(copies: Copies, proxy: FaultProxy, pages: None) -> None:
    proxy.fail(401, matching=" LIMIT ", skip=4)
    run = synced(copies, proxy.url, sync_connections=3)
    assert run.error is not None
    assert run.error.code == "request_refused"
    assert copies.cache.snapshots.head() is None
    assert len(limits(proxy)) <= 4 + 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("session-")]


@pytest.mark.parametrize("page", ["", "<div class='alert-danger'>Access denied for user</div>"], ids=["503", "refused"])
def test_a_further_login_that_fails_is_left_out_and_no_more_are_tried(
    copies: Copies, proxy: FaultProxy, pages: None, caplog: pytest.LogCaptureFixture, page: str
) -> None:
    if page:
        proxy.fail(200, page, matching="pma_username", skip=1)
    else:
        proxy.fail(503, matching="pma_username", skip=1)
    assert synced(copies, proxy.url, sync_connections=4).outcome == "published"
    assert copies.differences() == []
    assert (logins(proxy), len(sessions(proxy))) == (2, 1)
    assert "connections=1, no more of them" in caplog.text


def test_after_all_sessions_ended_a_refused_login_is_tried_once(copies: Copies, proxy: FaultProxy, pages: None) -> None:
    """So that the account does not get locked."""
    proxy.stall(0.1, matching=" LIMIT ", times=5)
    proxy.replace('<form id="login_form"><input name="pma_username"></form>', matching=" LIMIT ")
    proxy.fail(200, "<div class='alert-danger'>Access denied for user</div>", matching="pma_username", skip=3)
    run = synced(copies, proxy.url, sync_connections=3)
    assert run.error is not None
    assert run.error.code == "login_refused"
    assert logins(proxy) == 3 + 1


@pytest.mark.soak
def test_a_second_factor_lets_several_logins_in_with_one_code(lab: Lab, cache: Cache, pages: None) -> None:
    with lab.login_fixture("totp") as fixture, FaultProxy(fixture.url) as proxy:
        proxy.stall(0.1, matching=" LIMIT ")
        known = {name.lower(): value for name, value in fixture.settings().items()}
        changes = {"phpmyadmin_url": proxy.url, "phpmyadmin_login": "http", "sync_connections": "3"}
        assert sync(cache, ScraperSettings.load(**known | changes), log_in).outcome == "published"
        assert len(sessions(proxy)) == 3
    assert differences(lab, "orders", cache.snapshots.open()) == []


# -- rests


def test_a_pause_is_kept_between_requests_and_slows_no_page_down(
    copies: Copies, proxy: FaultProxy, pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("scraper.client.exporter.time.sleep", rests.append)
    assert synced(copies, proxy.url, sync_pause_seconds=50).outcome == "published"
    assert rests[0] == 0
    assert len(rests) == len(proxy.statements)
    assert all(0 < rest <= 50 for rest in rests[1:])
    assert set(limits(proxy)) == {200}


# -- pages


def test_pages_shrink_while_the_server_is_slow_and_grow_again(copies: Copies, proxy: FaultProxy, pages: None) -> None:
    proxy.stall(2.1, matching=" LIMIT ", times=2)
    assert synced(copies, proxy.url, statement_seconds=1).outcome == "published"
    assert limits(proxy)[:3] == [200, 100, 100]
    assert limits(proxy)[-2:] == [200, 200]
    assert copies.differences() == []


def test_pages_shrink_where_answers_are_cut_and_grow_again(
    copies: Copies, proxy: FaultProxy, pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.sync.keyset_pager.LEAST_ROWS", 10)
    proxy.cut(rows=50, matching=" LIMIT ", times=1)
    proxy.reset(size=100, matching=" LIMIT ", times=1)
    assert synced(copies, proxy.url).outcome == "published"
    assert limits(proxy)[:6] == [200, 100, 25, 50, 100, 200]
    assert copies.differences() == []


# -- packed answers


def packings(proxy: FaultProxy) -> list[str]:
    return [request.form["compression"] for request in proxy.requests if " LIMIT " in request.statement]


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small pages tell, and that a busy machine is no slow way."""
    monkeypatch.setattr(gunzip, "TELLING", 20_000)
    monkeypatch.setattr(gunzip, "SLOW", 150_000)


def test_on_a_slow_way_rows_come_packed_and_are_the_same(
    copies: Copies, proxy: FaultProxy, pages: None, telling: None
) -> None:
    proxy.slow(100_000, matching=" LIMIT ")
    run = synced(copies, proxy.url)
    assert (run.outcome, copies.differences()) == ("published", [])
    assert packings(proxy)[0] == "none"
    assert set(packings(proxy)[1:]) == {"gzip"}
    sent = [request.sent for request in proxy.requests if " LIMIT " in request.statement]
    assert sent[1] < sent[0] / 3


def test_on_a_fast_way_nothing_is_packed(copies: Copies, proxy: FaultProxy, pages: None, telling: None) -> None:
    assert synced(copies, proxy.url).outcome == "published"
    assert set(packings(proxy)) == {"none"}


@pytest.mark.soak
def test_a_server_that_is_slow_itself_packs_one_page_only(
    copies: Copies, proxy: FaultProxy, pages: None, telling: None
) -> None:
    proxy.stall(2, matching=" LIMIT ", times=2)
    assert synced(copies, proxy.url).outcome == "published"
    assert packings(proxy)[:3] == ["none", "gzip", "none"]
    assert packings(proxy).count("gzip") == 1
    assert copies.differences() == []


def test_a_packed_answer_that_is_cut_or_damaged_is_asked_for_again(
    copies: Copies, proxy: FaultProxy, pages: None, telling: None
) -> None:
    proxy.slow(100_000, matching=" LIMIT ", times=1)
    proxy.cut(size=5_000, matching="compression=gzip", times=1)
    proxy.replace("\x1f\x8b\x08 and no more", matching="compression=gzip", times=1)
    assert synced(copies, proxy.url).outcome == "published"
    asked = [request.statement for request in proxy.requests if request.form.get("compression") == "gzip"]
    assert len(asked) > 3
    assert copies.differences() == []


@pytest.mark.soak
def test_packed_rows_come_through_the_browser_too_which_has_one_session(
    lab: Lab, copies: Copies, proxy: FaultProxy, pages: None, telling: None
) -> None:
    proxy.slow(100_000, matching=" LIMIT ", times=1)
    run = synced(copies, proxy.url, phpmyadmin_login="browser-only", sync_connections=3)
    assert (run.outcome, copies.differences()) == ("published", [])
    assert "gzip" in packings(proxy)
    assert logins(proxy) == 1


@contextmanager
def web_server_that_packs(body: bytes) -> Iterator[str]:
    """One that gzips by itself, as many do for clients that take it."""

    class Answering(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            if "gzip" in self.headers["Accept-Encoding"]:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

    with serving(Answering) as url:
        yield f"{url}/index.php?route=/export"


@pytest.mark.parametrize("twice", [False, True], ids=["by the web server", "and by phpMyAdmin"])
def test_gzip_of_the_web_server_is_unpacked_and_a_cut_is_noticed(
    session: Session, settings: ScraperSettings, twice: bool
) -> None:
    body = gzip.compress(HEAD + b'"1","a"\n') + gzip.compress(b'"2","b"\n')
    body = gzip.compress(body[:50]) + gzip.compress(body[50:]) if twice else body
    with web_server_that_packs(body) as url, Exporter(replace(session, export_url=url), settings) as export:
        assert export.select("SELECT", 2, 3000).to_pylist() == [{"c0": "1", "c1": "a"}, {"c0": "2", "c1": "b"}]
    with (
        web_server_that_packs(body[:-9]) as url,
        Exporter(replace(session, export_url=url), settings) as export,
        pytest.raises(AnswerCut),
    ):
        export.select("SELECT", 2, 3000)


def test_settings_keep_it_polite(here: object, lab: Lab) -> None:
    settings = settings_of(lab)
    assert (settings.sync_connections, settings.sync_pause_seconds) == (1, 0)
    with pytest.raises(SettingsInvalid, match="SYNC_CONNECTIONS"):
        settings_of(lab, sync_connections="9")
