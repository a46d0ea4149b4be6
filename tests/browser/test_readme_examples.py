"""The examples of README.md and docs/clients.md are run as they stand, against a running sidecar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cache_factory import publish
from doc_examples import example, run_example
from playwright.sync_api import Browser, ConsoleMessage
from sidecar_process import KEY, Sidecar, answering, sidecar


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 7, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        (running.folder / "var").mkdir(exist_ok=True)
        (running.folder / "var" / "api_key").write_text(KEY + "\n")
        yield running


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
    script = example("docs/clients.md", language, api)
    with answering(api.cache, rows=7):
        match language:
            case "python":
                said = run_example([sys.executable, "-c", script], api)
            case "javascript":
                said = in_browser(browser, script)
            case _:
                (api.folder / "orders.mjs").write_text(script, encoding="utf-8")
                said = run_example(["node", "orders.mjs"], api)
    assert said[0].startswith("7 orders")
    kinds = [line.split()[0] for line in said]
    assert kinds.index("cached") < kinds.index("updated") < kinds.index("done")
    assert kinds.count("error") == 0
    assert any("minutes old" in line for line in said)
    assert said[-1].endswith("healthy")
