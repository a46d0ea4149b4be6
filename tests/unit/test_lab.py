"""The lab says what is missing and how to get it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from lab import Lab, LabError, servers
from lab.servers import free_port


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
