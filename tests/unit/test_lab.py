"""The lab says what is missing and how to get it."""

import os
from pathlib import Path

import pytest

from lab import Lab, LabError, servers


def test_without_a_lab_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="python -m lab up"):
        Lab(tmp_path).settings()


def test_missing_packages_are_named_with_the_command_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="apt-get install --no-install-recommends no-such-package"):
        servers.install()
