"""The trees at the top of cache/errors.py and scraper/errors.py hold all errors that these files define."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import cache.errors
import scraper.errors
from cache.errors import OrdersError
from scraper.errors import ScrapeError

_LINE = re.compile(r"((?:[|` ]  )*(?:[|`]- )?)([A-Z]\w+)")


def drawn(module: ModuleType, root: str) -> list[tuple[str, ...]]:
    """The paths from the root to each error, as the docstring of a module draws them."""
    path: list[str] = []
    paths = []
    for line in inspect.getdoc(module).partition(f"\n{root}")[2].splitlines():  # type: ignore[union-attr]
        if match := _LINE.match(line):
            path = [*path[: len(match[1]) // 3 - 1], match[2]]
            paths.append((root, *path))
    return sorted(paths)


def defined(error: type[OrdersError], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the errors below one that stand in its module; those of other modules go on elsewhere."""
    for below in error.__subclasses__():
        if below.__module__ in ("cache.errors", "scraper.errors"):
            here = (*(path or (error.__name__,)), below.__name__)
            yield here
            if below.__module__ == error.__module__:
                yield from defined(below, here)


@pytest.mark.parametrize(
    ("module", "root"), [(cache.errors, OrdersError), (scraper.errors, ScrapeError)], ids=["cache", "scraper"]
)
def test_the_tree_of_errors_is_that_of_the_classes(module: ModuleType, root: type[OrdersError]) -> None:
    assert drawn(module, root.__name__) == sorted(defined(root))
