"""Files of the product are their owner's alone, whatever the umask of the shell that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import cache_in, publish
from paths import ROOT
from waiting import wait_for

from cache.private_files import open_to_others
from cache.settings import Settings
from lab.servers import free_port
from scraper import doctor

CSV = '"id","name"\n"1","a"\n"2","b"\n'


def environment(here: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATA_DIR": str(here / "var"),
        "PHPMYADMIN_URL": "http://127.0.0.1:9/",
        "PHPMYADMIN_USERNAME": "shop",
        "PHPMYADMIN_PASSWORD": "secret",
        "PHPMYADMIN_DATABASE": "shop",
        "PHPMYADMIN_TABLE": "orders",
        "PHPMYADMIN_LOGIN": "http",
    }


def run(here: Path, *command: str) -> None:
    """Runs a command under a umask that takes nothing away."""
    command = (sys.executable, "-m", *command)
    subprocess.run(command, cwd=ROOT, env=environment(here), umask=0, timeout=60, capture_output=True, check=False)


@pytest.mark.slow
def test_only_the_owner_may_read_what_is_written(here: Path) -> None:
    (here / "orders.csv").write_text(CSV)
    run(here, "scraper", "import", str(here / "orders.csv"))
    run(here, "api", "keys", "add", "shop")
    written = list((here / "var").rglob("*"))
    names = {path.name for path in written}
    assert {
        "current.json",
        "rows.json",
        "journal.sqlite",
        "clients.json",
        "cache_folder.txt",
        "0000000001.json",
    } <= names
    modes = {path: path.stat().st_mode & 0o777 for path in (here / "var", *written)}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


@pytest.mark.slow
@pytest.mark.parametrize("program", ["api_sidecar.py", "streamlit_app.py", "serve.py"])
def test_each_server_creates_private_files(here: Path, program: str) -> None:
    ports = {"API_PORT": str(free_port()), "DASHBOARD_PORT": str(free_port()), "SCHEDULER": "off"}
    silent = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, program], cwd=ROOT, env=environment(here) | ports, umask=0, stdout=silent, stderr=silent
    )
    try:
        status = Path(f"/proc/{process.pid}/status")
        wait_for(lambda: "Umask:\t0077\n" in status.read_text())
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)


def test_the_cache_is_private_although_its_process_is_not(here: Path) -> None:
    before = os.umask(0)
    try:
        cache = cache_in(here)
        publish(cache, 3)
        cache.close()
    finally:
        os.umask(before)
    for folder in (here / "cache", here / "var/kept"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert open_to_others((here / "cache").rglob("*")) == []
    for file in (here / "cache/current.json", here / "cache/generations/0000000001.json"):
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other users may enter. The folders of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("folder", "file", "found"), [(0o755, 0o644, True), (0o700, 0o644, False), (0o755, 0o600, False)]
)
def test_a_path_is_open_only_if_others_can_get_there(shared: Path, folder: int, file: int, found: bool) -> None:
    path = shared / "inner/rows.json"
    path.parent.mkdir()
    path.touch()
    path.chmod(file)
    path.parent.chmod(folder)
    assert open_to_others([path, shared / "missing"]) == ([path] if found else [])


def test_doctor_warns_of_what_others_may_read(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(shared))
    monkeypatch.setenv("ENV_FILE", str(shared / "shop env"))
    (shared / "shop env").write_text("")
    cache_in(shared).close()
    settings = Settings.load(data_dir=shared)
    (shared / "shop env").chmod(0o600)
    assert doctor.permissions(settings).advice == ""
    (shared / "shop env").chmod(0o640)
    settings.kept_dir.mkdir()
    settings.kept_dir.chmod(0o755)
    finding = doctor.permissions(settings)
    assert finding.fine
    assert finding.advice == f"Run `chmod -R go= '{shared}/shop env' {shared}/kept`."
