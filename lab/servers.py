"""MariaDB and phpMyAdmin: what they need from Debian, their files, their command lines."""

import json
import os
import random
import secrets
import shutil
import socket
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pymysql

from lab.processes import give, server_user

# The core packages bring the programs without a system service.
PACKAGES = (
    "mariadb-server-core",
    "mariadb-client-core",
    "php-cli",
    "php-mysql",
    "php-mbstring",
    "php-xml",
    "phpmyadmin",
)
BROWSER = ("chromium-headless-shell", "chromium-driver")  # the driver brings Chromium with windows too
TESTS = (
    "caddy",
    "curl",
    "faketime",
    "libatomic1",  # Playwright's node links to it
    "systemd",  # systemd-analyze
    "tini",
    "wget",
)
DEBIAN_TREE = Path("/usr/share/phpmyadmin")
MAX_DRAWN = 50  # ports of a process that no other may draw; servers of earlier ones have started
APT = ("apt-get", "-y", "-o", "DPkg::Lock::Timeout=300")


class LabError(Exception):
    """The lab cannot do what was asked; the message says why and what to do."""


class Server(Protocol):
    """A process that the lab starts and ends."""

    @property
    def name(self) -> str: ...
    @property
    def log(self) -> Path: ...
    def prepare(self) -> None: ...
    def command(self) -> list[str]: ...
    def environment(self) -> dict[str, str]: ...
    def answers(self) -> bool: ...


def install(*more: str) -> None:
    """Install the Debian packages that are missing: the servers', and `more`.

    Raises:
        LabError: they are missing and cannot be installed; the message holds the command to run.
    """
    missing = _missing([*PACKAGES, *more])
    if not missing:
        return
    command = ["apt-get", "install", "--no-install-recommends", *missing]
    line = f"sudo apt-get update && sudo {' '.join(command)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(f"The lab needs Debian packages that are missing: {', '.join(missing)}. Run: {line}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], command[1:]):
        done = subprocess.run([*APT, *step], env=env, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise LabError(f"apt-get failed: {done.stderr.strip()[-800:]} Mend that, or run: {line}")


def _missing(packages: Sequence[str]) -> list[str]:
    if not shutil.which("dpkg-query"):
        raise LabError(f"The lab runs on Debian and Ubuntu, from their packages: {', '.join(packages)}.")
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages, "dbconfig-mysql"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    missing = [package for package in packages if package not in installed]
    if "phpmyadmin" in missing and "dbconfig-mysql" not in installed:
        missing.append("dbconfig-no-thanks")  # else the package looks for a database server to set itself up in
    return missing


_drawn: deque[int] = deque()  # descriptors


def free_port() -> int:
    """A free port on loopback, below those that outgoing connections take, so that it stays free through a restart.

    No other process is given it until its server has started.
    """
    for port in random.SystemRandom().sample(range(20_000, 30_000), 200):  # no seed makes two processes draw alike
        if _draw(port) and port_is_free(port):
            return port
    raise LabError("No free port between 20000 and 29999 on 127.0.0.1. End some servers and try again.")


def _draw(port: int) -> bool:
    """Notes for other processes that a port is drawn, by a name that Linux forgets when this process ends.

    Returns:
        Whether it was not drawn before.
    """
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0orders lab port {port}")
    except OSError:
        name.close()
        return False
    _drawn.append(name.detach())
    if len(_drawn) > MAX_DRAWN:
        os.close(_drawn.popleft())
    return True


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class MariaDB:
    """A private MariaDB: data folder, socket and TCP port of its own, Debian's default limits."""

    home: Path
    port: int
    root_password: str
    init_sql: str
    """Statements run at each start, before the first connection: accounts and grants."""

    name = "MariaDB"

    @property
    def socket(self) -> Path:
        return self.home / "run" / "db.sock"

    @property
    def log(self) -> Path:
        return self.home / "log" / "mariadb.log"

    def prepare(self) -> None:
        """Make the data folder if there is none, and write the statements for the start.

        Raises:
            LabError: mariadb-install-db failed.
        """
        write(self.home / "run" / "init.sql", self.init_sql)
        if (self.home / "data" / "mysql").exists():
            return
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self.home / 'data'}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(
            command,
            cwd=self.home,
            user=server_user(),
            extra_groups=[] if server_user() else None,
            env={**os.environ, "TMPDIR": str(self.home / "tmp")},  # ours may be closed to that user
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"mariadb-install-db failed: {(done.stdout + done.stderr).strip()[-800:]}")

    def command(self) -> list[str]:
        return [
            "mariadbd",
            "--no-defaults",
            f"--datadir={self.home / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={self.home / 'run' / 'mariadb.pid'}",
            f"--tmpdir={self.home / 'tmp'}",
            f"--init-file={self.home / 'run' / 'init.sql'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--skip-name-resolve",
            "--skip-log-bin",
            # Quick: commits survive a killed server, if not a machine that loses power.
            "--innodb-flush-log-at-trx-commit=2",
        ]

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home)}

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2)
                probe.connect(str(self.socket))
                return bool(probe.recv(1))  # the greeting, which comes only after the init file has run
        except OSError:
            return False

    def connect(self, database: str | None) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            password=self.root_password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,
            ssl_disabled=True,  # over the socket it is of no use, and it takes longer than the connection
        )


