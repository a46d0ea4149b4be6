"""Child processes that need no settings get none; and no sandbox of Chrome is given up where there could be one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cache_factory import publish
from paths import ROOT

from cache.cache_place import CachePlace
from cache.child_environment import child_environment
from cache.export.pool import ScanPool
from cache.machine import sandbox
from cache.storage.store import Cache
from scraper import doctor
from scraper.settings import ScraperSettings

SECRET = "hunter2-in-a-test"
SETTINGS = [name.upper() for name in ScraperSettings.model_fields]


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting, and some variables that platforms set, hold a secret."""
    for name in (*SETTINGS, "PHPMYADMIN_PASSWORD_FILE", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "HTTPS_PROXY"):
        monkeypatch.setenv(name, SECRET)


@pytest.mark.usefixtures("secrets")
def test_children_get_what_programs_need_and_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = child_environment(TMPDIR="/elsewhere")
    assert {"PATH", "LC_ALL"} <= environment.keys()
    assert environment["TMPDIR"] == "/elsewhere"
    assert SECRET not in str(environment)


def test_the_process_of_exports_holds_no_secret(cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(cache, 10)
    monkeypatch.setenv("PHPMYADMIN_PASSWORD", SECRET)

    async def environment_of_a_worker() -> dict[str, str]:
        before = set(psutil.Process().children())
        pool = ScanPool(CachePlace.of_files(here / "cache", here / "var/kept"))
        try:
            async with pool._processes.take(pool._export_slots, "key", 10):
                (worker,) = set(psutil.Process().children()) - before
                return worker.environ()
        finally:
            await pool.close()

    environment = asyncio.run(environment_of_a_worker())
    assert "PATH" in environment
    assert SECRET not in str(environment)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["api_sidecar", "streamlit_app"])
def test_readers_do_not_load_the_settings_of_the_scraper(script: str) -> None:
    program = f"import sys, {script}, scraper.scheduler; print('scraper.settings' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.split() == ["False"]


# -- the sandbox


@pytest.fixture(autouse=True)
def not_cached() -> Iterator[None]:
    sandbox.missing_sandbox.cache_clear()
    yield
    sandbox.missing_sandbox.cache_clear()


def test_chrome_has_no_sandbox_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert sandbox.missing_sandbox() == "this process runs as root"


@pytest.mark.parametrize(
    ("does", "missing"), [("exit 0", None), ("exit 1", "this user may not create user namespaces")]
)
def test_chrome_has_its_sandbox_where_users_may_create_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, missing: str | None
) -> None:
    (tmp_path / "unshare").write_text(f"#!/bin/sh\n{does}\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert sandbox.missing_sandbox() == missing


def test_a_sandbox_needs_no_user_namespaces_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.platform", "darwin")
    assert sandbox.missing_sandbox() is None


def test_doctor_says_why_chrome_has_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chromium", "chromedriver", "unshare"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for user, what in ((0, "without its sandbox: this process runs as root"), (1000, "in its sandbox")):
        sandbox.missing_sandbox.cache_clear()
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        *_, finding = doctor._chrome(proxied=False)
        assert what in finding.what
        assert bool(finding.advice) == (user == 0)
