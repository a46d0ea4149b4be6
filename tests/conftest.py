"""What all tests share: an environment without settings, an empty cache, and the markers that say what a test needs.

The fixtures of the real servers are in `lab_fixtures.py` and `browser_fixtures.py`. These load Selenium and Playwright
when the first test asks for them.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import hypothesis
import pytest

from scraper.settings import ScraperSettings

if TYPE_CHECKING:
    from cache.storage.store import Cache

pytest_plugins = ("fronts", "lab_fixtures", "browser_fixtures", "suite_rules")

hypothesis.settings.register_profile("suite", deadline=None)  # an example may take long on a busy machine
hypothesis.settings.load_profile("suite")

# httpx2 gives up after five seconds unless it is told otherwise: less than a busy machine may take for a first answer.
_httpx2_default: httpx2.Timeout = inspect.signature(httpx2.get).parameters["timeout"].default
_httpx2_default.connect = _httpx2_default.read = _httpx2_default.write = _httpx2_default.pool = 60

_OURS = ("PORT", "JOURNAL_STREAM", "STREAMLIT_", "ENV_FILE", *(name.upper() for name in ScraperSettings.model_fields))


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    """Hide the settings of this machine from tests and from the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_OURS)]:
            patch.delenv(name)
        patch.setenv("ENV_FILE", os.devnull)
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory, with its own DATA_DIR."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    return tmp_path


@pytest.fixture
def cache(here: Path) -> Iterator[Cache]:
    """An empty cache in `here`."""
    from cache.cache_place import CachePlace
    from cache.storage.backends import open_cache

    cache = open_cache(CachePlace.of_files(here / "cache", here / "var/kept"))
    yield cache
    cache.close()


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """Undo what a command of the product does that a test runs in this process: it makes all new files private."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry failed statements as often as the product does, but without its pauses."""
    monkeypatch.setattr("scraper.client.exporter.PAUSES", (0, 0, 0))
