"""`/fetch-data` of the API, beside nginx that serves the same bytes from a file; wrk asks both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from bench.servers import KEY, Server, running
from lab import LabError
from lab.servers import free_port

SECONDS = 5

_NGINX = """
{user}worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}; default_type application/json; }}
    }}
}}
"""


def sidecar(cache: str, folder: Path) -> AbstractContextManager[Server]:
    """The API over a cache, without a scheduler."""
    port = free_port()
    env = {
        "CACHE_URL": cache,
        "SCHEDULER": "off",
        "SHOPIFY_API_KEY": KEY,
        "API_PORT": str(port),
        "RATE_LIMIT": "1000000000/minute",  # counted as ever, and never reached
    }
    url = f"http://127.0.0.1:{port}"
    return running([sys.executable, "api_sidecar.py"], url, "/health", env, folder / "api.log")


@contextmanager
def nginx_serving(body: bytes, folder: Path) -> Iterator[Server]:
    """nginx with one worker, as the API is one process."""
    root = folder / "nginx"
    root.mkdir()
    (root / "fetch-data").write_bytes(body)
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    (root / "nginx.conf").write_text(_NGINX.format(user=user, folder=root, port=port))
    command = ["nginx", "-p", str(root), "-c", str(root / "nginx.conf")]
    with running(command, f"http://127.0.0.1:{port}", "/fetch-data", {}, folder / "nginx.log") as server:
        yield server


def whole_body(api: Server) -> bytes:
    answer = httpx.get(f"{api.url}/fetch-data", headers={"X-API-Key": KEY}, timeout=60, trust_env=False)
    return answer.raise_for_status().content


def rates(api: Server, nginx: Server, clients: int) -> tuple[float, float]:
    """Requests per second of one, then of the other."""
    return _rate(api, clients), _rate(nginx, clients)


def _rate(server: Server, clients: int) -> float:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--timeout", "30s", "-H", f"X-API-Key: {KEY}"]
    said = subprocess.run([*command, f"{server.url}/fetch-data"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise LabError(f"Some requests failed: {said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])
