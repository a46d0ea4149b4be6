"""The version of the product; pyproject.toml, the API and its description take it from here."""

from __future__ import annotations

import argparse

VERSION = "0.1.0"


def versioned(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Gives a command line the option `--version`."""
    parser.add_argument("--version", action="version", version=f"phpmyadmin-orders {VERSION}")
    return parser
