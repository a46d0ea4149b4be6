"""python -m dashboard hash: asks for a password and prints its hash, which DASHBOARD_PASSWORD may hold in its place."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass

from cache.version import versioned
from dashboard.auth.passwords import hashed


def main() -> None:
    """Reads a password from the terminal without showing it, or one line from standard input."""
    parser = versioned(argparse.ArgumentParser(prog="python -m dashboard", description=__doc__))
    parser.add_argument("command", choices=["hash"])
    parser.parse_args()
    password = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        sys.exit("The password is empty.")
    print(hashed(password))


if __name__ == "__main__":
    main()
