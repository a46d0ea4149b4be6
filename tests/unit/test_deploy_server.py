"""The files of docs/deploy.md for a server: the unit of systemd, and nginx and Caddy in front of a real `serve.py`."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from cache_factory import cache_in, publish
from front_proxies import started
from paths import ROOT
from serve_process import Served, served
from waiting import wait_for

from cache.access.api_keys import digest
from cache.access.feeds import Feed
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from lab import nginx
from lab.processes import end, give, spawn, tree
from lab.servers import free_port

pytestmark = pytest.mark.slow

UNIT = ROOT / "deploy/systemd/phpmyadmin-orders.service"
NGINX = ROOT / "deploy/nginx/phpmyadmin-orders.conf"
CADDY = ROOT / "deploy/caddy/Caddyfile"
CADDY_OF_COMPOSE = ROOT / "deploy/compose/Caddyfile"
KEY = "0f3c" * 8


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """The text of an example with other values. Each stands in it."""
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


def analysed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `systemd-analyze` says of the unit, with a user and a program that this machine has."""
    copy = folder / UNIT.name
    program = ("/opt/phpmyadmin-orders/.venv/bin/python", sys.executable)
    copy.write_text(replaced(UNIT.read_text(), program, ("=orders\n", "=daemon\n")))
    command = ["systemd-analyze", *arguments, copy]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_accepts_every_line_of_the_unit(tmp_path: Path) -> None:
    done = analysed(tmp_path, "verify", "--man=no")

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_finds_the_unit_little_exposed(tmp_path: Path) -> None:
    done = analysed(tmp_path, "security", "--offline=true", "--threshold=25", "--no-pager")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_leaves_chrome_what_its_sandbox_is_made_of() -> None:
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))

    assert {"user", "pid", "net"} <= set(unit["RestrictNamespaces"].split())
    assert "chroot" in unit["SystemCallFilter"].split()
    assert "MemoryDenyWriteExecute" not in unit
    assert unit["KillMode"] == "mixed"


class Proxied:
    """`serve.py` behind a server with TLS, as a browser and a client of the API call it."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=certificate)
        self.url = f"https://127.0.0.1:{port}"

    def client(self, **headers: str) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, verify=self._tls, headers=headers)

    def upgraded(self, cookie: str) -> int:
        """The status of the answer to a browser that opens the live connection."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=self._tls)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version": "13",
            "Host": "orders.example.com",
            "Origin": "https://orders.example.com",
            "Cookie": cookie,
        }
        connection.request("GET", "/_stcore/stream", headers=headers)
        try:
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def behind_nginx(home: Path, upstream: int) -> Iterator[Proxied]:
    """nginx with the example, on other ports and with a certificate for this machine."""
    port, plain = free_port(), free_port()
    nginx.certificates(home)
    servers = replaced(
        NGINX.read_text(),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        ("/etc/letsencrypt/live/orders.example.com/fullchain.pem", "server.pem"),
        ("/etc/letsencrypt/live/orders.example.com/privkey.pem", "server.key"),
        ("127.0.0.1:8501", f"127.0.0.1:{upstream}"),
        ("/var/log/nginx/access.log", "access.log"),
    )
    server = nginx.Nginx(home, port, servers)
    server.prepare()
    checked = spawn([*server.command(), "-t", "-q"], log=server.log, cwd=home, env=server.environment())
    assert (checked.wait(20), server.log.read_text()) == (0, ""), server.log.read_text()
    process = spawn(server.command(), log=server.log, cwd=home, env=server.environment())
    try:
        wait_for(server.answers, 20)
        yield Proxied(port, home / "ca.pem")
    finally:
        end(tree(process.pid))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`serve.py` as the unit starts it, with the settings that a server in front of it needs."""
    folder = tmp_path_factory.mktemp("server")
    cache = cache_in(folder)
    publish(cache)
    cache.close()
    settings = {"SHOPIFY_API_KEY": KEY, "DASHBOARD_PASSWORD": "behind a server", "TRUSTED_PROXIES": "127.0.0.1"}
    with served(folder, "--one-port", CACHE_URL=f"file:{folder / 'cache'}", **settings) as running:
        running.wait_for("API key  ")
        yield running


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder that the user of the lab's servers may enter."""
    with tempfile.TemporaryDirectory() as folder:
        give(Path(folder), 0o700)
        yield Path(folder)


