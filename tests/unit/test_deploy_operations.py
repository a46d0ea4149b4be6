"""docs/operations.md on a shared cache: a dump of the database, and a second role, as the page says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cache_factory import publish as publish_in
from paths import ROOT
from stores import SOURCE, open_shared

from cache.storage.store import Cache
from lab.postgresql import PostgreSQL, Running, folder_for_servers, programs
from lab.servers import new_secret

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
OWNER = "orders_app"
PASSWORD = new_secret()


def block(title: str, language: str, number: int = 0) -> str:
    """A block of code of a section."""
    section = PAGE[PAGE.index(f"\n### {title}\n") + 1 :].partition("\n### ")[0].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[number]


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL with a database and its role, as docs/deploy.md makes them."""
    with folder_for_servers() as folder:
        server = PostgreSQL(folder)
        with Running(server, folder):
            psql(server, f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}';\nCREATE DATABASE orders OWNER {OWNER};")
            yield server


def publish(cache: Cache, rows: int) -> int:
    """Publishes as a sync does, and returns the generation."""
    with cache.sync_lock():
        return publish_in(cache, rows).generation


def psql(server: PostgreSQL, statements: str) -> None:
    run([f"{programs()}/psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", server.url()], statements)


def run(command: list[str], entered: str = "", folder: Path | None = None) -> None:
    done = subprocess.run(command, input=entered, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_a_dump_brings_back_what_the_database_held(server: PostgreSQL, tmp_path: Path) -> None:
    url = server.url("orders", OWNER, PASSWORD)
    dump, restore = block("A shared cache", "bash").splitlines()
    with closing(open_shared(url, tmp_path / "one", None, SOURCE)) as cache:
        publish(cache, 30)
        run(_of_postgresql(dump, url), folder=tmp_path)
        publish(cache, 40)
    run(_of_postgresql(restore, url), folder=tmp_path)
    with closing(open_shared(url, tmp_path / "two", None, SOURCE)) as cache:
        cache.snapshots.catch_up()
        head = cache.snapshots.head()
        assert head
        assert head.generation == 1
        assert publish(cache, 50) == 2


def _of_postgresql(line: str, url: str) -> list[str]:
    program, *rest = line.split()
    return [f"{programs()}/{program}", *(word.replace("postgresql://…", url) for word in rest)]


def test_a_second_role_takes_the_place_of_the_first_one(server: PostgreSQL, tmp_path: Path) -> None:
    with closing(open_shared(server.url("orders", OWNER, PASSWORD), tmp_path / "one", None, SOURCE)) as cache:
        publish(cache, 30)
    secret = new_secret()
    title = "The password of the database"
    psql(server, block(title, "sql", 1).replace("…", secret))
    (no_login,) = re.findall(r"`(ALTER ROLE \w+ NOLOGIN)`", PAGE)
    psql(server, f"{no_login};")
    with closing(open_shared(server.url("orders", "orders_next", secret), tmp_path / "two", None, SOURCE)) as cache:
        cache.snapshots.catch_up()
        assert publish(cache, 40) == 2
        with cache.sync_lock():
            cache.snapshots.prune()
