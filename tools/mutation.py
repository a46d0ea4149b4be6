"""Mutation testing: which small changes of a module does no unit test notice?

    python -m tools.mutation cache/query/filters.py scraper/client/gunzip.py
    python -m tools.mutation scraper/client/gunzip.py --tests tests/unit/test_gunzip.py

Mutants are drawn evenly over the functions of each module. Each runs in a fork of a process that has imported pytest
and all third-party packages, with the unit tests that run the changed line: those of files that import the module
first, then the quick ones. A mutant is killed when a test fails or takes too long. Tests that start the API or the
dashboard as a process are left out, since the process runs the code without the change.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any
from xml.etree import ElementTree

import coverage
import pytest

from tools.mutants import Mutant, drawn

ROOT = Path(__file__).parents[1]
PROCESSES = ("sidecar_process", "dashboard_process")
"""Helpers of tests that start processes."""

PYTEST = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


@dataclass(frozen=True)
class Baseline:
    """What the unit tests do without a mutant."""

    lines: dict[Path, dict[int, set[str]]]
    """Module -> line -> the tests that run it; "" is the import of the module."""
    seconds: dict[str, float]
    """Test -> duration."""

    def tests_of(self, mutant: Mutant, budget: float) -> list[str]:
        """The tests for a mutant, in the order in which to run them.

        Args:
            mutant: the change.
            budget: how many seconds they may take together.
        """
        lines = self.lines[mutant.path]
        tests = lines.get(mutant.line, set()) | lines.get(mutant.statement, set())
        if "" in tests or mutant.statement not in lines:  # it runs at import, or coverage counts another line
            tests = set().union(*(lines.get(line, ()) for line in mutant.scope or lines))
        tests &= self.seconds.keys()
        module = ".".join(mutant.path.with_suffix("").parts)
        near = {file: module in Path(file).read_text("utf-8") for file in {_file(test) for test in tests}}
        total = 0.0
        chosen: list[str] = []
        for test in sorted(tests, key=lambda test: (not near[_file(test)], self.seconds[test])):
            total += self.seconds[test]
            if chosen and total > budget:
                break
            chosen.append(test)
        return chosen


def measure(modules: Sequence[Path], files: Sequence[str], jobs: int) -> Baseline:
    """Run the tests once, and note which lines each of them runs.

    Raises:
        SystemExit: a test fails without a mutant.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, data_file, config = (Path(folder) / name for name in ("tests.xml", "coverage", "coveragerc"))
        included = "".join(f"    {module}\n" for module in modules)
        config.write_text(f"[run]\ndata_file = {data_file}\ninclude =\n{included}", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(jobs), *files]
        command += ["--dist", "loadfile", "--cov", f"--cov-config={config}", "--cov-context=test", "--cov-report="]
        if subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT, check=False).returncode:
            sys.exit("The tests fail without a mutant.")
        data = coverage.CoverageData(str(data_file))
        data.read()
        lines = {
            module: {
                line: {context.rpartition("|")[0] for context in contexts}
                for line, contexts in data.contexts_by_lineno(str(ROOT / module)).items()
            }
            for module in modules
        }
        cases = ElementTree.parse(report).iter("testcase")  # noqa: S314  written by pytest
        seconds = {
            f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}": float(case.attrib["time"])
            for case in cases
        }
    return Baseline(lines, seconds)


def _file(test: str) -> str:
    return test.partition("::")[0]


# -- one mutant


