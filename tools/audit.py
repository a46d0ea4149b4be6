"""Ask the Python Packaging Advisory Database about each locked package, and check the list of licenses.

A package that could not be looked up is an error: nothing is known of it.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tools.licenses import FILE, ROOT, text

LOCKED = ROOT / "requirements-dev.txt"  # it has the packages of the product too
OPTIONS = ("--requirement", str(LOCKED), "--require-hashes", "--disable-pip", "--format", "json")
NAMED = 5  # packages that could not be looked up
UNREACHABLE = "The advisory database (pypi.org) cannot be reached, or does not answer as it should: {}"
UNKNOWN = "{} of {} packages could not be looked up in the advisory database: {}. Nothing is known of them."
OLD_LICENSES = f"{FILE.name} is not what the locked packages state. Run: make licenses"


def main(options: Sequence[str] = OPTIONS) -> int:
    """Print what is wrong; 0 if every package was looked up, none has an advisory, and the licenses are listed."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", *options]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = asked.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        packages, problems = [], [UNREACHABLE.format(last[0])]
    else:
        problems = findings(packages)
    if text() != FILE.read_text(encoding="utf-8"):
        problems.append(OLD_LICENSES)
    for problem in problems:
        print(f"audit: {problem}", file=sys.stderr)
    if not problems:
        print(f"{len(packages)} packages were looked up: no advisory. {FILE.name} has their licenses.")
    return 1 if problems else 0


def findings(packages: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences about advisories, and about packages that could not be looked up.

    Args:
        packages: What pip-audit writes as `dependencies`.
    """
    found = []
    for package in packages:
        for advisory in package.get("vulns", ()):
            mended = ", ".join(advisory["fix_versions"]) or "no version"
            found.append(f"{package['name']} {package['version']} has {advisory['id']}, mended in {mended}.")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        named = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        found.append(UNKNOWN.format(len(unknown), len(packages), named or "no package was read"))
    return found


if __name__ == "__main__":
    sys.exit(main())
