"""Whatever a server sends at any step of a sync: a sentence, little memory, and no password for another host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hostile_phpmyadmin import CASES, SECRET, SLOW, HostilePhpMyAdmin, hostile_phpmyadmin, settings_for
from long_cases import every_second
from paths import ROOT
from sync_process import SyncProcess, sync_process

from cache.cache_place import CachePlace
from cache.storage.backends import open_cache

pytestmark = pytest.mark.slow

MOST_MEGABYTES = 300


@pytest.fixture(scope="module")
def site() -> Iterator[HostilePhpMyAdmin]:
    with hostile_phpmyadmin() as site:
        yield site


@pytest.fixture(scope="module")
def syncs() -> Iterator[SyncProcess]:
    with sync_process() as process:
        yield process


def test_the_server_of_these_tests_is_one_that_can_be_copied(site: HostilePhpMyAdmin, syncs: SyncProcess) -> None:
    site.step = ""
    assert syncs.sync(settings_for(site))[:3] == ("published", "", "")


@pytest.mark.parametrize(("step", "kind"), every_second(CASES))
def test_any_answer_at_any_step_ends_in_a_sentence(
    site: HostilePhpMyAdmin, syncs: SyncProcess, step: str, kind: str
) -> None:
    site.step, site.kind = step, kind
    outcome, code, text, megabytes = syncs.sync(settings_for(site))
    assert outcome == "failed"
    assert code not in ("", "scrape_error")
    assert text.endswith(".")
    assert text.isprintable()
    assert SECRET not in text
    assert SECRET not in str(site.stolen)
    assert megabytes < MOST_MEGABYTES


def test_an_answer_that_takes_too_long_ends_in_a_sentence(site: HostilePhpMyAdmin, here: Path) -> None:
    """The time limit ends the whole process, so this sync has one of its own."""
    site.step, site.kind = "columns", SLOW
    settings = {name.upper(): value for name, value in settings_for(site).items()}
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT), "SYNC_TIMEOUT_MINUTES": "0.02"}
    command = [sys.executable, "-m", "scraper", "sync"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "The sync did not end within 0.02 minutes. Raise SYNC_TIMEOUT_MINUTES" in ended.stderr
    with closing(open_cache(CachePlace.of_files(here / "var/cache", here / "var/kept"))) as cache:
        (run,) = cache.runs.recent(1)
    assert run.error is not None
    assert run.error.code == "sync_timed_out"
