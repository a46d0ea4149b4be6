"""The examples of README.md and docs/clients.md, as tests run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from paths import ROOT
from sidecar_process import KEY, Sidecar

_ADDRESS = "http://127.0.0.1:5000"
_SECTIONS = {"README.md": "## Use the API"}  # of docs/clients.md, the whole


def example(file: str, language: str, api: Sidecar) -> str:
    """The one block in this language of the file's section on the API, with the address of the test's sidecar."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if file in _SECTIONS:
        text = text.partition(f"\n{_SECTIONS[file]}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert _ADDRESS in block
    return str(block).replace(_ADDRESS, api.url).replace(".venv/bin/python", sys.executable)


def run_example(command: list[str | Path], api: Sidecar, **variables: str) -> list[str]:
    """The lines that a program prints, which has the key in its environment."""
    environment = {**os.environ, "ORDERS_API_KEY": KEY, "NO_PROXY": "*", **variables}
    ended = subprocess.run(
        command, cwd=api.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()
