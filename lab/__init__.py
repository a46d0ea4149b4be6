"""A real phpMyAdmin and MariaDB on loopback with a believable shop, for demo, tests and benchmarks."""

import cache  # noqa: F401  first: it says which Python is needed

# isort: split
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pymysql
from filelock import FileLock

from lab import processes
from lab.data import load, mutations, shop
from lab.fault_proxy import FaultProxy
from lab.faults import Faults
from lab.login_fixtures import LoginFixture, Site, design
from lab.servers import LabError, MariaDB, PhpMyAdmin, free_port, install, merged, port_is_free
from lab.state import State

__all__ = ["DATABASE", "TABLE", "FaultProxy", "Lab", "LabError", "LoginFixture"]

DATABASE = "shop"
TABLE = "orders"
SOCKET_LENGTH = 100  # Linux takes 107 characters for the address of a socket


class Lab:
    """One MariaDB and one phpMyAdmin, with all their files below `path`.

    Where the servers could not live there (the folder is closed to them, or its name too long for a socket), their
    files go to a folder in the system's temporary one, which `path/lab.json` names.

    Args:
        path: the lab's folder, made when missing. Two labs need two folders.
        config: phpMyAdmin settings (`$cfg`) that differ from the lab's, nested as there: `{"ExecTimeLimit": 300}`,
            `{"Servers": {"1": {"auth_type": "http"}}}`. They hold from the next start of phpMyAdmin.
    """

    def __init__(self, path: Path | str, config: Mapping[str, object] | None = None) -> None:
        self.path = Path(path).absolute()
        self._config = config or {}

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # -- both servers ----------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start what does not run yet; return when both servers answer.

        Raises:
            LabError: packages are missing and may not be installed, or a server does not start.
        """
        install()
        with self._locked():
            state = State.read(self._state_file)
            if state and not Path(state.home).exists():
                self._end(state)
                state = None
            state = state or self._create()
            if not state.runs("database") and not port_is_free(state.database_port):
                state.stop("phpmyadmin")  # its configuration names the old port
                state.database_port = free_port()
            if not state.runs("phpmyadmin") and not port_is_free(state.phpmyadmin_port):
                state.phpmyadmin_port = free_port()
            self._start(state, "database")
            self._start(state, "phpmyadmin")

    def down(self, *, delete: bool = False) -> None:
        """End exactly the processes that the lab started. Its data stay for the next `up`, unless `delete`."""
        if not self.path.exists():
            return
        with self._locked():
            if not (state := State.read(self._state_file)):
                return
            self._end(state)
            if delete:
                shutil.rmtree(state.home, ignore_errors=True)
                self._state_file.unlink(missing_ok=True)
        if delete:
            shutil.rmtree(self.path, ignore_errors=True)

    def start_database(self) -> None:
        """Start MariaDB, on the port it had, if it does not run."""
        self._change(lambda state: self._start(state, "database"))

    def stop_database(self, *, kill: bool = False) -> None:
        """End MariaDB; `kill`: at once, as a crash does."""
        self._change(lambda state: state.stop("database", kill=kill))

    def start_phpmyadmin(self) -> None:
        """Start phpMyAdmin, on the port it had, if it does not run."""
        self._change(lambda state: self._start(state, "phpmyadmin"))

    def stop_phpmyadmin(self, *, kill: bool = False) -> None:
        """End phpMyAdmin; `kill`: at once, as a crash does."""
        self._change(lambda state: state.stop("phpmyadmin", kill=kill))

    def running(self) -> dict[str, bool]:
        """Which of `database` and `phpmyadmin` run and answer."""
        state = State.read(self._state_file)
        return {
            part: bool(state and state.runs(part) and self._server(state, part).answers())
            for part in ("database", "phpmyadmin")
        }

    # -- the way in ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """phpMyAdmin's address."""
        return self._phpmyadmin(self._known()).url

    def settings(self) -> dict[str, str]:
        """The product's settings for this lab; the login may SELECT from the shop and nothing else."""
        state = self._known()
        return {
            "PHPMYADMIN_URL": self._phpmyadmin(state).url,
            "PHPMYADMIN_USERNAME": state.username,
            "PHPMYADMIN_PASSWORD": state.password,
            "PHPMYADMIN_DATABASE": DATABASE,
            "PHPMYADMIN_TABLE": TABLE,
        }

    def connect(self, database: str | None = DATABASE) -> "pymysql.Connection[Any]":
        """A connection with all rights over the Unix socket; each statement commits by itself. Close it after use.

        Raises:
            LabError: the database does not run.
        """
        state = self._known()
        if not state.runs("database"):
            raise LabError(f"The database of the lab in {self.path} is down. Start it: python -m lab up")
        return self._database(state).connect(database)

    # -- other logins, and what goes wrong -------------------------------------------------------------------------

    def login_fixture(
        self,
        name: str,
        *,
        config: Mapping[str, object] | None = None,
        php: Mapping[str, str] | None = None,
        **options: Any,
    ) -> LoginFixture:
        """Start servers with another kind of login over the same database. They end with the lab at the latest.

        Args:
            name: one of the names that `lab/login_fixtures.py` lists.
            config: phpMyAdmin's settings that differ from the fixture's, as for `Lab`.
            php: PHP settings that differ from the lab's: `{"memory_limit": "32M"}`.
            options: the fixture's own, as listed there.

        Raises:
            LabError: no such fixture, a server that it needs is missing or does not start, or the lab is down.
        """
        port = free_port()
        part = f"login {port}"
        folder = Path(self._known().home) / "logins" / f"{name}-{port}"
        try:
            with self._locked():
                state = self._known()
                for each in (folder.parent, folder):
                    each.mkdir(parents=True, exist_ok=True)
                    processes.give(each, 0o755)
                site = Site(folder, port, self._database(state), state.username, state.password, self.connect)
                plan = design(name, site, **options)
                changed = merged(merged(self._config_of(state), plan.config), config or {})
                phpmyadmin = PhpMyAdmin(Path(state.home), folder, port, changed, php or {}, plan.includes)
                fixture = LoginFixture(phpmyadmin, plan, self.settings(), lambda: self._close(part, folder))
                for number, server in enumerate(fixture.servers()):
                    state.start(f"{part}.{number}", server)
        except BaseException:
            self._close(part, folder)
            raise
        return fixture

    @property
    def faults(self) -> Faults:
        """What can go wrong in the database."""
        state = self._known()
        return Faults(self.connect, state.username, state.password)

    # -- the shop --------------------------------------------------------------------------------------------------

    def seed(self, rows: int = 10_000, seed: int = 1, until: datetime | None = None) -> int:
        """Make the database anew with about three years of orders that end at `until`.

        Args:
            rows: how many orders.
            seed: the same seed, rows and until give the same table.
            until: an aware instant; by default now, to the minute.

        Returns:
            The number of rows in the table.
        """
        with self.connect(None) as connection, tempfile.TemporaryDirectory() as folder:
            return load.load(connection, DATABASE, TABLE, shop.history(rows, seed, until), Path(folder))

    def mutate(self, seed: int | None = None, touches: int = 60, now: datetime | None = None) -> dict[str, int]:
        """Do to the orders what a live shop does in an hour.

        Args:
            seed: the same seed, on the same table and `now`, does the same.
            touches: how many rows change in all.
            now: an aware instant at which the hour ends; by default the present.

        Returns:
            The number of rows `inserted`, `updated` and `deleted`; no row counts twice.

        Raises:
            LabError: there are no orders yet.
        """
        if not self.rows():
            raise LabError("The shop has no orders yet. Make some: python -m lab seed")
        with self.connect() as connection:
            return mutations.mutate(connection, TABLE, random.Random(seed), touches, now)

    def rows(self) -> int:
        """The number of orders; 0 before the first `seed`."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES LIKE %s", (TABLE,))
            if not cursor.fetchone():
                return 0
            cursor.execute(f"SELECT COUNT(*) FROM `{TABLE}`")
            return int(cursor.fetchone()[0])

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _state_file(self) -> Path:
        return self.path / "lab.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / "lab.lock", timeout=300):
            yield

    def _known(self) -> State:
        if state := State.read(self._state_file):
            return state
        raise LabError(f"There is no lab in {self.path}. Start it: python -m lab up")

    def _create(self) -> State:
        home = self.path
        closed = processes.server_user() and not all(each.stat().st_mode & 0o001 for each in (home, *home.parents))
        if closed or len(str(home)) > SOCKET_LENGTH - len("/run/db.sock"):
            home = Path(tempfile.mkdtemp(prefix="lab-"))
            home.chmod(0o755)
        for name in ("data", "log", "run", "tmp"):
            (home / name).mkdir(exist_ok=True)
            processes.give(home / name, 0o700)
        state = State(self._state_file, str(home))
        state.write()
        return state

    def _database(self, state: State) -> MariaDB:
        init_sql = (
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{state.root_password}';\n"
            f"CREATE DATABASE IF NOT EXISTS `{DATABASE}`;\n"
            f"CREATE USER IF NOT EXISTS '{state.username}'@'127.0.0.1' IDENTIFIED BY '{state.password}';\n"
            f"GRANT SELECT ON `{DATABASE}`.* TO '{state.username}'@'127.0.0.1';\n"
        )
        return MariaDB(Path(state.home), state.database_port, state.root_password, init_sql)

    def _phpmyadmin(self, state: State) -> PhpMyAdmin:
        home = Path(state.home)
        return PhpMyAdmin(home, home / "run", state.phpmyadmin_port, merged(self._config_of(state), self._config))

    @staticmethod
    def _config_of(state: State) -> dict[str, object]:
        server = {"auth_type": "cookie", "host": "127.0.0.1", "port": str(state.database_port)}
        return {
            "blowfish_secret": state.blowfish_secret,
            "TempDir": str(Path(state.home) / "tmp"),
            "SendErrorReports": "never",
            "Servers": {"1": server},
        }

    def _server(self, state: State, part: str) -> MariaDB | PhpMyAdmin:
        return self._database(state) if part == "database" else self._phpmyadmin(state)

    def _start(self, state: State, part: str) -> None:
        state.start(part, self._server(state, part))

    def _change(self, step: Callable[[State], None]) -> None:
        with self._locked():
            step(self._known())

    def _close(self, name: str, folder: Path) -> None:
        if not self.path.exists():
            return
        with self._locked():
            if state := State.read(self._state_file):
                for part in [part for part in state.running if part.startswith(f"{name}.")]:
                    state.stop(part)
        shutil.rmtree(folder, ignore_errors=True)

    def _end(self, state: State) -> None:
        for part in sorted(state.running, key=["database", "phpmyadmin"].__contains__):  # login fixtures first
            state.stop(part)
        shutil.rmtree(Path(state.home) / "logins", ignore_errors=True)
