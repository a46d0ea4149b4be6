"""The real servers that tests share: one MariaDB with phpMyAdmin, one login, one PostgreSQL, and a cache for each
test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paths import ROOT

from scraper.settings import ScraperSettings

if TYPE_CHECKING:
    from copies import Copies

    from cache.storage.store import Cache
    from lab import Lab
    from lab.postgresql import PostgreSQL, Running
    from scraper.client.session import Session

SEEDED = 2_000

_shared: list[Lab] = []


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with 2,000 orders. A test that changes its servers or its orders puts them right again."""
    from lab import Lab

    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up()
        lab.seed(SEEDED)
        _shared.append(lab)
        yield lab
    finally:
        lab.down(delete=True)


@pytest.fixture(scope="module", autouse=True)
def orders_put_right() -> Iterator[None]:
    """Restore the number of orders after each file of tests."""
    yield
    for lab in _shared:
        if all(lab.running().values()) and lab.rows() != SEEDED:
            lab.seed(SEEDED)


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    """The folder for a lab of the test's own. The test starts the lab, and deletes it at its end."""
    return tmp_path / "lab"


def settings_of(lab: Lab, **changes: str) -> ScraperSettings:
    """The lab's login, for its orders; `changes` are settings that differ."""
    return ScraperSettings.load(**{name.lower(): value for name, value in lab.settings().items()} | changes)


@pytest.fixture(scope="session")
def session(lab: Lab) -> Session:
    """A real login, shared: no sync may end it."""
    return lasting_session(settings_of(lab, phpmyadmin_login="http"))


def lasting_session(settings: ScraperSettings) -> Session:
    """A real login that no sync ends."""
    from scraper.login.login import log_in

    return replace(log_in(settings), logout_url="")


@pytest.fixture
def settings(lab: Lab, here: Path) -> ScraperSettings:
    """The lab's login, for its orders."""
    return settings_of(lab)


@pytest.fixture
def copies(lab: Lab, cache: Cache, session: Session, settings: ScraperSettings) -> Iterator[Copies]:
    """Tables of the lab, and their copies in `cache`."""
    from copies import Copies

    copies = Copies(lab, cache, session, settings)
    yield copies
    copies.close()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 10 rows, so that small tables have many ranges."""
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 10)
    monkeypatch.setattr("scraper.sync.segment_assembler.SEGMENT_ROWS", 10)
    monkeypatch.setattr("scraper.sync.reconcile.EARLY_ROWS", 20)


@pytest.fixture
def child_environment(lab: Lab, here: Path) -> Callable[..., dict[str, str]]:
    """The environment of a process that works for `cache`; keyword arguments are further settings."""

    def environment(**settings: str) -> dict[str, str]:
        ours = {
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(here / "var"),
            "CACHE_URL": f"file:{here / 'cache'}",
            "PYTHONUNBUFFERED": "1",
        }
        return {**os.environ, **ours, **lab.settings(), **settings}

    return environment


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL for the shared cache. Each test has a database of its own in it."""
    from lab.postgresql import PostgreSQL, Running, folder_for_servers, install_postgresql

    install_postgresql()
    with folder_for_servers() as folder:
        server = PostgreSQL(folder)
        with Running(server, folder):
            yield server


@pytest.fixture
def own_server() -> Iterator[tuple[PostgreSQL, Running]]:
    """A PostgreSQL that a test may stop."""
    from lab.postgresql import PostgreSQL, Running, folder_for_servers

    with folder_for_servers() as folder:
        server = PostgreSQL(folder)
        with Running(server, folder) as running:
            yield server, running


@pytest.fixture
def shared_url(postgresql: PostgreSQL) -> str:
    """The address of a database without a shared cache."""
    import psycopg

    url = postgresql.url()
    with psycopg.connect(url, autocommit=True) as connection:  # quicker than another database
        connection.execute("DROP SCHEMA IF EXISTS orders_cache CASCADE")
    return url


def new_database(postgresql: PostgreSQL) -> str:
    """Make an empty database, and return its address."""
    import psycopg

    name = f"cache_{next(_numbers)}"
    with psycopg.connect(postgresql.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgresql.url(name)


_numbers = count()
