"""Documents say what is so: settings, commands, error codes and links are held against the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from pydantic.fields import FieldInfo

import scraper.errors  # noqa: F401  its errors are part of the family
from cache.errors import OrdersError
from cache.settings import Settings
from scraper.settings import ScraperSettings

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
COMMAND = re.compile(r"python3? -m (scraper|lab|bench|api|dashboard|cache)(?: ([a-z]+))?")

FREE = re.compile(r"^\s*\||`[^`]{60,}`|\]\([^)]+\)|https?://")  # a line that cannot be broken


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def row(name: str, field: FieldInfo) -> str:
    default = (
        "required"
        if field.is_required()
        else "–"
        if field.default is None or field.default_factory
        else f"`{field.default}`"
    )
    return f"| `{name.upper()}` | {default} | {field.description} |"


def test_the_configuration_page_lists_every_setting_and_its_default() -> None:
    listed = [line for line in read("docs/configuration.md").splitlines() if line.startswith("| `")]

    assert sorted(listed) == sorted(row(name, field) for name, field in ScraperSettings.model_fields.items())


def test_no_setting_of_the_readers_is_a_secret_of_the_database() -> None:
    assert not [name for name in Settings.model_fields if name.startswith("phpmyadmin")]


def test_the_example_of_env_names_settings_once_with_their_defaults() -> None:
    lines = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE)

    fields = ScraperSettings.model_fields
    assert len(dict(lines)) == len(lines)
    for name, value in lines:
        field = fields[name.lower()]
        assert value == (
            "" if field.is_required() or field.default is None or field.default_factory else str(field.default)
        ), name


def test_env_example_leaves_required_settings_and_the_usual_login_empty() -> None:
    opened = re.findall(r"^([A-Z_]+)=", read(".env.example"), re.MULTILINE)
    required = {n.upper() for n, field in ScraperSettings.model_fields.items() if field.is_required()}

    assert sorted(opened) == sorted(required | {"PHPMYADMIN_USERNAME", "PHPMYADMIN_PASSWORD"})


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {
        name for file in DOCUMENTS for name in re.findall(r"(?:^|`)make ([a-z-]+)", file.read_text(), re.MULTILINE)
    }

    assert {"demo", "test", "run"} <= named <= targets


def commands() -> list[tuple[str, str]]:
    return sorted({found for file in DOCUMENTS for found in COMMAND.findall(file.read_text(encoding="utf-8"))})


def test_every_test_that_the_page_of_threats_names_exists() -> None:
    named = re.findall(r"`(test_\w+)::(test_\w+)`", read("docs/threats.md"))
    tests = {
        (path.stem, name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert set(named) - tests == set()
    assert len(named) > 40


@pytest.mark.slow
@pytest.mark.parametrize("package", ["scraper", "lab", "api", "dashboard", "cache"])
def test_every_command_in_the_documents_exists(package: str) -> None:
    described = subprocess.run(
        [sys.executable, "-m", package, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    named = [command for owner, command in commands() if owner == package and command]
    assert named
    for command in named:
        assert re.search(rf"\b{command}\b", described.stdout), command


def test_the_troubleshooting_page_explains_every_error_code() -> None:
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", read("docs/troubleshooting.md"), re.MULTILINE))

    assert {error.code for error in family(OrdersError)} <= explained


def family(error: type[OrdersError]) -> Iterator[type[OrdersError]]:
    """The error and all below it that the product raises, not those of a process that serves HTTP."""
    if error.__module__.startswith(("cache.", "scraper.")):
        yield error
    for below in error.__subclasses__():
        yield from family(below)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_resolves(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    broken = [link for link in links if not resolves(document, link)]

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_of_documents_have_at_most_100_characters(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    long = [line for line in text.splitlines() if len(line) > 100 and not FREE.search(line)]

    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_folder_that_a_document_names_exists(document: Path) -> None:
    folders = "api|bench|cache|dashboard|deploy|docs|lab|scraper|tests|tools"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text(encoding="utf-8"))

    assert [path for path in named if not (ROOT / path).exists()] == []


def resolves(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
