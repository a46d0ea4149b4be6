"""The examples of README.md and docs/clients.md are run as they stand, against a running sidecar."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cache_factory import confirm, publish
from doc_examples import example, run_example
from paths import ROOT
from sidecar_process import KEY, Sidecar, sidecar, worker


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        publish(running.cache, 7, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        (running.folder / "var").mkdir(exist_ok=True)
        (running.folder / "var" / "api_key").write_text(KEY + "\n")
        yield running


def run(command: list[str | Path], api: Sidecar) -> list[str]:
    return run_example(command, api, DATA_DIR=str(api.folder / "var"), PYTHONPATH=str(ROOT))


def is_rows(line: str) -> bool:
    body = json.loads(line)
    return (body["status"], body["count"], len(body["data"])) == ("success", 7, 7)


@pytest.mark.slow
def test_the_readme_curl_example_gets_the_rows(api: Sidecar) -> None:
    (line,) = run(["bash", "-euc", example("README.md", "bash", api)], api)
    assert is_rows(line)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["README.md", "docs/clients.md"])
def test_the_curl_examples_find_the_key_wherever_it_is(api: Sidecar, file: str) -> None:
    bash = "\n".join(
        line for line in example(file, "bash", api).splitlines() if "POST" not in line and "-N" not in line
    )
    kept, env_file = api.folder / "var" / "api_key", api.folder / ".env"
    first = run(["bash", "-euc", f"unset ORDERS_API_KEY\n{bash}"], api)[0]
    kept.write_text("a-key-that-another-start-made\n")
    env_file.write_text(f"ORDERS_API_KEY={KEY}\n")
    second = run(["bash", "-euc", f"unset ORDERS_API_KEY\nexport ENV_FILE={env_file}\n{bash}"], api)[0]
    assert first.startswith('{"status": "success", "count": 7,')
    assert second.startswith('{"status": "success", "count": 7,')


def test_the_readme_python_example_gets_the_rows(api: Sidecar) -> None:
    said = run([sys.executable, "-c", example("README.md", "python", api)], api)
    assert said == ["7 orders, last verified Mon Dec 29 10:25:00 2025"]


@pytest.mark.slow
def test_the_curl_client_of_the_docs_works(api: Sidecar) -> None:
    script = example("docs/clients.md", "bash", api).replace("\ncurl ", "\ncurl --silent --write-out '\\n' ")
    confirm(api.cache)
    with worker(api.cache):
        said = run(["bash", "-euc", script], api)
    bodies = [json.loads(line) for line in said if line.startswith("{")]
    assert is_rows(json.dumps(bodies[0]))
    assert "_info" in bodies[1]
    assert 'data: {"type": "done"}' in said
    assert bodies[2]["status"] in ("triggered", "in_progress")
    assert [body.get("status", body.get("api_status")) for body in bodies[3:]] == ["online", "healthy", "ready"]