class Changed(SourceFileLoader):
    """Imports one module with a change."""

    def __init__(self, mutant: Mutant) -> None:
        self._module = ".".join(mutant.path.with_suffix("").parts)
        self._tree = mutant.tree()
        super().__init__(self._module, str(ROOT / mutant.path))

    def find_spec(self, fullname: str, path: Sequence[str] | None, _: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of the module, with this loader."""
        spec = PathFinder.find_spec(fullname, path) if fullname == self._module else None
        if spec:
            spec.loader = self
        return spec

    def get_code(self, fullname: str) -> CodeType:
        """The code with the change."""
        code: CodeType = compile(self._tree, self.path, "exec", dont_inherit=True)
        return code


class InOrder:
    """A plug-in that runs tests in the order of `tests`."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort the tests."""
        items.sort(key=lambda item: self._places.get(item.nodeid, 0))


class Trial:
    """A fork that runs tests with a mutant, or without one.

    Args:
        mutant: None runs the code as it is.
        tests: node ids.
        seconds: after which the fork is ended.
    """

    def __init__(self, mutant: Mutant | None, tests: Sequence[str], seconds: float) -> None:
        self.mutant = mutant
        self._end = time.monotonic() + seconds
        self._folder = tempfile.TemporaryDirectory(prefix="mutant-")
        self._pid = os.fork()
        if self._pid == 0:
            self._run(tests)

    def _run(self, tests: Sequence[str]) -> None:
        code = 1
        try:
            os.setsid()
            with Path(self._folder.name, "output").open("wb") as output:
                for number in (1, 2):
                    os.dup2(output.fileno(), number)
            os.environ["PYTEST_DEBUG_TEMPROOT"] = self._folder.name
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = self._folder.name
            if self.mutant:
                sys.meta_path.insert(0, Changed(self.mutant))
            _settle_for_first_failure()
            code = pytest.main([*PYTEST, "-x", *tests], plugins=[InOrder(tests)])
        finally:
            os._exit(code)

    def killed(self) -> bool | None:
        """Whether a test failed or took too long; None while tests run."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid and time.monotonic() < self._end:
            return None
        if not pid:
            os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self.output = Path(self._folder.name, "output").read_text(errors="replace")
        self._folder.cleanup()
        return status != 0 or not pid


def _settle_for_first_failure() -> None:
    """Hypothesis need not look for the smallest example, and finds the same ones each time."""
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", database=None, deadline=None, derandomize=True, phases=phases)
    settings.load_profile("mutants")


# -- all of them


def outcomes(baseline: Baseline, mutants: Sequence[Mutant], jobs: int, budget: float) -> Iterator[tuple[Mutant, bool]]:
    """Try mutants, several at a time. Gives each with whether it was killed."""
    running: list[Trial] = []
    waiting = list(reversed(mutants))
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            if tests := baseline.tests_of(mutant, budget):
                seconds = sum(map(baseline.seconds.__getitem__, tests))
                running.append(Trial(mutant, tests, 10 + 5 * seconds))
            else:
                yield mutant, False
        for trial in running[:]:
            if (killed := trial.killed()) is not None:
                running.remove(trial)
                assert trial.mutant
                yield trial.mutant, killed
        time.sleep(0.01)


def check_control(baseline: Baseline, module: Path) -> None:
    """Run the quicker half of a module's tests in a fork without a mutant.

    Raises:
        SystemExit: they fail, so that a failure with a mutant would say nothing.
    """
    tests = set().union(*baseline.lines[module].values()) & baseline.seconds.keys()
    if not tests:
        sys.exit(f"No unit test runs {module}.")
    quick = sorted(tests, key=baseline.seconds.__getitem__)[: len(tests) // 2 + 1]
    control = Trial(None, quick, 600)
    while (failed := control.killed()) is None:
        time.sleep(0.1)
    if failed:
        sys.exit(f"The tests of {module} fail without a mutant:\n{control.output}")


def preload(files: Sequence[str]) -> None:
    """Import what the tests import, but for the code of this checkout."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        pytest.main([*PYTEST, "--collect-only", *files])
        names = [name for name, module in sys.modules.items() if not _is_ours(module)]
        with os.fdopen(writing, "w") as pipe:
            pipe.write("\n".join(names))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        for name in pipe.read().split("\n"):
            try:
                import_module(name)
            except Exception:  # noqa: S112  a module that cannot be imported on its own
                continue
    os.wait()


def _is_ours(module: Any) -> bool:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return str(file).startswith(f"{ROOT}/") and "site-packages" not in str(file)


def main() -> None:
    """Try mutants of the modules that the command names, and print which of them survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+", type=Path, help="files of modules, from the checkout's folder")
    parser.add_argument("--tests", nargs="+", type=Path, help="files of unit tests (all of them)")
    parser.add_argument("--mutants", type=int, default=150, help="mutants per module (150)")
    parser.add_argument("--seed", type=int, default=16, help="another seed draws other mutants (16)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--seconds", type=float, default=20, help="of tests per mutant, at most (20)")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    candidates = arguments.tests or sorted(Path("tests/unit").glob("test_*.py"))
    files = [str(file) for file in candidates if not _starts_processes(file)]
    baseline = measure(arguments.modules, files, arguments.jobs)
    preload(files)
    for module in arguments.modules:
        began = time.monotonic()
        check_control(baseline, module)
        chosen = drawn(module, arguments.mutants, arguments.seed)
        survivors = []
        for mutant, killed in outcomes(baseline, chosen, arguments.jobs, arguments.seconds):
            print("." if killed else "s", end="", flush=True)
            if not killed:
                survivors.append(mutant)
        share = 1 - len(survivors) / len(chosen)
        seconds = time.monotonic() - began
        print(f"\n{module}: {len(chosen) - len(survivors)} of {len(chosen)} killed ({share:.0%}), {seconds:.0f} s")
        for mutant in sorted(survivors, key=lambda mutant: mutant.line):
            print(f"  {mutant}", flush=True)


def _starts_processes(file: Path) -> bool:
    text = file.read_text("utf-8")
    return any(helper in text for helper in PROCESSES)


if __name__ == "__main__":
    main()
