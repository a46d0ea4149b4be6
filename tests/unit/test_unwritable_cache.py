"""A cache that cannot be written, on real mounts: a read-only one is served, and a full disk is told as such."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from cache_factory import as_json, publish
from paths import ROOT
from sidecar_process import KEY
from waiting import wait_for

from cache.cache_place import CachePlace
from cache.storage.backends import open_cache
from cache.storage.documents import API_KEYS
from lab.servers import free_port

pytestmark = pytest.mark.slow


def mounted(mount: str, *command: str) -> list[str]:
    """A command that runs with a mount that only it and its children see."""
    script = f"{mount} && exec {shlex.join(command)}"
    as_root = ["--user", "--map-root-user"] if os.geteuid() else []  # root needs none, and gets none in a chroot
    return ["unshare", *as_root, "--mount", "sh", "-c", script]


def read_only(folder: Path) -> str:
    name = shlex.quote(str(folder))
    return f"mount --bind {name} {name} && mount -o remount,ro,bind {name}"


@contextmanager
def served(folder: Path, script: str, path: str, **settings: str) -> Iterator[httpx2.Client]:
    """The API or the dashboard over a read-only DATA_DIR, once it answers."""
    port = free_port()
    environment = {
        **os.environ,
        "DATA_DIR": str(folder),
        "SHOPIFY_API_KEY": KEY,
        "API_PORT": str(port),
        "DASHBOARD_PORT": str(port),
        **settings,
    }
    with (folder.parent / "log").open("ab") as log:
        command = mounted(read_only(folder), sys.executable, str(ROOT / script))
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=30) as client:

        def answers() -> bool:
            assert process.poll() is None, (folder.parent / "log").read_text()
            try:
                return client.get(path).is_success
            except httpx2.HTTPError:
                return False

        try:
            wait_for(answers)
            yield client
        finally:
            process.terminate()
            process.wait(20)


def fill(folder: Path) -> None:
    with closing(open_cache(CachePlace.of_files(folder / "cache", folder / "kept"))) as cache:
        publish(cache, 20, segments=2)
        assert cache.documents.read(API_KEYS).secret


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read-only") / "var"
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[httpx2.Client]:
    with served(folder, "api_sidecar.py", "/health", REFRESH_MIN_SECONDS="0") as client:
        yield client


def test_a_read_only_cache_is_served(api: httpx2.Client) -> None:
    body = api.get("/fetch-data").json()
    assert (body["verified"], body["data"]) == (True, [as_json(i) for i in range(20)])
    assert len(api.get("/fetch-data?format=csv").text.splitlines()) >= 21
    assert api.get("/figures?metric=orders").json()["totals"]["orders"] > 0


def test_status_says_that_nothing_can_be_written(api: httpx2.Client) -> None:
    status = api.get("/status").json()
    assert status["cache_error"]["code"] == "cache_read_only"
    assert (status["worker"]["alive"], status["rows"]) == (False, 20)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/refresh"), ("GET", "/ready"), ("GET", "/fetch-data?wait=true")]
)
def test_what_needs_a_sync_is_refused(api: httpx2.Client, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (503, "cache_read_only")


def test_an_automatic_refresh_says_so_and_the_rows_are_served(api: httpx2.Client) -> None:
    body = api.get("/fetch-data?refresh=true").json()
    assert body["count"] == 20
    assert "read-only" in body["_info"]


def test_damage_that_cannot_be_recorded_is_refused_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    fill(folder)
    path = next(folder.glob("cache/segments/*/rows.json"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"9"))
    with served(folder, "api_sidecar.py", "/health") as api:
        assert api.get("/fetch-data").json()["code"] == "range_damaged"
        assert api.get("/fetch-data").json()["code"] == "range_damaged"


def test_the_dashboard_starts_over_a_read_only_cache(folder: Path) -> None:
    with served(folder, "streamlit_app.py", "/_stcore/health") as dashboard:
        assert dashboard.get("/").status_code == 200


FULL = """
import sys, pathlib
from contextlib import suppress
from cache_factory import cache_in, publish
from cache.errors import OrdersError
folder = pathlib.Path(sys.argv[1])
cache = cache_in(folder)
publish(cache, 3)
with suppress(OSError):
    with (folder / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(1024))
            filler.flush()
for act in (lambda: cache.runs.request("test"), cache.runs.require_writable, lambda: publish(cache, 400)):
    try:
        act()
    except OrdersError as error:
        print(error.code)
print(cache.status().cache_error.code, cache.snapshots.open().rows)
(folder / "filler").unlink()
try:
    cache.runs.request("test")
except OrdersError as error:
    print(error.code)
print(publish(cache, 4).generation)
"""


def test_a_full_disk_is_told_as_such_and_the_next_sync_continues(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=2m tmpfs {shlex.quote(str(tmp_path))}"
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        mounted(mount, sys.executable, "-c", FULL, str(tmp_path)),
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["disk_full", "disk_full", "disk_full", "disk_full", "3", "no_worker", "2"], (
        done.stderr
    )
