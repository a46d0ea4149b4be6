"""schemathesis holds the running API to its own description, GET /openapi.json."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cache_factory import publish
from paths import ROOT
from sidecar_process import KEY, answering, sidecar


@pytest.mark.soak
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """All its checks, on everything but the stream that never ends; while a worker answers refreshes."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
    }
    with sidecar(tmp_path, REFRESH_MIN_SECONDS="0", FAILED_KEYS_LIMIT="off") as api, answering(api.cache):
        publish(api.cache, 20)
        publish(api.cache, 30)
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{api.url}/openapi.json",
            "--header",
            f"X-API-Key: {KEY}",
            "--checks",
            "all",
            "--exclude-path",
            "/events",
            "--max-examples",
            "20",
            "--seed",
            "20251229",
            "--request-timeout",
            "20",
            "--no-color",
        ]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    assert "Coverage" in ended.stdout
