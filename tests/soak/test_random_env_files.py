"""500 random `.env` files: `doctor` logs in with the password that is written there, or says what is wrong.

`ENV_FILES_SEED=…` runs the files of a failure again.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_phpmyadmin import HostilePhpMyAdmin, hostile_phpmyadmin
from paths import ROOT
from random_env_files import CANARY, NAME, RandomFile, random_file

from scraper.__main__ import main

pytestmark = pytest.mark.soak

SEED = int(os.environ.get("ENV_FILES_SEED") or random.randrange(1 << 30))
FILES, PROCESSES = 500, 60
SECONDS = 60
LIBRARIES = re.compile(r"Traceback|Errno|\w+Error\b|Exception|Value error|Input should|codec|pydantic|Invalid IPv6")


@pytest.fixture(scope="module")
def site() -> Iterator[HostilePhpMyAdmin]:
    with hostile_phpmyadmin() as site:
        yield site


def files(site: HostilePhpMyAdmin, folder: Path, times: int) -> Iterator[RandomFile]:
    """Random files, each of which is the `.env` file while it is looked at."""
    chance = random.Random(SEED)
    login = {
        "PHPMYADMIN_URL": site.url,
        "PHPMYADMIN_USERNAME": "reader",
        "PHPMYADMIN_DATABASE": "shop",
        "PHPMYADMIN_LOGIN": "http",
    }
    for _ in range(times):
        file = random_file(chance, login)
        (folder / "shop.env").write_bytes(file.content)
        site.passwords.clear()
        yield file


def check(site: HostilePhpMyAdmin, file: RandomFile, is_fine: bool, said: str, warned: bool = False) -> None:
    """Checks what a run said about a file, and which password it sent. A sync only warns of a misspelt name."""
    where = (SEED, file, said)
    assert not LIBRARIES.search(said), where
    assert CANARY not in said, where
    assert file.password not in said, where
    cut = f"line {file.password_line}: " in said and NAME in said
    if file.said:
        assert not is_fine or (warned and file.kind == "misspelt"), where
        assert cut or re.search(file.said, said), where
    else:
        assert is_fine or cut, where
    assert set(site.passwords) <= {file.password}, where
    assert not is_fine or site.passwords, where


@pytest.mark.timeout(3600)
def test_doctor_reads_or_refuses_500_random_files(
    site: HostilePhpMyAdmin, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENV_FILE", str(here / "shop.env"))
    for file in files(site, here, FILES):
        code = main(["doctor", "--json"])
        out, err = capsys.readouterr()
        findings = json.loads(out)["findings"]
        failed = [finding for finding in findings if not finding["fine"]]
        assert all(finding["advice"].endswith(".") for finding in failed), (SEED, file, failed)
        assert code == bool(failed)
        check(site, file, not code, " ".join(f"{each['what']} {each['advice']}" for each in failed) + err)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", ["scraper doctor --json", "scraper sync", "api key", "cache info"])
def test_each_command_ends_with_a_sentence_for_random_files(site: HostilePhpMyAdmin, here: Path, command: str) -> None:
    run = commands(here)
    for file in files(site, here, PROCESSES // 4):
        code, said = run(command)
        assert code in (0, 1, 2), (SEED, file, said)
        if command.startswith("scraper"):
            check(site, file, not code, said, warned=command == "scraper sync")
        else:  # these read no login
            assert not LIBRARIES.search(said), (SEED, file, said)
            assert file.password not in said, (SEED, file, said)


def commands(folder: Path) -> Callable[[str], tuple[int, str]]:
    """Runs a command, and returns its exit code and what it printed; `api key` prints a key on standard output."""
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT), "ENV_FILE": str(folder / "shop.env")}

    def run(command: str) -> tuple[int, str]:
        arguments = [sys.executable, "-m", *command.split()]
        ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
        return ended.returncode, ended.stderr if command == "api key" else ended.stdout + ended.stderr

    return run