@pytest.fixture(scope="module")
def front(one: Served, home: Path) -> Iterator[Proxied]:
    with behind_nginx(home, one.dashboard_port) as proxied:
        yield proxied


def test_behind_nginx_dashboard_and_api_answer_by_https(front: Proxied) -> None:
    with front.client() as client:
        page = client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, "Sign in" in page.text) == (401, True)
        assert page.headers["strict-transport-security"].startswith("max-age=")
        for path in ("/fetch-data", "/v1/fetch-data"):
            assert client.get(path, headers={"X-API-Key": KEY}).json()["count"] == 3


def test_behind_nginx_a_session_is_for_https_only_and_gets_a_websocket(front: Proxied) -> None:
    with front.client() as client:
        signed_in = client.post("/signin", data={"password": "behind a server"})
        cookies = signed_in.headers.get_list("set-cookie")

    assert signed_in.status_code == 303
    assert all("Secure" in cookie for cookie in cookies)
    assert front.upgraded("; ".join(cookie.partition(";")[0] for cookie in cookies)) == 101
    assert front.upgraded("") == 403


def test_behind_nginx_a_wrong_password_blocks_the_client_it_came_from(front: Proxied) -> None:
    """The address in the header that a client sends itself does not count."""
    with front.client() as client:
        statuses = [
            client.post("/signin", data={"password": "wrong"}, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
            for n in range(11)
        ]

    assert statuses == [401] * 10 + [429]


def test_behind_nginx_a_feed_works_and_is_in_no_log(one: Served, front: Proxied, home: Path) -> None:
    feed = Feed(name="weekly", digest=digest("token-of-weekly"), path="/fetch-data", query="limit=1", created_at=now())
    with closing(cache_in(one.folder)) as cache:
        cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed))
    time.sleep(0.6)
    with front.client() as client:
        for path in ("/feeds/token-of-weekly", "/v1/feeds/token-of-weekly?t=1", "/v1/%66eeds/token-of-weekly"):
            assert client.get(path).json()["count"] == 1
        client.get("/fetch-data?expires=1&signature=x.secret")
    log = wait_for(lambda: (home / "access.log").read_text().count("/fetch-data") and (home / "access.log").read_text())
    assert '"GET /v1/feeds/*" 200' in log and '"GET /feeds/*" 200' in log
    logs = [log, (home / "nginx.log").read_text(), one.output]
    assert not [each for each in logs if "token-of" in each or "secret" in each]


@pytest.mark.parametrize("path", ["/events", "/fetch-data?stream=true&refresh=true"])
def test_behind_nginx_the_first_event_comes_while_the_stream_goes_on(front: Proxied, path: str) -> None:
    with front.client(**{"X-API-Key": KEY}) as client, client.stream("GET", path) as stream:
        lines = stream.iter_lines()  # kept, since the stream ends with it
        event = next(line for line in lines if line.startswith("data: "))

        assert json.loads(event.removeprefix("data: "))
        assert not stream.is_closed


@pytest.mark.parametrize("file", [CADDY, CADDY_OF_COMPOSE], ids=["server", "compose"])
def test_caddy_accepts_its_example_which_is_formatted(file: Path) -> None:
    caddy = shutil.which("caddy")
    assert caddy
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", file]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    formatted = subprocess.run([caddy, "fmt", file], capture_output=True, text=True, timeout=60, check=True)
    assert formatted.stdout == file.read_text()


@pytest.mark.parametrize("file", [CADDY, CADDY_OF_COMPOSE], ids=["server", "compose"])
def test_no_error_of_caddy_names_the_address_of_a_feed(home: Path, file: Path) -> None:
    port, nobody = free_port(), free_port()
    _, _, options = file.read_text().partition("\n{\n")
    own = "{\n\tadmin off\n" + options.partition("\n}\n")[0] + "\n}\n"
    site = f"http://127.0.0.1:{port} {{\n\treverse_proxy 127.0.0.1:{nobody}\n}}\n"
    (home / "Caddyfile").write_text(own + site)
    give(home / "Caddyfile", 0o600)
    log_file = home / f"caddy-{port}.log"
    command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with started(command, home, {"HOME": str(home)}, log_file, port) as url:
        assert httpx2.get(f"{url}/feeds/token-of-weekly", headers={"X-API-Key": "secret"}).status_code == 502
        log = wait_for(lambda: "http.log.error" in (text := log_file.read_text()) and text)
    assert "connection refused" in log
    assert "token-of-weekly" not in log and "secret" not in log
