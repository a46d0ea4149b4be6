"""The locked lists of requirements agree with their sources, with each other and with the list of licenses."""

from __future__ import annotations

import re

import pytest
from paths import ROOT

from tools import licenses

LOCKS = ["requirements-image.txt", "requirements.txt", "requirements-dev.txt"]


def pins(lock: str) -> dict[str, int]:
    """Number of hashes by the pin, `name==version` with its marker."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {line.split("  ")[0].strip(): len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)) for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_a_hash(lock: str) -> None:
    for pin, hashes in pins(lock).items():
        assert re.match(r"[a-z0-9-]+==[\w.]+( ; |$)", pin), pin
        assert hashes, pin


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_source_is_locked(lock: str) -> None:
    source = (ROOT / lock).with_suffix(".in").read_text(encoding="utf-8")
    names = [name.lower().replace("_", "-") for name in re.findall(r"^[A-Za-z]\w[\w-]*", source, re.MULTILINE)]

    assert names
    assert set(names) <= {pin.partition("==")[0] for pin in pins(lock)}


def test_image_and_users_install_versions_that_the_tests_use() -> None:
    image, users, tests = (pins(lock).keys() for lock in LOCKS)

    assert image < users < tests


def test_users_get_pytest_and_the_image_does_not() -> None:
    assert "pytest" in licenses.pins("requirements.txt")
    assert "pytest" not in licenses.pins("requirements-image.txt")


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_package_index(lock: str) -> None:
    assert not re.search(r"://|--index|--extra-index|--find-links", (ROOT / lock).read_text(encoding="utf-8"))


def test_the_list_of_licenses_names_every_locked_package_and_version() -> None:
    packages, _, data = licenses.FILE.read_text(encoding="utf-8").partition("\n## Data files\n")
    listed = re.findall(r"^\| ([a-z0-9-]+) \| (\d[^|]*) \|", packages, re.MULTILINE)

    assert sorted(listed) == sorted(licenses.pins("requirements-dev.txt").items()), "run `make licenses`"
    for file in re.findall(r"`([\w/.]+)`", data):
        assert (licenses.ROOT / file).exists()
