"""python -m dashboard hash: asks for a password and prints its hash, which DASHBOARD_PASSWORD may hold in its place."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass

from dashboard.auth.passwords import hashed


def main() -> None:
    """A password comes from the terminal, unseen, or as one line from standard input."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    parser.add_argument("command", choices=["hash"])
    parser.parse_args()
    given = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not given:
        sys.exit("An empty password protects nothing.")
    print(hashed(given))


if __name__ == "__main__":
    main()
