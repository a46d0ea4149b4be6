"""What stands in front of the API and the dashboard of a test: `--front`. A test that is not for one of them says why.

Tests start `api_sidecar.py` or `streamlit_app.py` and use the address that they get. They do not ask what it is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from urllib.parse import urlsplit

import pytest


class Front(StrEnum):
    """What a client meets."""

    TWO_PORTS = "two-ports"  # a process each, with a port of its own
    ONE_PORT = "one-port"  # one process for both: the API is addressed below /v1
    SUB_PATH = "sub-path"  # the same, below a path of nginx


PATH = "/orders"
_chosen = [Front.TWO_PORTS]


def script_of(script: str) -> str:
    """The script that is started where a test asks for one of the two ports."""
    return script if _chosen[0] is Front.TWO_PORTS else "one_port"


def settings_of(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of a test, and what the front needs beside them."""
    if _chosen[0] is not Front.SUB_PATH:
        return dict(settings)
    public = {"DASHBOARD_URL": settings["DASHBOARD_URL"] + PATH} if "DASHBOARD_URL" in settings else {}
    return {**settings, "PUBLIC_PATH": PATH, **public}


@contextmanager
def address_of(url: str, script: str) -> Iterator[str]:
    """Where clients find what a script serves.

    Args:
        url: The address that the process itself has.
        script: What the test asked for.
    """
    below = "/v1" if _chosen[0] is not Front.TWO_PORTS and script == "api_sidecar" else ""
    if _chosen[0] is not Front.SUB_PATH:
        yield url + below
        return
    from front_proxies import nginx  # with the lab, which other tests do not load

    port = urlsplit(url).port
    assert port
    with nginx(port, port) as front:
        yield front + PATH + below


def address_pair(url: str) -> tuple[str, int]:
    """The host and the port of an address, for a connection of the test's own: nginx would answer for the product."""
    if _chosen[0] is Front.SUB_PATH:
        pytest.skip("not on sub-path: it is of connections, and those of clients end at nginx")
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--front`."""
    parser.addoption("--front", choices=list(Front), default=Front.TWO_PORTS, help="how API and dashboard are started")


def pytest_configure(config: pytest.Config) -> None:
    """Notes what was chosen."""
    _chosen[0] = Front(config.getoption("front"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test that is not for this front."""
    for mark in item.iter_markers("not_on"):
        if _chosen[0] in mark.args:
            pytest.skip(f"not on {_chosen[0]}: {mark.kwargs['why']}")
