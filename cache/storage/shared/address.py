"""Where the database of the shared cache is, and how connections to it are made."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cache.errors import SettingsInvalid

SCHEMES = ("postgresql://", "postgres://")
PORT = "5432"
TLS = ("require", "verify-ca", "verify-full")
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS
)
"""Where systems keep the certificates that they trust."""

_PARAMETERS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,  # milliseconds: a cut connection fails, instead of waiting for a quarter of an hour
    "client_encoding": "UTF8",
    "application_name": "orders",
}


@dataclass(frozen=True)
class Address:
    """The address of the database.

    Attributes:
        place: Host and port, as messages name the server.
        parameters: What psycopg connects with, the password among them. Not part of the representation.
    """

    place: str
    parameters: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads CACHE_URL. Off this machine, the connection is encrypted, and the server shows a certificate.

        Where a platform makes the URL, libpq's variables PGSSLMODE and PGSSLROOTCERT say what it leaves out.

        Args:
            url: `postgresql://user:password@host:port/database`, with parameters of libpq such as `?sslmode=require`.

        Raises:
            SettingsInvalid: The URL is invalid. The message does not repeat it.
        """
        if not url.startswith(SCHEMES):
            raise SettingsInvalid("CACHE_URL must begin with postgresql:// for a shared cache.")
        try:
            given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
        except psycopg.Error:
            given = {}  # the words of the error repeat the URL
        host, port = given.get("host", ""), given.get("port", PORT)
        if not given or "@" in host or not port.isdecimal():  # else a part of the password stands there
            raise SettingsInvalid(
                "CACHE_URL does not parse as postgresql://user:password@host:port/database.",
                "Write special characters of the password in percent-encoding, such as %40 for @.",
            ) from None
        if not _is_local(host):
            given = {"sslmode": os.environ.get("PGSSLMODE") or "verify-full", **given}
            if given["sslmode"] not in TLS:
                raise SettingsInvalid(
                    "CACHE_URL, or PGSSLMODE, would send the password and the orders without encryption.",
                    "Use sslmode=verify-full, or sslmode=require to trust any certificate.",
                )
            if given["sslmode"] == "verify-full":
                given = {"sslrootcert": os.environ.get("PGSSLROOTCERT") or _trusted_certificates(), **given}
        return cls(f"{host or 'localhost'}:{port}", {**_PARAMETERS, **given})

    def without_secrets(self, reason: str) -> str:
        """Returns the reason of a failure, unless it repeats the password."""
        password = str(self.parameters.get("password", ""))
        return "the login failed" if password and password in reason else reason


def _is_local(host: str) -> bool:
    """Whether connections stay on this machine: loopback, or a Unix socket."""
    if host.startswith(("/", "@")) or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trusted_certificates() -> str:
    """What a server's certificate is checked against: the certificates that this system trusts.

    The OpenSSL that comes with psycopg looks for them where no system has them, unless a variable names the place.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return "system"
    return next((bundle for bundle in BUNDLES if Path(bundle).exists()), "system")
