"""Clients that people use read the live API: each gets every name, whatever its format and its characters.

`python -m lab install clients` installs them. A client that is missing fails its test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cache_factory import as_json, publish
from doc_examples import example, run_example
from paths import ROOT
from playwright.sync_api import Browser
from sidecar_process import KEY, Sidecar, answering, sidecar

from lab import clients as installed

pytestmark = pytest.mark.soak

ROWS = 210
NAMES = [as_json(i)["customer_name"] for i in range(ROWS)]
PROGRAMS = ROOT / "tests" / "clients"
CLIENTS = ROOT / "docs" / "clients.md"
EVENTS = ["cached", "rows", "done"]
PYTHON = (
    *("requests", "httpx", "httpx2", "aiohttp", "httpx-sse", "sseclient-py", "aiohttp-sse-client", "pandas"),
    *("polars", "polars, lazy", "duckdb", "pyarrow", "fsspec"),
)
NODE = ("fetch", "axios", "node-fetch", "eventsource", "@microsoft/fetch-event-source", "papaparse")


@pytest.fixture(scope="module", autouse=True)
def clients() -> None:
    installed.check_clients()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, 2)
        publish(running.cache, ROWS)
        yield running


@pytest.fixture
def described(api: Sidecar, tmp_path: Path) -> Path:
    """The description of the API, with its columns."""
    file = tmp_path / "openapi.json"
    file.write_text(api.client.get("/openapi.json").text, encoding="utf-8")
    return file


def run(command: list[str | Path], folder: Path, **variables: str) -> str:
    environment = {**os.environ, "NO_PROXY": "*", "LC_ALL": "C.UTF-8", "ORDERS_API_KEY": KEY, **variables}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout


def has_all(name: str, said: str) -> dict[str, Any]:
    """Checks what a client got, and prints its version."""
    got: dict[str, Any] = json.loads(said)
    assert got["names"] == NAMES
    if "events" in got:
        assert list(dict.fromkeys(got["events"])) == EVENTS
    print(f"client {name} {got['version']}")
    return got


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder in which node finds the packages."""
    (tmp_path / "node_modules").symlink_to(installed.NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


@pytest.mark.parametrize("name", PYTHON)
def test_a_client_in_python_gets_every_name(api: Sidecar, tmp_path: Path, name: str) -> None:
    has_all(name, run([installed.PYTHON / "python", PROGRAMS / "python_clients.py", name, api.url, KEY], tmp_path))


@pytest.mark.parametrize("name", NODE)
def test_a_client_in_node_gets_every_name(api: Sidecar, node: Path, name: str) -> None:
    program = shutil.copy(PROGRAMS / "node_clients.mjs", node)
    has_all(name, run(["node", program, name, api.url, KEY], node))


@pytest.mark.parametrize("name", ["OkHttp", "JDK HttpClient"])
def test_a_client_in_java_gets_every_name(api: Sidecar, tmp_path: Path, name: str) -> None:
    command = ["java", "-cp", f"{installed.OKHTTP}/*:{installed.JSON_JAR}", PROGRAMS / "JvmClients.java"]
    has_all(name, run([*command, name, api.url, KEY], tmp_path))


def test_php_gets_every_name(api: Sidecar, tmp_path: Path) -> None:
    has_all("PHP", run(["php", PROGRAMS / "php_client.php", api.url, KEY], tmp_path))


def test_r_gets_every_name(api: Sidecar, tmp_path: Path) -> None:
    has_all("R httr2", run(["Rscript", PROGRAMS / "r_client.R", api.url, KEY], tmp_path))


@pytest.mark.parametrize("name", ["curl", "wget", "HTTPie"])
def test_a_command_gets_every_name(api: Sidecar, tmp_path: Path, name: str) -> None:
    address = f"{api.url}/fetch-data"
    if name == "wget":
        run(["wget", "--quiet", "--spider", f"--header=X-API-Key: {KEY}", address + "?format=csv"], tmp_path)
    commands: dict[str, tuple[str | Path, list[str]]] = {
        "curl": ("curl", ["--silent", "--fail", "--compressed", "-H", f"X-API-Key: {KEY}", address]),
        "wget": ("wget", ["--quiet", "-O-", f"--header=X-API-Key: {KEY}", address]),
        "HTTPie": (installed.PYTHON / "http", ["--ignore-stdin", "--body", address, f"X-API-Key:{KEY}"]),
    }
    program, arguments = commands[name]
    names = [row["customer_name"] for row in json.loads(run([program, *arguments], tmp_path))["data"]]
    version = re.findall(r"\d+\.\d+[.\d]*", run([program, "--version"], tmp_path))[0]
    has_all(name, json.dumps({"names": names, "version": version}))


@pytest.mark.parametrize("name", ["EventSource", "fetch"])
def test_chromium_gets_every_name(api: Sidecar, browser: Browser, name: str) -> None:
    page = browser.new_page()
    if name == "fetch":
        ask = "([api, key]) => fetch(api + '/fetch-data', {headers: {'X-API-Key': key}}).then((a) => a.json())"
        events = [{"type": "rows", "payload": page.evaluate(ask, [api.url, KEY])}]
    else:
        signed = api.client.post("/sign", json={"path": "/fetch-data?stream=true&rows=chunked"}).json()["address"]
        follow = """(address) => new Promise((resolve, reject) => {
            const events = [], source = new EventSource(address);
            source.onerror = () => reject(new Error("EventSource failed"));
            source.onmessage = ({data}) => {
                events.push(JSON.parse(data));
                if (events.at(-1).type === "done") { source.close(); resolve(events); }
            };
        })"""
        events = page.evaluate(follow, api.url + signed)
        assert list(dict.fromkeys(event["type"] for event in events)) == EVENTS
    rows = [row for event in events if event["type"] == "rows" for row in event["payload"]["data"]]
    names = [row["customer_name"] for row in rows]
    has_all(f"Chromium {name}", json.dumps({"names": names, "version": browser.version}))


def test_the_generated_client_in_python_gets_every_name(api: Sidecar, described: Path, tmp_path: Path) -> None:
    command = [installed.PYTHON / "openapi-python-client", "generate", "--path", described, "--fail-on-warning"]
    path = f"{installed.PYTHON}:{os.environ['PATH']}"
    run([*command, "--output-path", tmp_path / "made"], tmp_path, PATH=path)
    name = "openapi-python-client"
    command = [installed.PYTHON / "python", PROGRAMS / "python_clients.py", name, api.url, KEY]
    has_all(name, run(command, tmp_path, PYTHONPATH=str(tmp_path / "made")))


def test_the_generated_client_in_typescript_gets_every_name(api: Sidecar, described: Path, node: Path) -> None:
    bin = installed.NODE_MODULES / ".bin"
    run([bin / "openapi-typescript", described, "-o", node / "schema.d.ts"], node)
    shutil.copy(PROGRAMS / "typescript_client.ts", node)
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck", "--preserveSymlinks"]
    run([bin / "tsc", *options, "typescript_client.ts"], node)
    got = json.loads(run(["node", "--preserve-symlinks", "typescript_client.js", api.url, KEY], node))
    assert (got["code"], got["online"]) == ("parameter_invalid", "online")
    packages = [
        f"{name} {json.loads((installed.NODE_MODULES / name / 'package.json').read_text())['version']}"
        for name in ("openapi-typescript", "openapi-fetch")
    ]
    has_all("generated TypeScript", json.dumps({**got, "version": ", ".join(packages)}))


@pytest.mark.parametrize("columns", [True, False])
def test_validators_find_nothing_in_the_description(api: Sidecar, tmp_path: Path, columns: bool) -> None:
    file = tmp_path / "openapi.json"
    headers = {"X-API-Key": KEY if columns else ""}
    file.write_text(api.client.get("/openapi.json", headers=headers if columns else {}).text, encoding="utf-8")
    assert run([installed.PYTHON / "openapi-spec-validator", file], tmp_path).strip().endswith("OK")
    ended = subprocess.run(
        [installed.NODE_MODULES / ".bin" / "redocly", "lint", file, "--format=json"],
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(ended.stdout[ended.stdout.index("{") :])
    assert (ended.returncode, found["totals"]) == (0, {"errors": 0, "warnings": 0, "ignored": 0}), found["problems"]


def test_the_example_in_kotlin_follows_a_refresh(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 7)
        (tmp_path / "OrdersApi.kt").write_text(example("docs/clients.md", "kotlin", api))
        paths = f"{installed.OKHTTP}/okhttp-jvm-5.5.0.jar:{installed.OKHTTP}/okio-jvm-3.18.1.jar:{installed.JSON_JAR}"
        compiler = ["java", "-cp", f"{installed.KOTLIN}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
        home = ["-kotlin-home", installed.KOTLIN.parent, "-Werror", "-no-reflect"]
        run([*compiler, *home, "-cp", paths, "-d", "made", "OrdersApi.kt"], tmp_path)
        with answering(api.cache, rows=7):
            said = run_example(
                ["java", "-cp", f"made:{paths}:{installed.KOTLIN}/kotlin-stdlib.jar", "OrdersApiKt"], api
            )
    kinds = [line for line in said if line != "progress"]
    assert kinds[:4] == ["7 orders", "cached", "updated", "done"]
    assert said[-1] == "healthy"


def test_the_example_in_r_follows_a_refresh(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 7)
        (tmp_path / "orders.R").write_text(example("docs/clients.md", "r", api))
        with answering(api.cache, rows=7):
            said = run_example(["Rscript", "orders.R"], api)
    assert said[0] == "7 orders"
    assert said[1].startswith("7 orders, last verified ")
    assert said[2:] == ["completed", "healthy"]


@pytest.mark.parametrize("language", ["jsx", "gs"])
def test_the_examples_that_need_another_program_parse(node: Path, language: str) -> None:
    """React's follows a stream as the example of a browser does, and that of Google Sheets runs at Google."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", CLIENTS.read_text(), re.DOTALL | re.MULTILINE)
    (node / "example.jsx").write_text(block)
    options = ["--allowJs", "--jsx", "preserve", "--target", "es2022", "--module", "esnext", "--outDir", "made"]
    run([installed.NODE_MODULES / ".bin" / "tsc", *options, "--noResolve", "example.jsx"], node)
