"""A real OpenID provider on this machine, where everyone says who they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from dashboard_process import wait_for

from lab.servers import free_port


@contextmanager
def oidc_provider() -> Iterator[str]:
    """The address of a provider."""
    url = f"http://127.0.0.1:{free_port()}"
    serving = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", url.rpartition(":")[2]], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"{url}/.well-known/openid-configuration", serving)
        yield url
    finally:
        serving.terminate()
        serving.wait(20)


def known_to(provider: str, name: str, **claims: object) -> None:
    """Tells the provider what it says of an account."""
    httpx2.put(f"{provider}/users/{name}", json=claims).raise_for_status()
