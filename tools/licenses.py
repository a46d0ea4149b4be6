"""Write THIRD_PARTY_LICENSES.md: the license of each locked package, as the package itself states it."""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "THIRD_PARTY_LICENSES.md"
INTRODUCTION = """# Licenses of third-party packages

Written by `make licenses` from the locked requirements and from the metadata of the installed
packages. Packages that are installed only on other systems than Linux are not listed.
"""


DATA = """## Data files

| package | version | license | used for |
| --- | --- | --- | --- |
| us-atlas | 3.0.1 | ISC | `dashboard/web/maps/states.json`: shapes of the states of the USA, by their postal codes |
| world-atlas | 2.0.2 | ISC | `dashboard/web/maps/countries.json`: shapes of countries, by their codes of ISO 3166 |

Both are by Michael Bostock, made from public data of the US Census Bureau and of Natural Earth. The
text of their license is in `dashboard/web/maps/LICENSE`.
"""


def main() -> None:
    """Write the file again."""
    FILE.write_text(text(), encoding="utf-8")


def text() -> str:
    """The whole file for the packages that are installed now.

    Raises:
        metadata.PackageNotFoundError: a package that every system needs is not installed.
    """
    product, everything = pins("requirements-image.txt"), pins("requirements-dev.txt")
    tools = {name: version for name, version in everything.items() if name not in product}
    sections = ("What the product runs on", product), ("Tools for the lab, tests and benchmarks", tools)
    return "\n".join([INTRODUCTION, *(_section(title, packages) for title, packages in sections), DATA])


def pins(requirements: str) -> dict[str, str]:
    """Versions by package name in a locked list; several, with commas, where Python's version decides."""
    versions: dict[str, list[str]] = {}
    lines = (ROOT / requirements).read_text(encoding="utf-8")
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\]+))?", lines, re.MULTILINE):
        if "sys_platform ==" not in marker:
            versions.setdefault(name, []).append(version)
    return {name: ", ".join(several) for name, several in versions.items()}


def _section(title: str, packages: dict[str, str]) -> str:
    rows = [f"| {name} | {version} | {license_of(name)} |" for name, version in packages.items()]
    return "\n".join([f"## {title}\n", "| package | version | license |", "| --- | --- | --- |", *rows, ""])


def license_of(package: str) -> str:
    """The license that a package's metadata state: an SPDX expression, a short text, or classifiers."""
    stated = metadata.metadata(package).json
    own_words = str(stated.get("license") or "UNKNOWN")
    if "\n" in own_words or own_words == "UNKNOWN":
        own_words = ", ".join(line.rpartition(" :: ")[2] for line in stated.get("classifier", []) if _is_license(line))
    return str(stated.get("license_expression") or own_words or "see its license file")


def _is_license(classifier: str) -> bool:
    return classifier.startswith(("License :: OSI Approved :: ", "License :: Public Domain"))


if __name__ == "__main__":
    main()
