"""The lab says what is missing and how to get it."""

import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from cache.errors import SettingsInvalid
from lab import Lab, LabError, clients, demo, servers
from lab.servers import free_port
from scraper.settings import ScraperSettings
from tools import check_machine


def test_without_a_lab_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="python -m lab up"):
        Lab(tmp_path).settings()


def test_missing_packages_are_named_with_the_command_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="apt-get install --no-install-recommends no-such-package"):
        servers.install()


def test_a_port_that_another_process_has_drawn_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server may not have started yet, and the first to listen would answer for both."""
    program = "from lab.servers import free_port; print(free_port(), flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        port = int(other.stdout.readline())
        monkeypatch.setattr(random.SystemRandom, "sample", lambda *_: [port])
        with pytest.raises(LabError, match="No free port"):
            free_port()
        other.communicate("\n")
    assert free_port() == port


def test_the_demo_leaves_the_settings_of_the_user_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").write_text("PHPMYADMIN_SERVER=2\nDASHBOARD_PORT=1\n")
    for name, value in {
        "ENV_FILE": str(here / ".env"),
        "PHPMYADMIN_SERVER": "2",
        "PHPMYADMIN_PASSWORD_FILE": "/nowhere",
        "CACHE_URL": "postgresql://db/orders",
        "API_PORT": "5080",
        "ORDERS_API_KEY": "mine",
    }.items():
        monkeypatch.setenv(name, value)
    demo.forget_settings()
    settings = ScraperSettings.load(phpmyadmin_url="http://127.0.0.1/", phpmyadmin_database="shop")
    assert (settings.phpmyadmin_server, settings.phpmyadmin_password) == (None, None)
    assert settings.cache_url.get_secret_value().startswith("file:")
    assert (settings.api_port, settings.dashboard_port, settings.set_api_key) == (
        5080,
        8501,
        ("ORDERS_API_KEY", "mine"),
    )


@pytest.mark.parametrize("name", ["API_PORT", "DASHBOARD_PORT"])
def test_the_demo_looks_at_its_ports_before_it_installs(here: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(demo, "install", lambda *_: pytest.fail("it installs"))
    for each in ("API_PORT", "DASHBOARD_PORT"):
        monkeypatch.setenv(each, "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv(name, str(taken.getsockname()[1]))
        assert name in check_machine.taken()
        with pytest.raises(SettingsInvalid, match=name):
            demo.demo(Lab(here))


def test_clients_that_are_missing_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "FOLDER", tmp_path)
    with pytest.raises(LabError, match="python -m lab install clients"):
        clients.check_clients()
