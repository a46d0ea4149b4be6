"""Chrome logs in through the real form and is gone; what stands in its way is told apart, and no secret leaks."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from copies import Copies
from lab_fixtures import lasting_session, settings_of
from long_cases import soak_but
from pydantic import SecretStr

from cache.storage.store import Cache
from lab import Lab
from scraper.client.session import Session
from scraper.errors import LoginRefused, NotPhpMyAdmin, Unreachable
from scraper.login.login import log_in
from scraper.processes import still_running
from scraper.settings import ScraperSettings

Environment = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def session(lab: Lab) -> Session:
    """A login by Selenium and Chrome."""
    return lasting_session(settings_of(lab, phpmyadmin_login="browser"))


WRONG = "wr0ng-passw0rd<&\"'"


def browsers() -> list[psutil.Process]:
    """Chrome and its driver, as far as this process started them."""
    return [p for p in psutil.Process().children(recursive=True) if "chrom" in p.name()]


def test_it_works(session: Session, copies: Copies) -> None:
    assert re.match(r"\d+\.\d+", session.version)
    assert {"phpMyAdmin", "pmaAuth-1"} <= {name for name, _ in session.cookies}
    assert session.export_url.startswith(copies.lab.url)
    assert "Chrome" in session.user_agent
    assert session.token
    assert browsers() == []


@pytest.mark.soak
def test_chromium_with_windows_logs_in_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.login.chrome.BROWSERS", ("chromium",))
    session = lasting_session(settings_of(lab, phpmyadmin_login="browser"))
    assert {"phpMyAdmin", "pmaAuth-1"} <= {name for name, _ in session.cookies}
    assert browsers() == []


def test_a_wrong_password_is_refused_once_and_shown_nowhere(
    lab: Lab, cache: Cache, here: Path, child_environment: Environment
) -> None:
    with TemporaryDirectory() as temporary:  # Chrome wants a short name
        environment = child_environment(PHPMYADMIN_PASSWORD=WRONG, TMPDIR=temporary)
        command = [sys.executable, "-m", "scraper", "sync"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert list(Path(temporary).iterdir()) == []
    assert done.returncode == 1
    last = cache.status().last
    assert last is not None
    assert last.error is not None
    assert (last.outcome, last.error.code, last.error.transient) == ("failed", "login_refused", False)
    assert "Access denied" in last.error.message
    assert sorted(path.suffix for path in (here / "var" / "diagnostics").iterdir()) == [".html", ".png"]
    page = next((here / "var" / "diagnostics").glob("*.html")).read_text()
    assert "Access denied" in page
    assert set(re.findall(r'name="(?:token|set_session)"[^>]* value="([^"]*)"', page)) == {"[removed]"}
    written = [path.read_bytes() for path in here.rglob("*") if path.is_file()]
    for secret in (WRONG, "wr0ng-passw0rd", lab.settings()["PHPMYADMIN_PASSWORD"]):
        assert not any(secret.encode() in data for data in (*written, done.stdout, done.stderr))


@pytest.mark.soak
def test_chrome_starts_also_where_the_temporary_folder_has_a_long_name(
    cache: Cache, here: Path, child_environment: Environment
) -> None:
    temporary = here / ("long" * 20)
    temporary.mkdir()
    command = [sys.executable, "-m", "scraper", "sync"]
    subprocess.run(command, env=child_environment(TMPDIR=str(temporary)), check=True)
    assert cache.status().head is not None
    assert list(temporary.iterdir()) == []


def test_no_secret_of_a_session_reaches_the_log_or_the_cache(
    copies: Copies, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    copies.sync()
    copies.sync("no_such_table")
    secrets = [copies.session.token, copies.settings.phpmyadmin_password.get_secret_value()]
    secrets += [
        value for name, value in copies.session.cookies if name.startswith(("phpMyAdmin", "pmaAuth", "pmaUser"))
    ]
    written = [path.read_bytes() for path in here.rglob("*") if path.is_file()]
    for secret in secrets:
        assert secret not in caplog.text
        assert secret not in repr(copies.session)
        assert not any(secret.encode() in data for data in written)
    assert "phase=rows" in caplog.text


def test_a_page_that_is_no_phpmyadmin_is_said_so(settings: ScraperSettings) -> None:
    with pytest.raises(NotPhpMyAdmin, match="answers 404"):
        log_in(settings.model_copy(update={"phpmyadmin_url": settings.phpmyadmin_url + "js/"}))
    assert browsers() == []


def test_a_server_that_is_down_is_unreachable(settings: ScraperSettings) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(Unreachable, match="nothing listens at that port"):
            log_in(settings.model_copy(update={"phpmyadmin_url": url}))
    assert browsers() == []


def test_a_database_that_is_down_is_no_refused_login(lab: Lab, settings: ScraperSettings) -> None:
    lab.stop_database()
    try:
        with pytest.raises(Unreachable, match="cannot connect to its database") as caught:
            log_in(settings)
    finally:
        lab.start_database()
    assert caught.value.transient


def test_an_empty_password_is_refused_in_phpmyadmins_words(settings: ScraperSettings) -> None:
    with pytest.raises(LoginRefused, match="without a password is forbidden"):
        log_in(settings.model_copy(update={"phpmyadmin_password": SecretStr("")}))


# -- Chrome dies


@pytest.mark.parametrize("victim", soak_but(("chromium", "sync"), ["chromedriver", "chromium", "sync"]))
def test_a_kill_in_the_middle_of_a_login_leaves_no_process_behind(
    cache: Cache, child_environment: Environment, victim: str
) -> None:
    # A short name for the temporary folder: Chrome makes a socket in it, whose name may have 107 characters.
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, TemporaryDirectory() as temporary:
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        environment = child_environment(PHPMYADMIN_URL=url, TMPDIR=temporary)
        sync = subprocess.Popen([sys.executable, "-m", "scraper", "sync"], env=environment)
        with sync, silent.accept()[0]:  # Chrome waits for the login page
            family = psutil.Process(sync.pid).children(recursive=True)
            victims = [process.pid for process in family if Path(process.exe()).name.startswith(victim)]
            os.kill(sync.pid if victim == "sync" else victims[0], signal.SIGKILL)
            sync.wait(60)
        assert len(family) > 3
        assert still_running(family, 20) == []
        if victim != "sync":
            assert list(Path(temporary).glob("phpmyadmin-orders-*")) == []
    with cache.sync_lock():  # free, and what the killed sync left is recovered
        pass
    last = cache.status().last
    assert last is not None
    assert last.error is not None
    assert last.error.code == ("sync_died" if victim == "sync" else "browser_failed")
