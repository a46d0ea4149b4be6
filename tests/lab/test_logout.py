"""A sync leaves no session on the server, however it logged in and however it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cache.storage.store import Cache
from lab import Lab, LoginFixture
from scraper.client.logout import log_out
from scraper.client.session import Session
from scraper.client.transport import HttpTransport
from scraper.login.login import log_in
from scraper.settings import ScraperSettings
from scraper.sync.sync import sync


@pytest.fixture(scope="module")
def phpmyadmin(lab: Lab) -> Iterator[LoginFixture]:
    with lab.login_fixture("cookie") as fixture:
        yield fixture


def settings_for(fixture: LoginFixture, **changes: Any) -> ScraperSettings:
    return ScraperSettings.load(**{name.lower(): value for name, value in fixture.settings().items()} | changes)


def sessions(fixture: LoginFixture) -> list[str]:
    return [file.name for file in fixture.phpmyadmin.sessions.iterdir()]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"phpmyadmin_login": "http"}, "published"),
        pytest.param({"phpmyadmin_login": "browser"}, "published", marks=pytest.mark.soak),
        ({"phpmyadmin_login": "browser-only"}, "published"),
        ({"phpmyadmin_login": "http", "sync_connections": 3}, "published"),
        ({"phpmyadmin_login": "http", "phpmyadmin_table": "no_such_table"}, "failed"),
    ],
    ids=["http", "chrome", "only chrome", "several sessions", "a failed sync"],
)
def test_a_sync_logs_out_at_its_end(
    phpmyadmin: LoginFixture,
    cache: Cache,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    outcome: str,
) -> None:
    caplog.set_level("INFO")
    phpmyadmin.expire_sessions()
    counts = []

    def log_in_and_count(settings: ScraperSettings) -> Session:
        session = log_in(settings)
        counts.append(len(sessions(phpmyadmin)))
        return session

    run = sync(cache, settings_for(phpmyadmin, **changes), log_in_and_count)
    assert run.outcome == outcome
    assert counts[0] > 0
    assert sessions(phpmyadmin) == []
    assert "was not ended" not in caplog.text


def test_a_server_that_cannot_be_reached_any_more_hides_no_outcome(phpmyadmin: LoginFixture, here: object) -> None:
    phpmyadmin.expire_sessions()
    session = log_in(settings_for(phpmyadmin, phpmyadmin_login="http"))
    transport = HttpTransport(session.request_headers(), None)
    log_out(replace(session, logout_url="http://127.0.0.1:1/index.php?route=/logout"), transport)
    assert len(sessions(phpmyadmin)) == 1


def test_a_session_that_others_use_is_not_ended(phpmyadmin: LoginFixture, here: object) -> None:
    phpmyadmin.expire_sessions()
    session = log_in(settings_for(phpmyadmin, phpmyadmin_login="http"))
    transport = HttpTransport(session.request_headers(), None)
    log_out(replace(session, logout_url=""), transport)
    assert len(sessions(phpmyadmin)) == 1
    log_out(session, transport)
    assert sessions(phpmyadmin) == []
