"""What the Dockerfile makes an image of: its files, its entrypoint, its health check. No Docker is needed."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from paths import ROOT
from serve_process import Served, served
from waiting import wait_for

import container_health
from lab.servers import free_port
from scraper.login import chrome

DOCKERFILE = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
SCRIPTS = ROOT / "deploy/docker"
ENTRYPOINT = SCRIPTS / "entrypoint.sh"
USER = 10001
PASSWORD = {"DASHBOARD_PASSWORD": "in a container"}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a container starts as root")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_has_every_package_of_the_product_and_nothing_else() -> None:
    included = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]

    assert set(packages) - {"lab"} <= included
    assert {each for each in included if (ROOT / each).is_dir()} == {*packages, ".streamlit"} - {"lab"}


def test_the_image_installs_no_package_of_the_tests() -> None:
    (listed,) = [line for line in instructions("RUN") if "pip install" in line]
    assert re.findall(r"-r (\S+)", listed) == ["requirements-image.txt"]

    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements-image.txt").read_text(), re.MULTILINE)
    assert locked
    assert not {"pytest", "pymysql", "playwright", "ruff", "mypy", "uv"} & {name.lower() for name in locked}


def test_the_last_stage_runs_no_pip_and_names_its_user_by_number() -> None:
    assert len(instructions("FROM")) == 2
    assert "pip install" not in DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert instructions("USER") == []  # the entrypoint drops root
    assert f"--uid {USER}" in DOCKERFILE
    assert f"user={USER}" in ENTRYPOINT.read_text().splitlines()


def test_every_script_of_the_image_is_copied_executable_and_used() -> None:
    copied = dict(line.split() for line in instructions("COPY") if line.startswith("deploy/"))

    assert set(copied) == {str(script.relative_to(ROOT)) for script in SCRIPTS.iterdir()}
    assert all(os.access(ROOT / script, os.X_OK) for script in copied)
    assert copied[str(ENTRYPOINT.relative_to(ROOT))] == f"/usr/local/bin/{json.loads(instructions('ENTRYPOINT')[0])[0]}"
    for script, target in copied.items():
        assert DOCKERFILE.count(Path(script if target == "./" else target).name) == 2  # where it is copied and used


def test_the_image_has_the_browser_that_logins_look_for_first() -> None:
    packages = re.findall(r"^set -- (.*)$", (SCRIPTS / "install-browser.sh").read_text(), re.MULTILINE)[0].split()

    assert chrome.BROWSERS[0] in packages


def test_the_product_imports_no_package_that_the_image_removes() -> None:
    script = (SCRIPTS / "trim-packages.sh").read_text()
    removed = re.findall(r"uninstall --quiet --yes (.*)$", script, re.MULTILINE)[0].split()
    included = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    product = [file for name in included for path in ROOT.glob(name) for file in (path, *path.rglob("*.py"))]
    imports = re.compile(rf"^ *(?:from|import) (?:{'|'.join(removed)})\b", re.MULTILINE)

    assert {"pip", "pydeck"} <= set(removed)
    assert [file for file in product if file.suffix == ".py" and imports.search(file.read_text())] == []


def test_labels_say_what_the_image_is_by_the_names_of_oci() -> None:
    labels = dict(word.split("=", 1) for word in shlex.split(instructions("LABEL")[0]))

    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version")} <= set(
        labels
    )
    assert "VERSION=unknown" in instructions("ARG")


@pytest.fixture
def volume() -> Iterator[Path]:
    """A volume that a platform mounts: a folder of root, with a file of root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copy(ENTRYPOINT, folder)
        data = Path(folder, "var")
        data.mkdir(mode=0o755)
        (data / "api_key").touch(mode=0o600)
        yield data


