"""The real servers that tests share: one MariaDB with phpMyAdmin, one Selenium login, and a cache for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from copies import Copies
from playwright.sync_api import Browser, sync_playwright

from cache.storage.local_store import LocalStore
from lab import Lab
from scraper.client.session import Session
from scraper.login.login import log_in
from scraper.settings import ScraperSettings

ROOT = Path(__file__).parents[1]
SEEDED = 2_000
_OURS = ("PORT", "STREAMLIT_", "ENV_FILE", *(name.upper() for name in ScraperSettings.model_fields))


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    """Neither tests nor the processes that they start see settings that happen to be in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_OURS)]:
            patch.delenv(name)
        patch.setenv("ENV_FILE", os.devnull)
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with 2,000 orders. A test that changes its servers or its orders puts them right again."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up()
        lab.seed(SEEDED)
        _shared.append(lab)
        yield lab
    finally:
        lab.down(delete=True)


_shared: list[Lab] = []


@pytest.fixture(scope="module", autouse=True)
def orders_put_right() -> Iterator[None]:
    """What a file of tests did to the number of orders is undone before the next."""
    yield
    for lab in _shared:
        if all(lab.running().values()) and lab.rows() != SEEDED:
            lab.seed(SEEDED)


def settings_of(lab: Lab, **changes: str) -> ScraperSettings:
    return ScraperSettings.load(**{name.lower(): value for name, value in lab.settings().items()} | changes)


@pytest.fixture(scope="session")
def session(lab: Lab) -> Session:
    """A real login by Selenium and Chrome, shared because it takes seconds."""
    return log_in(settings_of(lab))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium under Playwright, which keeps an event loop running: no longer than a file needs it."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser without tabs, cookies and files of other tests: open tabs would go on working through the next ones."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory, with its own DATA_DIR."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    return tmp_path


@pytest.fixture
def store(here: Path) -> Iterator[LocalStore]:
    store = LocalStore(here / "cache")
    yield store
    store.close()


@pytest.fixture
def settings(lab: Lab, here: Path) -> ScraperSettings:
    """The lab's login, for its orders."""
    return settings_of(lab)


@pytest.fixture
def copies(lab: Lab, store: LocalStore, session: Session, settings: ScraperSettings) -> Iterator[Copies]:
    """Tables of the lab, and their copies in `store`."""
    copies = Copies(lab, store, session, settings)
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
    """The environment of a process that works for `store`; keyword arguments are further settings."""

    def environment(**settings: str) -> dict[str, str]:
        ours = {
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(here / "var"),
            "CACHE_URL": f"file:{here / 'cache'}",
            "PYTHONUNBUFFERED": "1",
        }
        return {**os.environ, **ours, **lab.settings(), **settings}

    return environment


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed statements are tried again as often as ever, but at once."""
    monkeypatch.setattr("scraper.client.retry.PAUSES", (0, 0, 0))
