"""Python older than 3.11 is told so in one sentence, by `make` and by each file that is started."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys

import pytest
from paths import ROOT

SCRIPTS = ("serve.py", "api_sidecar.py", "streamlit_app.py", "one_port.py")
PACKAGES = ("scraper", "api", "cache", "dashboard", "lab", "tools.check_machine")
OLD = "import runpy, sys; sys.version_info = (3, 8, 10, 'final', 0); sys.argv = ['x']; runpy."


@pytest.mark.parametrize("entry", [*SCRIPTS, *PACKAGES])
def test_an_old_python_is_told_so_in_one_sentence(entry: str) -> None:
    call = f"run_path({entry!r}" if entry in SCRIPTS else f"run_module({entry!r}"
    program = f"{OLD}{call}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"Python 3.11 or later is needed, and {sys.executable} is Python 3.8.\n",
    )


@pytest.mark.parametrize(
    "file", [*SCRIPTS, "tools/check_machine.py", *(f"{name}/__init__.py" for name in PACKAGES[:-1])]
)
def test_an_old_python_can_read_what_comes_first(file: str) -> None:
    parsed = ast.parse((ROOT / file).read_text(encoding="utf-8"), feature_version=(3, 8))  # or SyntaxError
    assert parsed.body


def test_make_checks_python_and_ports_before_it_installs() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo", "PYTHON=old-python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    checks = [planned.index(f"old-python -m tools.check_machine{of}") for of in (" demo", "")]
    assert max(checks) < min(i for i, line in enumerate(planned) if "-m venv" in line or "pip install" in line)


@pytest.mark.parametrize("port", ["0", "taken"])
def test_the_check_of_ports_ends_with_a_sentence_or_silently(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = str(taken.getsockname()[1]) if port == "taken" else port
        done = subprocess.run(
            [sys.executable, "-S", "-m", "tools.check_machine", "demo"],
            cwd=ROOT,
            env={**os.environ, "API_PORT": given, "DASHBOARD_PORT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    said = f"API_PORT={given} is used by another program. Stop it, or run: API_PORT=5080 make demo\n"
    assert (done.returncode, done.stderr) == ((1, said) if port == "taken" else (0, ""))
