"""How pytest collects the tests of this suite."""

from __future__ import annotations

import subprocess
import sys

import pytest
from paths import ROOT

COLLECT = """
import sys, pytest
pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", "tests/unit/test_settings.py"])
print(sorted({"selenium", "playwright", "duckdb", "lab"} & sys.modules.keys()))
"""


@pytest.mark.slow
def test_tests_that_need_no_browser_and_no_lab_load_none() -> None:
    ended = subprocess.run([sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