@dataclass(frozen=True)
class PhpMyAdmin:
    """Debian's phpMyAdmin from a private copy of its tree, behind PHP's own web server. Several may share the tree."""

    home: Path
    folder: Path
    """Of this one alone: its configuration, and its sessions in `sessions/`."""
    port: int
    config: Mapping[str, object]
    """phpMyAdmin's `$cfg`, whole."""
    php: Mapping[str, str] = field(default_factory=dict)
    """PHP settings that differ from the lab's, as php.ini names them."""
    includes: Sequence[Path] = ()
    """PHP files that the configuration takes in."""

    name = "phpMyAdmin"

    @property
    def log(self) -> Path:
        return self.folder / "phpmyadmin.log"

    @property
    def sessions(self) -> Path:
        return self.folder / "sessions"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def prepare(self) -> None:
        """Copy the tree once, and write the configuration (PHP reads it at each request)."""
        self._copy_tree()
        self.sessions.mkdir(exist_ok=True)
        give(self.sessions, 0o700)
        lines = ["<?php", "$cfg = json_decode(file_get_contents(__DIR__ . '/config.json'), true);"]
        for file in self.includes:
            write(self.folder / file.name, file.read_text())
            lines.append(f"require __DIR__ . '/{file.name}';")
        write(self.folder / "config.json", json.dumps(self.config, indent=2))
        write(self.folder / "config.inc.php", "\n".join(lines))

    def _copy_tree(self) -> None:
        tree = self.home / "tree"
        if not tree.exists():
            partial = self.home / "tree.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(DEBIAN_TREE, partial, ignore=shutil.ignore_patterns("doc"))
            vendor = partial / "libraries" / "vendor_config.php"
            vendor.rename(vendor.with_name("vendor_config.debian.php"))
            partial.rename(tree)
        vendor = tree / "libraries" / "vendor_config.php"
        if not vendor.exists() or vendor.read_text() != _VENDOR_CONFIG:
            vendor.write_text(_VENDOR_CONFIG)
            vendor.chmod(0o644)

    def command(self) -> list[str]:
        settings = {
            "memory_limit": "128M",  # what web hosts give, not the command line's unlimited
            "session.save_path": str(self.sessions),
            "sys_temp_dir": str(self.home / "tmp"),
            **self.php,
        }
        options = [word for name, value in settings.items() for word in ("-d", f"{name}={value}")]
        return ["php", *options, "-S", f"127.0.0.1:{self.port}", "-t", str(self.home / "tree")]

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PHP_CLI_SERVER_WORKERS": "4", "LAB_CONFIG": str(self.folder)}

    def answers(self) -> bool:
        try:
            return httpx2.get(self.url, timeout=20, trust_env=False).status_code < 500
        except httpx2.TransportError:
            return False


def write(file: Path, text: str) -> None:
    """Write a file that only the servers may read."""
    file.touch(mode=0o600)
    give(file, 0o600)
    file.write_text(text)


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `change` says, at every depth."""
    result = dict(base)
    for name, value in change.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def new_secret() -> str:
    """32 characters, as phpMyAdmin's blowfish_secret must have."""
    return secrets.token_hex(16)


_VENDOR_CONFIG = """<?php
declare(strict_types=1);
return array_replace(require __DIR__ . '/vendor_config.debian.php', [
    'configFile' => getenv('LAB_CONFIG') . '/config.inc.php',
    'tempDir' => dirname(__DIR__, 2) . '/tmp/',
]);
"""
