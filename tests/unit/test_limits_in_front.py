"""Limits and mistakes in front of phpMyAdmin are named for what they are, and a sync gets by where it can."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote_plus

import pytest
from hostile_phpmyadmin import (
    FORM,
    LOGGED_IN,
    ORDERS,
    Answer,
    HostilePhpMyAdmin,
    csv,
    hostile_phpmyadmin,
    page,
    settings_for,
)

from cache.errors import OrdersError
from cache.storage.records import Run
from cache.storage.store import Cache
from scraper.client.exporter import Exporter
from scraper.client.session_pool import SessionPool
from scraper.doctor import reachable
from scraper.errors import NotPhpMyAdmin, SessionLost, TooManyRequests
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.keyset_pager import Pager
from scraper.sync.sync import sync
from scraper.table.describe import read_table
from scraper.table.key_ranges import Range

Asked = Callable[[str, str, str], Answer | None]


class Front:
    """A server in front: `refuse` may answer in place of phpMyAdmin. What it was asked, as method, path and body."""

    def __init__(self, site: HostilePhpMyAdmin) -> None:
        self._honest = site.answer
        self.asked: list[tuple[str, str, str]] = []
        self.refuse: Asked = lambda *_: None
        self.settings = ScraperSettings.load(**settings_for(site))
        site.answer = self.answer  # type: ignore[method-assign]

    def answer(self, method: str, path: str, body: str) -> Answer:
        self.asked.append((method, path, body))
        return self.refuse(method, path, body) or self._honest(method, path, body)


@pytest.fixture
def front() -> Iterator[Front]:
    with hostile_phpmyadmin() as site:
        yield Front(site)


def outcome(run: Run) -> tuple[str, str]:
    return run.outcome, run.error.code if run.error else ""


def test_a_sync_waits_as_long_as_the_server_asks(front: Front, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("scraper.client.exporter.time.sleep", waits.append)
    refused: set[tuple[str, str, str]] = set()

    def once(*request: str) -> Answer | None:
        first = request not in refused
        refused.add(request)  # type: ignore[arg-type]
        return page("slow down", 429, **{"Retry-After": "7"}) if first else None

    front.refuse = once
    assert outcome(sync(cache, front.settings, log_in)) == ("published", "")
    assert waits.count(7) >= 5  # the login, the description, the rows, the checksums


@pytest.mark.parametrize("step", ["GET", "sql_query"])
def test_a_server_that_goes_on_refusing_is_named(
    front: Front, cache: Cache, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("scraper.client.exporter.time.sleep", lambda _: None)
    front.refuse = lambda *request: page("", 429, **{"Retry-After": "1"}) if step in " ".join(request) else None
    run = sync(cache, front.settings, log_in)
    assert outcome(run) == ("failed", "too_many_requests")
    assert run.error
    assert "429" in run.error.message
    assert "SYNC_PAUSE_SECONDS" in run.error.advice


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("0", 0), ("99999", 120), (None, 5), ("soon", 5), ("-3", 5)])
def test_retry_after_is_read_and_bounded(header: str | None, seconds: float) -> None:
    assert TooManyRequests("h", header).seconds == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < TooManyRequests("h", date).seconds <= 60


def test_statements_get_shorter_until_a_web_server_takes_them(front: Front) -> None:
    def short(_: str, __: str, body: str) -> Answer | None:
        sql = unquote_plus(body)
        parts = [range(int(low), int(high)) for low, high in re.findall(r">= (\d+) AND t\.`id` < (\d+)", sql)]
        if len(body) > 1_500:
            return page("<html>413", 413)
        if not parts:
            return None
        chosen = [n for n in ORDERS if any(n in part for part in parts)]
        rows = [(len(chosen), 0)] if "COUNT(*)" in sql else [(n, f"order {n}") for n in chosen]
        return Answer(200, {}, [csv(rows, 2)])

    front.refuse = short
    ranges = [Range(low, low + 1) for low in range(1, 150, 2)]
    session = log_in(front.settings)
    with (
        Exporter(session, front.settings) as exporter,
        SessionPool(session, front.settings, lambda: log_in(front.settings)) as pool,
    ):
        table = read_table(exporter, "shop", "orders")
        front.asked.clear()
        pages = list(Pager(pool, table, 5).pages(ranges))
    delivered = [int(key) for page in pages for key in page.rows.column(0).to_pylist()]
    assert delivered == sorted(delivered)
    assert delivered == [low for low, _ in ranges]
    assert [page.complete_below for page in pages][-1] is None
    assert max(len(body) for *_, body in front.asked) > 1_500  # the first was refused


def test_a_limit_that_even_short_statements_exceed_is_named(front: Front, cache: Cache) -> None:
    front.refuse = lambda _, __, body: page("<html>413", 413) if "sql_query" in body else None
    run = sync(cache, front.settings, log_in)
    assert outcome(run) == ("failed", "request_too_long")
    assert run.error
    assert "client_max_body_size" in run.error.advice


def test_max_join_size_is_named(front: Front, cache: Cache) -> None:
    alert = '<div class="alert alert-danger"><code>#1104 - The SELECT would examine more than MAX_JOIN_SIZE rows</code>'
    front.refuse = lambda _, __, body: page(alert) if "sql_query" in body else None
    run = sync(cache, front.settings, log_in)
    assert run.error
    assert "max_join_size" in run.error.advice


def test_a_login_that_leads_to_a_missing_page_is_tried_again(front: Front) -> None:
    def lost(method: str, path: str, body: str) -> Answer | None:
        if method == "POST" and "pma_password" in body:
            return page("", 302, Location="/elsewhere/index.php")
        if path.startswith("/elsewhere"):
            return page("<title>404</title>", 404)
        return page(LOGGED_IN) if path == "/" and any("pma_password" in body for *_, body in front.asked) else None

    front.refuse = lost
    assert log_in(front.settings).version == "5.2.1"


def test_a_login_that_leads_to_a_missing_page_is_no_wrong_password(front: Front) -> None:
    front.refuse = lambda method, *_: page("<title>404</title>", 404) if method == "POST" else None
    with pytest.raises(NotPhpMyAdmin) as caught:
        log_in(front.settings)
    assert "PmaAbsoluteUri" in caught.value.advice
    assert "not refused" in caught.value.advice


@pytest.mark.parametrize("times", [1, 99])
def test_a_lost_cookie_is_no_wrong_password_in_any_language(front: Front, times: int) -> None:
    words = "Das Session-Cookie konnte nicht gesetzt werden. Eventuell benutzen Sie HTTP an Stelle von HTTPS."

    def lost(method: str, _: str, __: str) -> Answer | None:
        posts = sum(method == "POST" for method, *_ in front.asked)
        failed = (
            f'{FORM.format(action="")}</form><div id="pma_errors"><div class="alert alert-danger">{words}</div></div>'
        )
        return page(failed) if method == "POST" and posts <= times else None

    front.refuse = lost
    if times == 1:
        assert log_in(front.settings).version == "5.2.1"
    else:
        with pytest.raises(SessionLost) as caught:
            log_in(front.settings)
        assert "https" in caught.value.advice
        assert sum(method == "POST" for method, *_ in front.asked) == 2


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "request_refused", "Ask the host to let these requests pass"),
        (404, "not_phpmyadmin", "Set PHPMYADMIN_URL"),
        (407, "unreachable", "HTTP_PROXY"),
        (413, "request_too_long", "client_max_body_size"),
        (451, "request_refused", "Ask the host to let these requests pass"),
        (502, "unreachable", "Open PHPMYADMIN_URL in a browser"),
    ],
)
@pytest.mark.parametrize("step", ["GET /", "pma_password", "server/export", "token="])
@pytest.mark.parametrize("broken", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["whole", "broken"])
@pytest.mark.slow
def test_a_status_is_named_at_every_step(
    front: Front, cache: Cache, status: int, code: str, advice: str, step: str, broken: bool
) -> None:
    headers = {"Content-Encoding": "gzip"} if broken else {"Content-Type": "text/plain"}
    refusal = Answer(status, headers, [gzip.compress(b"x" * 999)[:20] if broken else b"no"])
    front.refuse = lambda *request: refusal if step in " ".join(request) else None
    run = sync(cache, front.settings, log_in)
    assert run.error
    assert not run.error.stops_schedule
    if (step, status) != ("pma_password", 404):  # see PmaAbsoluteUri above
        assert str(status) in run.error.message
        assert run.error.code == code
        assert advice in run.error.advice


def test_doctor_names_too_many_requests_for_what_they_are(front: Front) -> None:
    front.refuse = lambda *_: page("", 429, **{"Retry-After": "7"})
    found = reachable(front.settings)
    assert "answered 429: too many requests. It asks to wait 7 s." in found.what
    assert "SYNC_PAUSE_SECONDS" in found.advice


def test_no_limit_stops_the_schedule_as_a_wrong_password_does(front: Front) -> None:
    for status in (404, 413, 429, 502):
        answer = page("", status, **{"Retry-After": "0"})
        front.refuse = lambda method, *_, answer=answer: answer if method == "POST" else None  # type: ignore[misc]
        with pytest.raises(OrdersError) as caught:
            log_in(front.settings)
        assert not caught.value.stops_schedule, status
