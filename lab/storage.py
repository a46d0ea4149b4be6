"""phpMyAdmin's configuration storage: the tables in which it keeps preferences, a second factor among them."""

import base64
import json
import secrets
from typing import Any

import pymysql

from lab.servers import DEBIAN_TREE

STORAGE = "phpmyadmin"
_CONTROL_USER = "pma"


def set_up(connection: "pymysql.Connection[Any]") -> dict[str, str]:
    """Make the storage from phpMyAdmin's own script, where it is missing, and the account that works on it.

    Args:
        connection: with all rights.

    Returns:
        What phpMyAdmin's configuration of the server says about it.
    """
    password = secrets.token_urlsafe(12)
    lines = (DEBIAN_TREE / "sql" / "create_tables.sql").read_text().splitlines()
    script = "\n".join(line for line in lines if not line.startswith("--"))
    with connection.cursor() as cursor:
        for statement in filter(str.strip, script.split(";\n")):
            cursor.execute(statement)
        cursor.execute("CREATE OR REPLACE USER %s@'127.0.0.1' IDENTIFIED BY %s", (_CONTROL_USER, password))
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{STORAGE}`.* TO %s@'127.0.0.1'", (_CONTROL_USER,))
    return {
        "controluser": _CONTROL_USER,
        "controlpass": password,
        "pmadb": STORAGE,
        "userconfig": "pma__userconfig",
    }


def new_secret() -> str:
    """A secret for an authenticator app, in base 32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def ask_for_codes(connection: "pymysql.Connection[Any]", username: str) -> str:
    """Give a user the second factor that an authenticator app answers; returns its secret, in base 32."""
    secret = new_secret()
    preferences = {"2fa": {"backend": "application", "settings": {"secret": secret}}}
    with connection.cursor() as cursor:
        cursor.execute(
            f"REPLACE INTO `{STORAGE}`.pma__userconfig VALUES (%s, NOW(), %s)", (username, json.dumps(preferences))
        )
    return secret
