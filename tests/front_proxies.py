"""nginx and Caddy in front of the product, below a path, with the lines of docs/configuration.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx2
from paths import ROOT
from waiting import wait_for

from lab.nginx import Nginx, server
from lab.processes import end, give, spawn, tree
from lab.servers import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Response


def documented(language: str, api: int, dashboard: int) -> str:
    """The lines of the documentation for a proxy, with other ports. Those of the API are left out on one port."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = text.partition("### Below a path of a host")[2]
    found = re.search(f"```{language}\n(.*?)```", section, re.DOTALL)
    assert found
    lines = found[1].replace("127.0.0.1:5000", f"127.0.0.1:{api}").replace("127.0.0.1:8501", f"127.0.0.1:{dashboard}")
    return lines if api != dashboard else re.sub(r"(?m)^(location|handle_path) /orders/v1/.*({[^}]*})$", "", lines)


@contextmanager
def nginx(api: int, dashboard: int) -> Iterator[str]:
    """The address of nginx."""
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        give(folder, 0o700)
        front = Nginx(folder, port, server(port, documented("nginx", api, dashboard)))
        front.prepare()
        with started(front.command(), folder, front.environment(), front.log, port) as url:
            yield url


@contextmanager
def caddy(api: int, dashboard: int) -> Iterator[str]:
    """The address of Caddy."""
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        site = f"{{\nadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{documented('text', api, dashboard)}}}\n"
        (folder / "Caddyfile").write_text(site)
        give(folder / "Caddyfile", 0o600)
        give(folder, 0o700)
        command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        with started(command, folder, {"HOME": name}, folder / "log", port) as url:
            yield url


@contextmanager
def started(command: list[str], folder: Path, env: dict[str, str], log: Path, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = spawn(command, log=log, cwd=folder, env=env)
    try:
        wait_for(lambda: answers(url) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        end(tree(process.pid))


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code > 0
    except httpx2.HTTPError:
        return False


def watched(page: Page, url: str) -> list[str]:
    """What goes wrong from now on: requests that lead out of the path, that fail, or that are answered by an error."""
    faults: list[str] = []

    def sent(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "data:", "blob:")):
            faults.append(f"outside: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            faults.append(f"{response.status}: {response.url}")

    page.on("request", sent)
    page.on("response", answered)
    page.on(
        "websocket", lambda socket: None if f"{url}/".partition(":")[2] in socket.url else faults.append(socket.url)
    )
    page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    return faults


def check_stream(client: httpx2.Client, api: str) -> None:
    with client.stream("GET", f"{api}/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert any(line.startswith("event: snapshot") for line in islice(stream.iter_lines(), 20))