def started(data: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Starts the entrypoint with a command that prints its status, and that of tini above it."""
    script = "cat /proc/self/status /proc/$PPID/status; touch $DATA_DIR/written"
    command = [*before, "sh", str(data.parent / ENTRYPOINT.name), "sh", "-c", script]
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(data)}
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=30, check=False)


def facts(status: str, name: str) -> list[str]:
    return [" ".join(found.split()) for found in re.findall(rf"^{name}:(.*)$", status, re.MULTILINE)]


@as_root
def test_started_as_root_it_owns_the_volume_and_runs_as_the_user(volume: Path) -> None:
    done = started(volume)

    assert done.returncode == 0, done.stderr
    assert "tini" in facts(done.stdout, "Name")
    for name in ("Uid", "Gid"):
        assert set(facts(done.stdout, name)) == {" ".join([str(USER)] * 4)}
    assert set(facts(done.stdout, "Groups")) == {""}
    assert set(facts(done.stdout, "NoNewPrivs")) == {"1"}
    assert {value.strip("0") for name in ("CapEff", "CapBnd", "CapInh") for value in facts(done.stdout, name)} == {""}
    assert {path.stat().st_uid for path in (volume, *volume.iterdir())} == {USER}


@as_root
def test_started_as_the_user_it_runs_as_it_is(volume: Path) -> None:
    os.chown(volume, USER, USER)
    done = started(volume, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs")

    assert done.returncode == 0, done.stderr
    assert set(facts(done.stdout, "Uid")) == {" ".join([str(USER)] * 4)}
    assert "tini" in facts(done.stdout, "Name")
    assert (volume / "written").stat().st_uid == USER
    assert (volume / "api_key").stat().st_uid == 0


@as_root
def test_a_volume_that_the_user_cannot_write_is_named_with_advice(volume: Path) -> None:
    done = started(volume, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")

    assert done.returncode == 1
    assert done.stderr.startswith(f"The user {USER} cannot write to {volume}. Give the folder")


def health(running: Served, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs the health check as the image does, on the processes of a server."""
    (check,) = re.findall(r"CMD (\[.*\])", instructions("HEALTHCHECK")[0])
    program, *arguments = json.loads(check)
    assert program == "python"
    command = [sys.executable, *arguments, str(running.process.pid)]
    ports = {"API_PORT": str(running.api_port), "DASHBOARD_PORT": str(running.dashboard_port)}
    env = {**os.environ, **ports, **settings}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_the_health_check_asks_both_programs_on_their_ports(tmp_path: Path) -> None:
    with served(tmp_path, API_HOST="0.0.0.0", DASHBOARD_HOST="0.0.0.0", **PASSWORD) as one:
        one.wait_for("API key  ")
        done = health(one)
        assert (done.returncode, done.stderr) == (0, "")
        wrong = health(one, API_PORT=str(free_port()))
        assert (wrong.returncode, "Connection refused" in wrong.stderr) == (1, True)


def test_the_health_check_notices_a_program_that_is_not_running(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text("input()")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE) as alone:
        # A program that has just begun has no command line for a moment.
        wait_for(lambda: container_health.main(alone.pid) == "A program of serve.py has ended.")
        alone.kill()


@pytest.mark.slow
def test_the_health_check_follows_a_server_on_one_port(tmp_path: Path) -> None:
    settings = {"API_PORT": "", "DASHBOARD_PORT": "", "PORT": str(free_port())}
    with served(tmp_path, **settings, **PASSWORD) as one:
        one.wait_for("API key  ")
        done = health(one, **settings)
        assert (done.returncode, done.stderr) == (0, "")

        one.program("one_port.py").suspend()
        hanging = health(one, **settings)
        one.program("one_port.py").resume()
        assert (hanging.returncode, hanging.stderr) == (1, "timed out\n")


def upgraded(url: str, origin: str, cookies: httpx2.Cookies) -> int:
    """The status of the answer to a page that opens the live connection."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        "Origin": origin,
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
    }
    connection.request("GET", "/_stcore/stream", headers=headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


OUTSIDE = """
import sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open({file!r}, "a") as log:
            print(arguments[1] if event == "socket.connect" else arguments[0], file=log)

sys.addaudithook(note)
"""


@pytest.mark.soak
@pytest.mark.slow
def test_a_start_opens_no_connection_outside_this_machine(tmp_path: Path) -> None:
    """Streamlit can ask another host for the public address of this machine: at a start, and for a page elsewhere."""
    log = tmp_path / "connections"
    (tmp_path / "sitecustomize.py").write_text(OUTSIDE.format(file=str(log)))
    everywhere = {"API_HOST": "0.0.0.0", "DASHBOARD_HOST": "0.0.0.0"}
    with served(tmp_path, PYTHONPATH=str(tmp_path), **everywhere, **PASSWORD) as one:
        one.wait_for("API key  ")
        url = f"http://127.0.0.1:{one.dashboard_port}"
        cookies = httpx2.post(f"{url}/signin", data={"password": PASSWORD["DASHBOARD_PASSWORD"]}).cookies
        assert upgraded(url, "https://elsewhere.example", cookies) == 403
        assert upgraded(url, url, cookies) == 101
    opened = log.read_text().splitlines()

    assert f"('127.0.0.1', {one.api_port})" in opened  # those of serve.py are noted
    assert [each for each in opened if "127.0.0.1" not in each and "localhost" not in each] == []
