"""A private PostgreSQL, and pgbouncer in front of it: what they need from Debian, their files, their command lines."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lab import processes
from lab.nginx import certificates
from lab.processes import Mark, give, server_user
from lab.servers import LabError, Server, free_port, install, new_secret, write

PACKAGES = ("postgresql", "pgbouncer")
USER = "orders"
PROGRAMS = Path("/usr/lib/postgresql")  # a folder for each version, none of which is in PATH
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
START_SECONDS = 90


def install_postgresql() -> None:
    """Install PostgreSQL and pgbouncer where they are missing, without a service of theirs on this machine.

    Raises:
        LabError: they are missing and cannot be installed; the message holds the command to run.
    """
    if programs() and shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"):
        return
    if os.geteuid() != 0:
        install(*PACKAGES)  # says what to do
        return
    with _no_starts():
        install("postgresql-common")
        with _no_cluster():
            install(*PACKAGES)
        subprocess.run(["update-rc.d", "pgbouncer", "disable"], capture_output=True, check=False)


@contextmanager
def _no_starts() -> Iterator[None]:
    """Keep packages from starting services while they are installed, by the script that Debian asks."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")  # forbidden
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


@contextmanager
def _no_cluster() -> Iterator[None]:
    """Keep the package from making a database server that starts with the machine."""
    before = CLUSTERS.read_bytes()
    CLUSTERS.write_bytes(before + b"\ncreate_main_cluster = false\n")
    try:
        yield
    finally:
        CLUSTERS.write_bytes(before)


def programs() -> Path | None:
    """The folder with the programs of the newest version that is installed."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/postgres")]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


@dataclass
class PostgreSQL:
    """A private PostgreSQL: data folder, socket and TCP port of its own.

    Without `durable`, commits survive a killed server, if not a machine that loses power. `network` is another address
    of this machine at which it listens, with TLS, for network namespaces of tests.
    """

    home: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=new_secret)
    durable: bool = False
    network: str = ""

    name = "PostgreSQL"

    @property
    def log(self) -> Path:
        return self.home / "postgresql.log"

    @property
    def sockets(self) -> Path:
        return self.home / "run"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def url(self, database: str = "postgres", user: str = USER, password: str | None = None) -> str:
        """The address over TCP; by default that of the user with all rights."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def network_url(self) -> str:
        """The address over the network, with the check of the server's certificate."""
        root = self.home / "ca.pem"
        return f"postgresql://{USER}:{self.password}@{self.network}:{self.port}/postgres?sslrootcert={root}"

    def prepare(self) -> None:
        """Make the data folder, if there is none.

        Raises:
            LabError: initdb failed.
        """
        if (self.data / "PG_VERSION").exists():
            return
        for folder in (self.data, self.sockets):
            folder.mkdir(exist_ok=True)
            give(folder, 0o700)
        write(self.home / "password", self.password)
        self.run(
            *("initdb", "--no-sync", f"--pgdata={self.data}", f"--username={USER}", f"--pwfile={self.home}/password"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
        )
        if self.network:
            certificates(self.home, self.network)
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write(f"hostssl all all {self.network}/16 scram-sha-256\n")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs, as the user of the server.

        Returns:
            What it printed.

        Raises:
            LabError: it failed.
        """
        done = subprocess.run(
            [_program(program), *arguments],
            cwd=self.home,
            user=server_user(),
            extra_groups=[] if server_user() else None,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"{program} failed: {(done.stdout + done.stderr).strip()[-800:]}")
        return done.stdout

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "shared_buffers": "32MB",
            **({"listen_addresses": f"127.0.0.1,{self.network}", **self._tls()} if self.network else {}),
            **({} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [_program("postgres"), "-D", str(self.data), *options]

    def _tls(self) -> dict[str, str]:
        return {
            "ssl": "on",
            "ssl_cert_file": str(self.home / "server.pem"),
            "ssl_key_file": str(self.home / "server.key"),
        }

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home)}

    def answers(self) -> bool:
        asked = [_program("pg_isready"), "--quiet", f"--host={self.sockets}", f"--port={self.port}"]
        return subprocess.run(asked, check=False).returncode == 0

    def stop_at_once(self) -> None:
        """Stop as a crash does: no client is told, nothing is written, and the next start replays the log."""
        self.run("pg_ctl", "stop", f"--pgdata={self.data}", "--mode=immediate")


@dataclass
class PgBouncer:
    """Debian's pgbouncer before a PostgreSQL, in transaction mode: the next transaction may get another connection."""

    folder: Path
    server: PostgreSQL
    port: int = field(default_factory=free_port)
    connections: int = 2

    name = "pgbouncer"

    @property
    def log(self) -> Path:
        return self.folder / "pgbouncer.log"

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://{USER}:{self.server.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Write the configuration."""
        write(self.folder / "users.txt", f'"{USER}" "{self.server.password}"\n')
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": self.folder / "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": self.connections,
        }
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        databases = f"[databases]\n* = host=127.0.0.1 port={self.server.port}\n"
        write(self.folder / "pgbouncer.ini", f"{databases}[pgbouncer]\n{text}")

    def command(self) -> list[str]:
        return ["pgbouncer", "--quiet", str(self.folder / "pgbouncer.ini")]

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}

    def answers(self) -> bool:
        asked = [_program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(asked, check=False).returncode == 0


class Running:
    """A server that runs until it is stopped.

    Args:
        server: what to start.
        folder: its working directory.

    Raises:
        LabError: it does not start.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._marks: Sequence[Mark] = ()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, on the port it had, and return when it answers.

        Raises:
            LabError: it does not.
        """
        self.stop()  # what a crash left behind
        server = self._server
        server.prepare()
        process = processes.spawn(server.command(), log=server.log, cwd=self._folder, env=server.environment())
        self._marks = processes.tree(process.pid)
        deadline = time.monotonic() + START_SECONDS
        while not server.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = server.log.read_text(errors="replace")[-800:]
                raise LabError(f"{server.name} did not start. The end of {server.log}:\n{tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it with all that it started."""
        processes.end(self._marks)
        self._marks = ()


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A new folder that the servers may enter, with a name that is short enough for a socket. Removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    folder = programs()
    if folder is None:
        raise LabError("PostgreSQL is missing. Install it: python -m lab install")
    return str(folder / name)
