"""compose.yaml and render.yaml: their form, what they leave to root, and the files in deploy/compose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from paths import ROOT
from ruamel.yaml import YAML

from api.contract.operations import OPERATIONS
from api.contract.paths import ALIASES, PREFIX
from cache.access.client_ip import Proxies
from cache.errors import CacheUnreachable
from cache.storage.shared import address
from cache.storage.shared.database import Database
from dashboard.pages import PAGE_PATHS
from lab.postgresql import PostgreSQL, Running, folder_for_servers
from lab.processes import server_user
from scraper.settings import ScraperSettings

CADDYFILE = ROOT / "deploy/compose/Caddyfile"
TLS = ROOT / "deploy/compose/postgresql-tls.sh"


def read(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / name)


def ours() -> dict[str, Any]:
    """The services of compose.yaml that run the image of the product."""
    services: dict[str, Any] = read("compose.yaml")["services"]
    return {name: service for name, service in services.items() if service.get("image") == "phpmyadmin-orders"}


def test_compose_yaml_has_the_form_of_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        ROOT / "compose.yaml",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_yaml_keeps_the_image_s_volume_and_listens_on_loopback() -> None:
    service = read("compose.yaml")["services"]["orders"]
    (volume,) = re.findall(r"^VOLUME (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert [each.partition(":")[2] for each in service["volumes"]] == [volume]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.skipif(os.geteuid() != 0, reason="a container starts as root")
def test_the_entrypoint_needs_no_more_capabilities_than_compose_yaml_adds() -> None:
    service = read("compose.yaml")["services"]["orders"]
    kept = ",".join(f"+{name.lower()}" for name in service["cap_add"])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        script = shutil.copy(ROOT / "deploy/docker/entrypoint.sh", folder)
        data = Path(folder, "var")
        (data / "kept").mkdir(parents=True)
        for path, user in ((data, 10001), (data / "kept", 10001)):
            path.chmod(0o700)
            os.chown(path, user, user)
        (data / "kept/of_root").touch()
        command = ["setpriv", f"--bounding-set=-all,{kept}", "sh", script, "id", "-u"]
        env = {"PATH": os.environ["PATH"], "DATA_DIR": str(data)}
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=30, check=False)

        assert (done.stdout, done.stderr) == ("10001\n", "")
        assert (data / "kept/of_root").stat().st_uid == 10001


def test_only_the_app_runs_without_a_profile() -> None:
    services = read("compose.yaml")["services"]
    profiles = {name: set(service.get("profiles", ())) for name, service in services.items()}

    assert [name for name, of in profiles.items() if not of] == ["orders"]
    assert {name for name, of in profiles.items() if "scale" in of} == {"api-1", "api-2", "worker", "database", "proxy"}
    assert {name for name, of in profiles.items() if "demo" in of} == {"mariadb", "phpmyadmin", "shop"}


def test_every_process_of_the_product_has_the_same_limits_of_root() -> None:
    services = ours()
    assert services.keys() == {"orders", "api-1", "api-2", "worker"}
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["cap_add"] == services["orders"]["cap_add"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]


def test_compose_yaml_has_no_password_of_its_own() -> None:
    services = read("compose.yaml")["services"]
    values = [value for service in services.values() for value in service.get("environment", {}).items()]
    secrets = [value for name, value in values if "PASSWORD" in name and "RANDOM" not in name]

    assert secrets
    assert [value for value in secrets if not re.fullmatch(r"\$\{\w+:-\}", value)] == []


def test_the_database_is_on_an_internal_network_with_tls() -> None:
    compose = read("compose.yaml")
    database = compose["services"]["database"]

    assert "ports" not in database
    assert database["networks"] == ["data"]
    assert compose["networks"]["data"] == {"internal": True}
    assert f"./{TLS.relative_to(ROOT)}:/docker-entrypoint-initdb.d/tls.sh:ro" in database["volumes"]
    for service in ours().values():
        assert "@database/orders?sslmode=require}" in service["environment"]["CACHE_URL"]


def test_the_proxy_is_the_one_whose_headers_are_believed() -> None:
    compose = read("compose.yaml")
    proxy = compose["services"]["proxy"]["networks"]["default"]["ipv4_address"]

    for service in ours().values():
        assert service["environment"]["TRUSTED_PROXIES"] == f"${{TRUSTED_PROXIES:-{proxy}}}"


def test_the_proxy_sends_every_path_of_the_api_to_the_apis() -> None:
    (listed,) = re.findall(r"^\t@api path (.*)$", CADDYFILE.read_text(), re.MULTILINE)
    paths = {re.sub(r"\{\w+\}", "*", each.path) for each in OPERATIONS} - PAGE_PATHS
    aliases = {alias.replace("{id}", "*") for alias in ALIASES}
    below = {path for path in paths if path.rpartition("/")[0]}
    names = {f"{path.rpartition('/')[0]}/*" for path in below}

    assert set(listed.split()) == {PREFIX, f"{PREFIX}/*", *(paths - below), *names, *aliases}


def test_caddy_accepts_the_file_of_the_proxy_which_is_formatted() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", CADDYFILE]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    formatted = subprocess.run(["caddy", "fmt", CADDYFILE], capture_output=True, text=True, timeout=60, check=True)
    assert formatted.stdout == CADDYFILE.read_text()


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    """A PostgreSQL whose data folder the script of compose.yaml has been given, as its image does."""
    with folder_for_servers() as folder:
        server = PostgreSQL(folder)
        server.prepare()
        script = shutil.copy(TLS, folder)
        env = {"PATH": "/usr/bin:/bin", "PGDATA": str(server.data)}
        subprocess.run([script], env=env, user=server_user(), cwd=folder, check=True, timeout=30)
        with Running(server, folder):
            yield server


def url(server: PostgreSQL, **parameters: str) -> str:
    """The address as compose.yaml has it: that of a host, which here is this machine."""
    more = "&".join(f"{name}={value}" for name, value in {"hostaddr": "127.0.0.1", **parameters}.items())
    return f"postgresql://orders:{server.password}@database:{server.port}/postgres?{more}"


@pytest.mark.slow
def test_the_script_gives_postgresql_tls_and_refuses_other_connections(database: PostgreSQL) -> None:
    shared = Database(url(database, sslmode="require"), "orders")
    assert shared.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    shared.close()
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(url(database, sslmode="disable"))
    assert (database.data / "server.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_counts_if_the_system_trusts_who_signed_it(
    database: PostgreSQL, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if trusted:
        monkeypatch.setattr(address, "BUNDLES", (str(database.data / "server.crt"),))
    shared = Database(url(database), "orders")
    if trusted:
        assert shared.rows("SELECT 1") == [(1,)]
    else:
        with pytest.raises(CacheUnreachable, match="certificate verify failed"):
            shared.rows("SELECT 1")
    shared.close()


def test_render_yaml_names_settings_and_the_same_cache_in_both_services() -> None:
    blueprint = read("render.yaml")
    web, worker = blueprint["services"]
    (database,) = blueprint["databases"]
    known = {*(name.upper() for name in ScraperSettings.model_fields), "PGSSLMODE"}

    for service in (web, worker):
        named = {each["key"]: each for each in service["envVars"]}
        assert named.keys() <= known
        assert named["CACHE_URL"]["fromDatabase"] == {"name": database["name"], "property": "connectionString"}
        assert named["PGSSLMODE"]["value"] == "require"
        assert "disk" not in service
    assert web["dockerCommand"].split() == ["orders-entrypoint", "python", "serve.py"]
    assert web["healthCheckPath"] == "/health"
    assert worker["dockerCommand"].split() == ["orders-entrypoint", *["python", "-m", "scraper", "worker"]]
    assert database["ipAllowList"] == []


def test_only_the_worker_on_render_knows_the_login() -> None:
    web, worker = (
        {each["key"]: each.get("value") for each in service["envVars"]} for service in read("render.yaml")["services"]
    )

    assert not [name for name in web if name.startswith("PHPMYADMIN")]
    assert (web["SCHEDULER"], "SCHEDULER" in worker) == ("off", False)
    assert {"PHPMYADMIN_URL", "PHPMYADMIN_USERNAME", "PHPMYADMIN_PASSWORD", "PHPMYADMIN_DATABASE"} <= worker.keys()


def test_on_render_a_client_is_counted_and_not_the_proxies_before_it() -> None:
    (web, _) = read("render.yaml")["services"]
    (trusted,) = [each["value"] for each in web["envVars"] if each["key"] == "TRUSTED_PROXIES"]
    forwarded = [(b"x-forwarded-for", b"192.0.2.1, 198.51.100.7, 104.22.17.40")]  # the first one came from the client

    assert Proxies(trusted).client("10.21.157.68", forwarded) == "198.51.100.7"
