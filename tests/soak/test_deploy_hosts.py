"""docs/deploy.md, "Several hosts": its statements, commands and settings, on a real PostgreSQL."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from paths import ROOT
from waiting import wait_for

from lab import Lab
from lab.postgresql import PostgreSQL, Running, folder_for_servers, programs
from lab.processes import end, tree
from lab.servers import free_port, new_secret

pytestmark = pytest.mark.soak

KEY = "0f3c" * 8
PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")


def blocks(title: str, language: str) -> list[str]:
    """The blocks of code of a section."""
    section = PAGE[PAGE.index(f"\n### {title}\n") + 1 :].partition("\n### ")[0].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def settings(block: str, **values: str) -> dict[str, str]:
    """The settings of a block, some with other values. Each of those stands in it."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(f"[settings]\n{block}")
    listed = dict(parser["settings"])
    assert values.keys() <= listed.keys()
    return {**listed, **values}


@dataclass
class Hosts:
    """Hosts of one cache, and the roles of its database."""

    server: PostgreSQL
    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)
    running: ExitStack = field(default_factory=ExitStack)

    def psql(self, block: str) -> None:
        """Runs statements of the page as an administrator."""
        for role in re.findall(r"CREATE ROLE (\w+)", block):
            self.passwords[role] = new_secret()
            block = block.replace("…", self.passwords[role], 1)
        command = [str(programs()) + "/psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", self.server.url()]
        done = subprocess.run(command, input=block, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr

    def shared(self, role: str = "orders_app") -> dict[str, str]:
        """The settings of every host, with a role."""
        block = blocks("What each host needs", "ini")[0]
        url = settings(block)["CACHE_URL"].replace("orders_app:…", f"{role}:{self.passwords[role]}")
        assert "@db.example.com/" in url
        return settings(
            block, CACHE_URL=url.replace("db.example.com", f"127.0.0.1:{self.server.port}"), SHOPIFY_API_KEY=KEY
        )

    def environment(self, name: str, **values: str) -> dict[str, str]:
        """The environment of a host, which has a folder of its own."""
        mine = {"PYTHONPATH": str(ROOT), "DATA_DIR": str(self.folder / name), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **mine, "PHPMYADMIN_LOGIN": "http", **values}

    def run(self, line: str, environment: dict[str, str]) -> str:
        """Runs a command of the page to its end."""
        done = subprocess.run(
            arguments(line), cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, line: str, environment: dict[str, str]) -> None:
        """Starts a command of the page, which runs until the end of the test."""
        log = self.running.enter_context((self.folder / f"{len(list(self.folder.glob('*.log')))}.log").open("wb"))
        process = subprocess.Popen(arguments(line), cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.running.callback(process.wait, 20)
        self.running.callback(lambda: end(tree(process.pid)))

    def logs(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("*.log")))


def arguments(line: str) -> list[str]:
    program, *rest = line.split()
    assert program == "python"
    return [sys.executable, *rest]


@contextmanager
def hosts_in(folder: Path) -> Iterator[Hosts]:
    with folder_for_servers() as home:
        server = PostgreSQL(home)
        with Running(server, home):
            hosts = Hosts(server, folder)
            with hosts.running:
                yield hosts


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with hosts_in(tmp_path) as hosts:
        yield hosts


def fetched(port: int, **parameters: str) -> dict[str, Any]:
    """What the API at a port answers; nothing while it has no rows."""
    try:
        answer = httpx2.get(
            f"http://127.0.0.1:{port}/fetch-data", params=parameters, headers={"X-API-Key": KEY}, timeout=20
        )
    except httpx2.TransportError:
        return {}
    body: dict[str, Any] = answer.json()
    return body if answer.is_success else {}


def command(text: str) -> str:
    """A command that the section names within its text."""
    section = PAGE[PAGE.index("\n## Several hosts\n") :]
    assert f"`{text}`" in section
    return text


def test_several_hosts_are_set_up_as_the_page_says(hosts: Hosts, lab: Lab) -> None:
    owner, reader = blocks("The database", "sql")
    _, login, others = blocks("What each host needs", "ini")
    (backup,), (restore,) = (block.splitlines() for block in blocks("From files to PostgreSQL", "bash"))
    hosts.psql(owner)
    login_settings = settings(login, **lab.settings())
    rows = lab.rows()

    files = hosts.environment("first", **login_settings)
    hosts.run("python -m scraper sync", files)
    hosts.run(backup, files)
    first = hosts.environment("first", **hosts.shared())
    assert f"{rows:,} rows" in hosts.run(restore, first)
    hosts.psql(reader)

    hosts.start(command("python -m scraper worker"), {**first, **login_settings})
    api, web = free_port(), free_port()
    answering = hosts.environment("second", **hosts.shared("orders_reader"), **settings(others))
    hosts.start(command("python api_sidecar.py"), {**answering, "API_PORT": str(api)})
    serving = hosts.environment("third", **hosts.shared(), **settings(others), DASHBOARD_PASSWORD="of the third host")
    hosts.start(command("python serve.py"), {**serving, "PORT": str(web)})
    for port in (api, web):
        assert wait_for(lambda port=port: fetched(port, limit="0"))["total_count"] == rows, hosts.logs()  # type: ignore[misc]

    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM orders ORDER BY id LIMIT 3")
    asked = httpx2.post(f"http://127.0.0.1:{web}/refresh", headers={"X-API-Key": KEY}, timeout=20)
    assert asked.status_code == 202, asked.text
    for port in (api, web):
        wait_for(lambda port=port: fetched(port, limit="0").get("total_count") == rows - 3)  # type: ignore[misc]

    refused = httpx2.post(f"http://127.0.0.1:{api}/refresh", headers={"X-API-Key": KEY}, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (503, "cache_read_only"), refused.text
    assert not any(password in hosts.logs() for password in hosts.passwords.values())
    assert KEY not in hosts.logs()
