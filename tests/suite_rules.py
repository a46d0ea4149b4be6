"""Rules of the suite, held when pytest collects: markers, folders and test names.

The fixtures of a test say what it needs, and its folder is that of its heaviest need: tests/unit (no server of the lab
but PostgreSQL, no browser), tests/lab, tests/browser. A test that takes long, or has a long form, may be in tests/soak.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

NEEDS = {"lab": "lab", "lab_folder": "lab", "chromium": "browser", "chrome": "browser", "postgresql": "slow"}
"""The marker that each of these fixtures sets."""

LONGEST_NAME = 70


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its fixtures.

    Raises:
        pytest.UsageError: a test breaks a rule of the suite.
    """
    faults: list[str] = []
    for item in items:
        if isinstance(item, pytest.Function):
            for fixture in NEEDS.keys() & set(item.fixturenames):
                item.add_marker(NEEDS[fixture])
            faults += [f"{item.nodeid}: {fault}" for fault in faults_of(item)]
    if faults:
        raise pytest.UsageError(*dict.fromkeys(faults))


def faults_of(test: pytest.Function) -> Iterator[str]:
    """The rules that a test breaks, in words."""
    cases = [value for mark in test.iter_markers("parametrize") for value in mark.args[1]]
    marks = [mark for case in cases for mark in getattr(case, "marks", ())] + list(test.iter_markers())
    need = next((need for need in ("browser", "lab") if test.get_closest_marker(need)), "unit")
    folders = (need, "soak") if any(mark.name == "soak" for mark in marks) else (need,)
    if test.path.parent.name not in folders:
        yield f"it belongs in tests/{need}, by its fixtures and markers"
    if len(name := test.function.__name__) > LONGEST_NAME:
        yield f"its name has {len(name)} characters, and at most {LONGEST_NAME} are read at a glance"
