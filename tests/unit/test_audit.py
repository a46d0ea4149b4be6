"""`make audit`: a package that could not be looked up is no package without advisories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import audit

FINE = {"name": "one", "version": "1.0", "vulns": []}
LEAKY = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}]}
SKIPPED = {"name": "three", "skip_reason": "Dependency not found on PyPI"}


def test_advisories_and_packages_that_were_not_looked_up_are_named() -> None:
    assert audit.findings([FINE]) == []
    assert audit.findings([FINE, LEAKY, SKIPPED]) == [
        "two 2.0 has PYSEC-1, mended in 2.1.",
        audit.UNKNOWN.format(1, 3, "three"),
    ]
    assert audit.findings([SKIPPED] * 7) == [audit.UNKNOWN.format(7, 7, "three, three, three, three, three, …")]
    assert audit.findings([]) == [audit.UNKNOWN.format(0, 0, "no package was read")]


@pytest.mark.slow
def test_a_database_that_is_not_reached_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "requirements.txt"
    one.write_text(f"idna==3.10 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    options = ("--requirement", str(one), "--require-hashes", "--disable-pip", "--format", "json", "--timeout", "2")
    assert audit.main((*options, "--cache-dir", str(tmp_path / "cache"))) == 1
    assert "audit: The advisory database (pypi.org) cannot be reached" in capsys.readouterr().err
