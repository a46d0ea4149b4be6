"""python -m bench.front_doors: seconds to the first data through each front door, and what failed set-ups say.

Each front door is one of the lab, with its own servers. The first part runs `python -m scraper sync` into an empty
folder. The second part makes one mistake after the other, and prints what `python -m scraper doctor` says.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.servers import ROOT
from cache.settings import from_checkout
from lab import FaultProxy, Lab, LabError
from lab.servers import BROWSER, free_port, install

DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "login form": ("cookie", {}),
    "login form in German": ("german", {}),
    "HTTP Basic of phpMyAdmin": ("http", {}),
    "no login at all": ("config", {}),
    "account without a password": ("no_password", {}),
    "choice of server": ("servers", {}),
    "another server than the default": ("servers_default", {}),
    "any server, by host and port": ("any_server", {}),
    "second factor": ("totp", {}),
    "sub-path behind nginx with a password": ("subpath", {}),
    "https with a private CA": ("tls", {}),
    "control panel": ("control_panel", {}),
    "control panel with a second factor": ("control_panel", {"totp": True}),
    "firewall that refuses checksums": ("firewall", {"refuse": ("CONCAT_WS", "information_schema")}),
}
SECONDS = 300  # that a command may take
LIMITS: dict[int, dict[str, str]] = {403: {}, 404: {}, 413: {}, 429: {"Retry-After": "1"}, 502: {}}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.front_doors", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000, help="orders in the table (2000)")
    parser.add_argument("part", nargs="?", choices=("times", "messages"), help="one part alone")
    options = parser.parse_args()
    try:
        install(*BROWSER)
        with Lab(from_checkout("var/bench/lab")) as lab:
            if lab.rows() != options.rows:
                lab.seed(options.rows)
            if options.part != "messages":
                _show_times(lab, options.rows)
            if options.part != "times":
                _show_messages(lab)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _show_times(lab: Lab, rows: int) -> None:
    print(f"Seconds to the first data, {rows:,} orders\n\n{'front door':<40}{'http':>8}{'Chrome':>8}")
    for label, (name, arguments) in DOORS.items():
        with lab.login_fixture(name, **arguments) as door:
            settings = door.settings()
            settings.setdefault("PHPMYADMIN_PASSWORD", door.design.settings.get("PHPMYADMIN_PASSWORD", ""))
            times = [_first_data(settings, login) for login in ("http", "browser")]
        print(f"{label:<40}{times[0]:>8}{times[1]:>8}", flush=True)


def _show_messages(lab: Lab) -> None:
    print("\nWhat failed set-ups say")
    for label, settings in _mistakes(lab):
        print(f"\n{label}\n{_said(settings)}", flush=True)


def _first_data(settings: Mapping[str, str], login: str) -> str:
    """Seconds of a sync into an empty folder, from the start of the process."""
    began = time.monotonic()
    code, said = _run("sync", {**settings, "PHPMYADMIN_LOGIN": login})
    return f"{time.monotonic() - began:.1f}" if code in (0, 3) else f"failed: {said}"


def _said(settings: Mapping[str, str]) -> str:
    """What `doctor` finds wrong, without the ports and folders of this machine."""
    _, said = _run("doctor", settings)
    findings = re.findall(r"^(?:FAIL .*(?:\n {6,}.*)*)", said, re.MULTILINE)
    said = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", "\n".join(findings) or "(nothing)")
    return re.sub(r"\S+/shop\.env", "shop.env", said)


def _run(command: str, settings: Mapping[str, str]) -> tuple[int, str]:
    names = ("PHPMYADMIN_", "HTTP_PROXY", "NO_PROXY")
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(names)}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {**clean, "ENV_FILE": os.devnull, "DATA_DIR": folder, **settings}
        ended = subprocess.run(
            [sys.executable, "-m", "scraper", command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return ended.returncode, (ended.stdout + ended.stderr).replace(folder, "DATA_DIR")


# -- mistakes


def _mistakes(lab: Lab) -> Iterator[tuple[str, dict[str, str]]]:
    """Set-ups that fail: what is wrong, and the settings. Their servers run until the next one."""
    good = {**lab.settings(), "PHPMYADMIN_LOGIN": "http"}
    yield from _wrong_settings(good)
    yield from _wrong_files(good)
    yield from _wrong_logins(lab)
    yield from _limits_in_front(good)


def _wrong_settings(good: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    url, port = good["PHPMYADMIN_URL"], free_port()
    changes = {
        "no address": {"PHPMYADMIN_URL": ""},
        "an address without http": {"PHPMYADMIN_URL": "db.example.com/phpmyadmin"},
        "a port of letters": {"PHPMYADMIN_URL": "http://db.example.com:port/"},
        "nothing listens there": {"PHPMYADMIN_URL": f"http://127.0.0.1:{port}/"},
        "an unknown host": {"PHPMYADMIN_URL": "http://no-such-host.invalid/"},
        "https, where http is spoken": {"PHPMYADMIN_URL": url.replace("http:", "https:")},
        "a proxy that is down": {"HTTP_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": ""},
        "no password": {"PHPMYADMIN_PASSWORD": ""},
        "no user": {"PHPMYADMIN_USERNAME": ""},
        "neither user nor password": {"PHPMYADMIN_USERNAME": "", "PHPMYADMIN_PASSWORD": ""},
        "a wrong password": {"PHPMYADMIN_PASSWORD": "wrong"},
        "an unknown database": {"PHPMYADMIN_DATABASE": "shopp"},
        "an unknown table": {"PHPMYADMIN_TABLE": "order"},
        "a misspelt name": {"PHPMYADMIN_TABEL": "orders"},
        "a number that is none": {"SYNC_INTERVAL_MINUTES": "hourly"},
        "an unknown time zone": {"SOURCE_TIMEZONE": "Berlin"},
        "a missing CA file": {"PHPMYADMIN_CA_FILE": "no-such.pem"},
        "headers that are no JSON": {"PHPMYADMIN_HEADERS": "X-Token: abc"},
        "a cache that nobody can open": {"CACHE_URL": "mysql://localhost/orders"},
    }
    for label, change in changes.items():
        yield label, {**good, **change}


def _wrong_files(good: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    lines = {
        "a .env file in Latin-1": "PHPMYADMIN_PASSWORD=größe\n".encode("latin-1"),
        "a .env file in UTF-16": "PHPMYADMIN_TABLE=orders\n".encode("utf-16"),
        "a password that is cut at #": b"PHPMYADMIN_PASSWORD=abc #def\n",
        "a quote that is not closed": b"PHPMYADMIN_PASSWORD='abc\n",
        "a line that is no setting": b"PHPMYADMIN_TABLE orders\n",
    }
    with tempfile.TemporaryDirectory(prefix="bench-env-") as folder:
        path = Path(folder) / "shop.env"
        for label, content in lines.items():
            path.write_bytes(content)
            yield label, {**good, "ENV_FILE": str(path)}


def _wrong_logins(lab: Lab) -> Iterator[tuple[str, dict[str, str]]]:
    cases: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
        "HTTP Basic with a wrong password": ("http", {}, {"PHPMYADMIN_PASSWORD": "wrong"}),
        "no server chosen": ("servers", {}, {"PHPMYADMIN_SERVER": ""}),
        "a server that is not offered": ("servers", {}, {"PHPMYADMIN_SERVER": "9"}),
        "no code of a second factor": ("totp", {}, {"PHPMYADMIN_TOTP_SECRET": ""}),
        "a wrong second factor": ("totp", {}, {"PHPMYADMIN_TOTP_SECRET": "JBSWY3DPEHPK3PXP"}),
        "no password for the web server": ("subpath", {}, {"PHPMYADMIN_HTTP_PASSWORD": ""}),
        "a wrong password for the web server": ("subpath", {}, {"PHPMYADMIN_HTTP_PASSWORD": "wrong"}),
        "a private CA that is not named": ("tls", {}, {"PHPMYADMIN_CA_FILE": ""}),
        "a captcha": ("captcha", {}, {}),
        "a control panel with a wrong password": ("control_panel", {}, {"PHPMYADMIN_PORTAL_PASSWORD": "wrong"}),
        "a control panel without that link": ("control_panel", {}, {"PHPMYADMIN_PORTAL_LINK": "a#pma"}),
        "a firewall that refuses all exports": ("firewall", {"refuse": ("export_type",)}, {}),
    }
    for label, (name, arguments, change) in cases.items():
        with lab.login_fixture(name, **arguments) as door:
            yield label, {**door.settings(), "PHPMYADMIN_LOGIN": "http", **change}
    with lab.login_fixture("tls") as door:
        yield (
            "http, where https is spoken",
            {
                **door.settings(),
                "PHPMYADMIN_LOGIN": "http",
                "PHPMYADMIN_URL": door.url.replace("https:", "http:"),
            },
        )
    good = {**lab.settings(), "PHPMYADMIN_LOGIN": "http"}
    with lab.faults.expired_password():
        yield "an expired password", good
    with _without_database(lab):
        yield "a database that is down", good


@contextmanager
def _without_database(lab: Lab) -> Iterator[None]:
    lab.stop_database()
    try:
        yield
    finally:
        lab.start_database()


def _limits_in_front(good: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    with FaultProxy(good["PHPMYADMIN_URL"]) as proxy:
        proxy.fail(200, "<title>Shop</title><p>Welcome")
        yield "a page that is not phpMyAdmin's", {**good, "PHPMYADMIN_URL": proxy.url}
    for status, headers in LIMITS.items():
        for label, matching in (("every page", ""), ("the password", "pma_password"), ("exports", "export_type")):
            with ExitStack() as stack:
                proxy = stack.enter_context(FaultProxy(good["PHPMYADMIN_URL"]))
                proxy.fail(status, f"<title>{status}</title>", headers, matching=matching)
                yield f"{status} for {label}", {**good, "PHPMYADMIN_URL": proxy.url}


if __name__ == "__main__":
    sys.exit(main())
