"""compose.yaml and render.yaml: their form, and that the entrypoint works with what compose.yaml leaves to root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from ruamel.yaml import YAML

from scraper.settings import ScraperSettings


def read(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / name)


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


def test_render_yaml_names_settings_and_keeps_the_volume_of_the_image() -> None:
    (service,) = read("render.yaml")["services"]
    named = {each["key"].lower() for each in service["envVars"]}

    assert named <= set(ScraperSettings.model_fields)
    assert service["disk"]["mountPath"] == "/app/var"
    assert service["dockerCommand"].split() == ["orders-entrypoint", "python", "serve.py"]
    assert service["healthCheckPath"] == "/health"
