"""Temporary folders of processes that were killed are removed by the next one; those of living ones stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from cache.temporary_folders import make_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def folder_of(pid: object, temporary: Path, name: str = "chrome-x") -> Path:
    folder = temporary / f"phpmyadmin-orders-{pid}-{name}"
    (folder / "inside").mkdir(parents=True)
    return folder


def test_the_folder_of_a_killed_process_is_removed_by_the_next_one(temporary: Path) -> None:
    program = """if True:
        import os, signal
        from cache.temporary_folders import make_folder
        (make_folder("chrome") / "file").write_text("left")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=False)
    (left,) = temporary.iterdir()
    mine = make_folder("export")
    assert not left.exists()
    assert list(temporary.iterdir()) == [mine]
    assert f"-{os.getpid()}-export-" in mine.name


def test_the_folder_of_a_living_process_stays(temporary: Path) -> None:
    folders = [folder_of(os.getpid(), temporary), folder_of(os.getppid(), temporary)]
    make_folder("chrome")
    assert all(folder.exists() for folder in folders)


def test_a_folder_that_is_older_than_its_process_is_of_a_dead_one(temporary: Path) -> None:
    """Ids of processes are used again, in a container from the first start on."""
    folder = folder_of(os.getpid(), temporary)
    os.utime(folder, (1_000_000_000, 1_000_000_000))
    make_folder("chrome")
    assert not folder.exists()


def test_a_folder_for_a_socket_has_a_short_path(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = temporary / "s"
    short.mkdir()
    monkeypatch.setattr("cache.temporary_folders.SHORT", short)
    left = folder_of(2**22 + 1, short)  # no process has such an id
    longest = len(str(temporary)) + 30
    assert make_folder("a", longest + 30).parent == temporary
    assert make_folder("a", len(str(temporary))).parent == short
    assert not left.exists()


def test_folders_with_other_names_stay(temporary: Path) -> None:
    others = [folder_of("notes", temporary), temporary / "phpmyadmin-orders", temporary / "someone-elses-999999-x"]
    for other in others[1:]:
        other.mkdir()
    make_folder("chrome")
    assert all(other.exists() for other in others)
