"""Clients of the API that the long tests run: Python, npm and Debian packages in `var/clients`, by locked lists."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from cache.settings import from_checkout
from lab.servers import LabError, install

_LISTS = Path(__file__).parent
_PYTHON, *_NODE = ("requirements.txt", "package.json", "package-lock.json")
FOLDER = from_checkout("var/clients")
PYTHON = FOLDER / "python" / "bin"
NODE_MODULES = FOLDER / "node_modules"
OKHTTP = NODE_MODULES / "allure-commandline/dist/plugins/jira-plugin/lib"
KOTLIN = NODE_MODULES / "kotlin-compiler/lib"
JSON_JAR = Path("/usr/share/java/json-android.jar")

_DEBIAN = (
    "curl",
    "libandroid-json-org-java",
    "php-cli",
    "php-curl",
    "r-base-core",
    "r-cran-httr2",
    "r-cran-jsonlite",
    "wget",
)
# These are often installed from elsewhere than Debian.
_PROGRAMS = {"node": "nodejs", "npm": "npm", "javac": "default-jdk-headless"}


def install_clients() -> None:
    """Install what is missing or of another version than the lists say.

    Raises:
        LabError: It cannot be installed; the message says why.
    """
    install(*_DEBIAN, *(package for program, package in _PROGRAMS.items() if not shutil.which(program)))
    if _stamp().exists():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in _NODE:
        shutil.copy(_LISTS / name, FOLDER)
    _run(sys.executable, "-m", "venv", str(FOLDER / "python"))
    _run(str(PYTHON / "pip"), "install", "--quiet", "--require-hashes", "-r", str(_LISTS / _PYTHON))
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    _stamp().touch()


def check_clients() -> None:
    """Check that all clients are there.

    Raises:
        LabError: They are not.
    """
    if not _stamp().exists():
        raise LabError("The clients are missing, or older than the lists. Run: python -m lab install clients")


def _stamp() -> Path:
    """The file that is there once what the lists say is installed."""
    lists = b"".join((_LISTS / name).read_bytes() for name in (_PYTHON, *_NODE))
    return FOLDER / f"installed-{hashlib.sha256(lists).hexdigest()[:16]}"


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr).strip()[-800:]}")
