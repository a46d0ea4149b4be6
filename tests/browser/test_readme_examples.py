"""The examples of README.md and docs/api.md are run as they stand, against a running sidecar."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cache_factory import publish
from paths import ROOT
from playwright.sync_api import Browser, ConsoleMessage
from sidecar_process import KEY, Sidecar, answering, sidecar

SECTIONS = {"README.md": "## Use the API", "docs/api.md": "## Clients"}
ADDRESS = "http://127.0.0.1:5000"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 7, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        (running.folder / "var").mkdir(exist_ok=True)
        (running.folder / "var" / "api_key").write_text(KEY + "\n")
        yield running


def example(file: str, language: str, api: Sidecar) -> str:
    """The one block in this language of the file's section on the API, with the address of the test's sidecar."""
    _, found, section = (ROOT / file).read_text(encoding="utf-8").partition(f"\n{SECTIONS[file]}\n")
    assert found, f"{file} has the section {SECTIONS[file]}"
    section = section.partition("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert ADDRESS in block
    return str(block).replace(ADDRESS, api.url)


def run(command: list[str | Path], api: Sidecar) -> list[str]:
    environment = {**os.environ, "SHOPIFY_API_KEY": KEY, "NO_PROXY": "*"}
    ended = subprocess.run(
        command, cwd=api.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def in_browser(browser: Browser, script: str) -> list[str]:
    """What a page of another origin says to its console when it runs the script; a prompt is answered by the key."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page = browser.new_page()
    page.on("console", hear)
    page.on("dialog", lambda dialog: dialog.accept(KEY))
    page.evaluate(f"(async () => {{ {script} }})()")
    page.close()
    return said


def test_the_readme_browser_example_gets_the_rows(api: Sidecar, browser: Browser) -> None:
    said = in_browser(browser, example("README.md", "javascript", api))
    assert said == ["7 orders, last verified Mon Dec 29 10:25:00 2025"]


@pytest.mark.parametrize("language", ["python", "javascript", "js"])
def test_the_other_clients_of_the_docs_work(api: Sidecar, browser: Browser, language: str) -> None:
    script = example("docs/api.md", language, api)
    with answering(api.cache, rows=7):
        match language:
            case "python":
                said = run([sys.executable, "-c", script], api)
            case "javascript":
                said = in_browser(browser, script)
            case _:
                (api.folder / "orders.mjs").write_text(script, encoding="utf-8")
                said = run(["node", "orders.mjs"], api)
    assert said[0].startswith("7 orders")
    kinds = [line.split()[0] for line in said]
    assert kinds.index("cached") < kinds.index("updated") < kinds.index("done")
    assert kinds.count("error") == 0
    assert any("minutes old" in line for line in said)
    assert said[-1].endswith("healthy")
