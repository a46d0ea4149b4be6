"""The sample shop of compose.yaml: `python -m lab.data` fills a MariaDB elsewhere, once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from paths import ROOT

from lab import Lab
from lab.servers import new_secret

SHOP = "sample_shop"


@pytest.fixture
def user(lab: Lab) -> Iterator[dict[str, str]]:
    """A user with all rights on one database, as the image of MariaDB makes it, and the settings that name it."""
    password = new_secret()
    with lab.connect(None) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {SHOP}")
        cursor.execute(f"CREATE USER 'owner'@'127.0.0.1' IDENTIFIED BY '{password}'")
        cursor.execute(f"GRANT ALL ON {SHOP}.* TO 'owner'@'127.0.0.1'")
        cursor.execute("SELECT @@port")
        (port,) = cursor.fetchone() or (0,)
        try:
            yield {
                "PHPMYADMIN_DATABASE": SHOP,
                "PHPMYADMIN_USERNAME": "owner",
                "PHPMYADMIN_PASSWORD": password,
                "PORT": str(port),
            }
        finally:
            cursor.execute("DROP USER 'owner'@'127.0.0.1'")
            cursor.execute(f"DROP DATABASE IF EXISTS {SHOP}")


def filled(user: dict[str, str], rows: int) -> str:
    command = [sys.executable, "-m", "lab.data", "127.0.0.1", "--port", user["PORT"], "--rows", str(rows)]
    env = {**os.environ, **user, "PHPMYADMIN_TABLE": ""}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_sample_shop_is_filled_once(lab: Lab, user: dict[str, str]) -> None:
    assert filled(user, 40) == f"40 orders in {SHOP}.orders\n"
    assert filled(user, 50) == f"40 orders in {SHOP}.orders\n"
    with lab.connect(SHOP) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(DISTINCT id) FROM orders")
        assert cursor.fetchone() == (40,)
